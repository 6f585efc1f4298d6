package command

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
)

// mintFor makes a token for a credential of a handler, and tries it there.
func (o *mintOptions) mintFor(h *caddyjwt.Handler, credential *caddyjwt.Credential, key string) (string, error) {
	now := time.Now()
	issued := o.issued(h, now)
	offline, err := h.Offline(func() time.Time {
		if o.lifetime <= 0 {
			return issued // an expired token is wanted, and all else must be right
		}
		return now
	})
	if err != nil {
		return "", fmt.Errorf("this gate would not load: %w", err)
	}
	claims, err := o.claimsFor(h, offline, issued, now.Add(time.Duration(o.lifetime)))
	if err != nil {
		return "", err
	}
	token, err := o.unsigned(credential, claims, offline.KeyClaim(), key)
	if err != nil {
		return "", err
	}
	signingKey, err := o.signingKey(credential, now)
	if err != nil {
		return "", err
	}
	signed, err := token.SignedString(signingKey)
	if err != nil {
		return "", fmt.Errorf("signing with %s: %w; check that the private key fits the algorithm", credential.Algorithm, err)
	}
	return signed, accepted(offline, signed)
}

// issued is the token's iat: now, or, for a token that is to be expired, some time before its exp.
func (o *mintOptions) issued(h *caddyjwt.Handler, now time.Time) time.Time {
	if o.lifetime > 0 {
		return now
	}
	life := defaultLifetime
	if longest := time.Duration(h.MaxLifetime); longest > 0 {
		life = min(life, longest)
	}
	return now.Add(time.Duration(o.lifetime) - life)
}

// unsigned makes the token, with the claims and the key claim.
func (o *mintOptions) unsigned(c *caddyjwt.Credential, claims jwt.MapClaims, keyClaim, key string) (*jwt.Token, error) {
	name := c.Algorithm
	if name == "Ed25519" { // RFC 9864; golang-jwt has the same signatures under the older name only
		name = "EdDSA"
	}
	method := jwt.GetSigningMethod(name)
	if method == nil {
		return nil, fmt.Errorf("credential %q: mint cannot sign with %s", c.Key, c.Algorithm)
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

// claimsFor makes the claims except for the key claim: first those that gates ask for, then those of the command line.
func (o *mintOptions) claimsFor(
	h *caddyjwt.Handler, offline *caddyjwt.Offline, issued, expires time.Time,
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
	if audience := offline.Audience(); len(audience) > 0 {
		claims["aud"] = audience[0]
	}
	for _, claim := range o.claims {
		name, value, ok := strings.Cut(claim, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--claim %q: expected name=value", claim)
		}
		if name == offline.KeyClaim() {
			return nil, fmt.Errorf("--claim %s: this claim selects the credential; use --credential instead", name)
		}
		claims[name] = value
		if json.Valid([]byte(value)) {
			claims[name] = json.RawMessage(value) // verbatim: a long number must not be rounded
		}
	}
	return claims, nil
}

func (o *mintOptions) signingKey(credential *caddyjwt.Credential, now time.Time) (any, error) {
	if credential.Secret != "" {
		if o.privateKey != "" {
			return nil, fmt.Errorf("credential %q signs with its secret: leave out --private-key",
				credential.Key)
		}
		return credential.ResolveSecret()
	}
	if o.privateKey == "" {
		return nil, fmt.Errorf("credential %q verifies with a public key: give its private key with --private-key",
			credential.Key)
	}
	text, err := os.ReadFile(o.privateKey)
	if err != nil {
		return nil, err
	}
	key, err := caddyjwt.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.privateKey, err)
	}
	verifier, algorithm, err := credential.Verifier(now)
	if err != nil {
		return nil, err
	}
	public, err := jose.NewPublicKey("", key.Public(), jose.MakeAlgorithms(algorithm))
	if err != nil {
		return nil, fmt.Errorf("--private-key %s: %w", o.privateKey, err)
	}
	if has, needs := public.Thumbprint(), verifier.Thumbprint(); has != needs {
		return nil, fmt.Errorf("--private-key %s is not the key of credential %q: the public key that belongs to it has the "+
			"thumbprint %s, and that of the credential has %s (RFC 7638)",
			o.privateKey, credential.Key, thumbprint(has), thumbprint(needs))
	}
	return key, nil
}

func thumbprint(sum [32]byte) string { return base64.RawURLEncoding.EncodeToString(sum[:]) }

// accepted tries the token, and returns an error that says why the gate refuses it.
func accepted(offline *caddyjwt.Offline, token string) error {
	err := offline.Try(token)
	if err == nil {
		return nil
	}
	failure := gate.FailureOf(err)
	text := string(failure.Reason)
	if failure.Cause != nil {
		text += ": " + failure.Cause.Error()
	}
	if hint := hintFor(failure.Reason, offline); hint != "" {
		text += "; " + hint
	}
	return errors.New("the gate refuses this token: " + text)
}

// hintFor says which flag helps against a refusal. It is "" if none does.
func hintFor(reason gate.Reason, offline *caddyjwt.Offline) string {
	switch reason {
	case gate.InsufficientScope:
		return fmt.Sprintf("give it with --claim scope=%q", strings.Join(offline.Scopes(), " "))
	case gate.ClaimMismatch:
		return "give a claim with --claim name=value; the groups of a consumer are in its block"
	case gate.InvalidAudience:
		return "leave out --claim aud, or set it to one of the gate's audiences"
	case gate.Expired, gate.NotYetValid, gate.LifetimeTooLong:
		return "set times only with --lifetime; a negative one such as --lifetime=-1m makes an expired token"
	case gate.ProofRequired, gate.InvalidType, gate.UnsafeClaim, gate.MalformedToken, gate.MissingClaim:
		return "check the values of --claim"
	}
	return ""
}
