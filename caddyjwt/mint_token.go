package caddyjwt

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
)

// mintFor makes the token for a credential of a handler's, and tries it there.
func (o *mintOptions) mintFor(repl *caddy.Replacer, h *Handler, credential *Credential, key string) (string, error) {
	now := time.Now()
	issued := o.issued(h, now)
	dry, err := h.offline(func() time.Time {
		if o.lifetime <= 0 {
			return issued // an expired token is wanted; all else about it is right
		}
		return now
	})
	if err != nil {
		return "", fmt.Errorf("this gate would not load: %w", err)
	}
	keyClaim := cmp.Or(dry.config.KeyClaim, gate.DefaultKeyClaim)
	claims, err := o.claimsFor(repl, h, keyClaim, issued, now.Add(time.Duration(o.lifetime)))
	if err != nil {
		return "", err
	}
	token, err := o.unsigned(credential, claims, keyClaim, key)
	if err != nil {
		return "", err
	}
	signingKey, err := o.signingKey(repl, credential, now)
	if err != nil {
		return "", err
	}
	signed, err := token.SignedString(signingKey)
	if err != nil {
		return "", fmt.Errorf("signing with %s: %w; does the private key fit the algorithm?", credential.Algorithm, err)
	}
	return signed, dry.accepts(signed)
}

// issued is when the token is said to have been made: now, or, for one that is to be expired, before its end.
func (o *mintOptions) issued(h *Handler, now time.Time) time.Time {
	if o.lifetime > 0 {
		return now
	}
	life := defaultLifetime
	if longest := time.Duration(h.MaxLifetime); longest > 0 {
		life = min(life, longest)
	}
	return now.Add(time.Duration(o.lifetime) - life)
}

// unsigned puts the claims and the key claim together.
func (o *mintOptions) unsigned(c *Credential, claims jwt.MapClaims, keyClaim, key string) (*jwt.Token, error) {
	name := c.Algorithm
	if name == "Ed25519" { // RFC 9864; golang-jwt has the same signatures under the older name only
		name = "EdDSA"
	}
	method := jwt.GetSigningMethod(name)
	if method == nil {
		return nil, fmt.Errorf("credential %q: %w", c.Key, unknownAlgorithm(c.Algorithm))
	}
	token := jwt.NewWithClaims(method, claims)
	token.Header["alg"] = c.Algorithm
	if keyClaim == "kid" {
		token.Header["kid"] = key
	} else {
		claims[keyClaim] = key
	}
	return token, nil
}

// claimsFor makes the claims but for the key claim: what every gate asks for, then what the command line says.
func (o *mintOptions) claimsFor(
	repl *caddy.Replacer, h *Handler, keyClaim string, issued, expires time.Time,
) (jwt.MapClaims, error) {
	if longest := time.Duration(h.MaxLifetime); longest > 0 && time.Duration(o.lifetime) > longest {
		return nil, fmt.Errorf("--lifetime %v is longer than the max_lifetime of the gate: give --lifetime=%v or less",
			&o.lifetime, longest)
	}
	claims := jwt.MapClaims{
		"sub": o.consumer,
		"iat": issued.Unix(),
		"exp": expires.Unix(),
		"jti": rand.Text(),
	}
	if len(h.Audience) > 0 {
		audience, err := resolveAll(repl, "audience", h.Audience)
		if err != nil {
			return nil, err
		}
		claims["aud"] = audience[0]
	}
	for _, claim := range o.claims {
		name, value, ok := strings.Cut(claim, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--claim %q: expected name=value", claim)
		}
		if name == keyClaim {
			return nil, fmt.Errorf("--claim %s: this claim selects the credential; choose that with --credential", name)
		}
		claims[name] = value
		if json.Valid([]byte(value)) {
			claims[name] = json.RawMessage(value) // as it is: a long number must not be rounded
		}
	}
	return claims, nil
}

func (o *mintOptions) signingKey(repl *caddy.Replacer, credential *Credential, now time.Time) (any, error) {
	if credential.Secret != "" {
		if o.privateKey != "" {
			return nil, fmt.Errorf("credential %q has a secret, with which its tokens are signed: leave out --private-key",
				credential.Key)
		}
		return resolveSecret(repl, credential.Secret, credential.Base64)
	}
	if o.privateKey == "" {
		return nil, fmt.Errorf("credential %q verifies with a public key: give its private key with --private-key",
			credential.Key)
	}
	text, err := os.ReadFile(o.privateKey)
	if err != nil {
		return nil, err
	}
	key, err := parsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.privateKey, err)
	}
	compiled, err := credential.compile(repl, now)
	if err != nil {
		return nil, err
	}
	public, err := jose.NewPublicKey("", key.Public(), jose.MakeAlgorithms(compiled.Algorithm))
	if err != nil {
		return nil, fmt.Errorf("--private-key %s: %w", o.privateKey, err)
	}
	if has, needs := public.Thumbprint(), compiled.Verifier.Thumbprint(); has != needs {
		return nil, fmt.Errorf("--private-key %s is not the key of credential %q: the public key that belongs to it has the "+
			"thumbprint %s, and that of the credential has %s (RFC 7638)",
			o.privateKey, credential.Key, thumbprint(has), thumbprint(needs))
	}
	return key, nil
}

func thumbprint(sum [32]byte) string { return base64.RawURLEncoding.EncodeToString(sum[:]) }

// accepts tries the token on the gate, in the first place where a token may be.
func (g *dryGate) accepts(token string) error {
	r := requestWith(g.config.Extractor.Places()[0], token)
	verdict, err := g.Check(gate.Request{HTTP: r, Facts: gate.Direct(r)})
	if err == nil && verdict.Outcome != gate.Accepted {
		err = gate.InternalError
	}
	if err == nil {
		err = g.Annotate(r, verdict.Identity)
	}
	if err == nil {
		return nil
	}
	failure := gate.FailureOf(err)
	text := string(failure.Reason)
	if failure.Cause != nil {
		text += ": " + failure.Cause.Error()
	}
	if hint := g.hint(failure.Reason); hint != "" {
		text += "; " + hint
	}
	return errors.New("the gate refuses this token: " + text)
}

// hint says which flag makes a token that is not refused like this, where one does.
func (g *dryGate) hint(reason gate.Reason) string {
	switch reason {
	case gate.InsufficientScope:
		return fmt.Sprintf("give it with --claim scope=%q", strings.Join(g.config.Require.Scopes, " "))
	case gate.ClaimMismatch:
		return "give a claim with --claim name=value; the groups of a consumer are in its block"
	case gate.InvalidAudience:
		return "leave out --claim aud, or give one of the gate's audiences"
	case gate.Expired, gate.NotYetValid, gate.LifetimeTooLong:
		return "leave times to --lifetime; a negative one such as --lifetime=-1m makes an expired token"
	case gate.ProofRequired, gate.InvalidType, gate.UnsafeClaim, gate.MalformedToken, gate.MissingClaim:
		return "look at what --claim says"
	}
	return ""
}

// requestWith is a request that has the token in this place.
func requestWith(place bearer.Place, token string) *http.Request {
	r := &http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: "/"}, RequestURI: "/", Header: make(http.Header), Body: http.NoBody,
	}
	switch place.Kind {
	case bearer.Header:
		r.Header.Set(place.Name, strings.TrimPrefix(place.Scheme+" "+token, " "))
	case bearer.Query:
		r.URL.RawQuery = place.Name + "=" + token
		r.RequestURI += "?" + r.URL.RawQuery
	case bearer.Cookie:
		r.Header.Set("Cookie", place.Name+"="+token)
	case bearer.Form:
		body := place.Name + "=" + token
		r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(body)), int64(len(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}
