package command

import (
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/consumers"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/privatekey"
)

// mintFor makes a token for a credential of a handler's consumer, and tries it there.
func (o *mintOptions) mintFor(
	h *caddyjwt.Handler, consumer *consumers.Consumer, credential *consumers.Credential, key string,
) (string, error) {
	now := time.Now()
	issued := o.issued(time.Duration(h.MaxLifetime), now)
	offline, err := o.offline(h, issued, now)
	if err != nil {
		return "", err
	}
	tolerated, err := consumer.Tolerates()
	if err != nil {
		return "", err
	}
	claims, err := o.claimsFor(h, offline, dates(tolerated, issued, now.Add(time.Duration(o.lifetime))))
	if err != nil {
		return "", err
	}
	token, err := unsigned(credential.Algorithm, claims)
	if err != nil {
		return "", fmt.Errorf("credential %q: %w", credential.Key, err)
	}
	claim := offline.KeyClaim()
	if claim == "kid" {
		if err := o.header.sameKeyID(key); err != nil {
			return "", err
		}
		token.Header["kid"] = key
	} else {
		claims[claim] = key
	}
	if err := o.header.addMembers(token, claim); err != nil {
		return "", err
	}
	signingKey, err := o.signingKey(credential, now)
	if err != nil {
		return "", err
	}
	return o.signed(token, signingKey, offline)
}

// offline is the gate on which the token is tried. If an expired token is wanted, its clock stands at the token's iat,
// because all else must be right.
func (o *mintOptions) offline(h *caddyjwt.Handler, issued, now time.Time) (*caddyjwt.Offline, error) {
	if o.lifetime <= 0 {
		now = issued
	}
	offline, err := h.Offline(func() time.Time { return now })
	if err != nil {
		return nil, fmt.Errorf("this gate would not load: %w", err)
	}
	return offline, nil
}

// signed signs a token, encrypts it if that is wanted, and tries it. A bound token is tried as its client would send
// it.
func (o *mintOptions) signed(token *jwt.Token, key any, offline *caddyjwt.Offline) (string, error) {
	if o.bound.confirmation != nil {
		if err := o.bound.countsAt(offline); err != nil {
			return "", err
		}
		token.Claims.(jwt.MapClaims)["cnf"] = o.bound.confirmation
	}
	text, sealed, err := o.sealed(token, key)
	if err != nil {
		return "", err
	}
	if offline.Decrypts() {
		text = sealed // a gate that opens no encrypted tokens gets to see what is inside
	}
	r, err := o.bound.sent(offline, text)
	if err != nil {
		return "", err
	}
	if err := accepted(offline, r); err != nil {
		return "", err
	}
	return sealed, nil
}

// sealed is a signed token, as it is and encrypted. Both are the same if it is not to be encrypted.
func (o *mintOptions) sealed(token *jwt.Token, key any) (text, sealed string, err error) {
	text, err = token.SignedString(key)
	if err != nil {
		return "", "", fmt.Errorf("signing with %s: %w; check that the private key fits the algorithm",
			token.Header["alg"], err)
	}
	sealed, err = o.encrypt.seal(text)
	return text, sealed, err
}

// issued is the token's iat: now, or, for a token that is to be expired, some time before its exp.
func (o *mintOptions) issued(longest time.Duration, now time.Time) time.Time {
	if o.lifetime > 0 {
		return now
	}
	life := defaultLifetime
	if longest > 0 {
		life = min(life, longest)
	}
	return now.Add(time.Duration(o.lifetime) - life)
}

// unsigned makes the token.
func unsigned(algorithm string, claims jwt.MapClaims) (*jwt.Token, error) {
	name := algorithm
	if name == "Ed25519" { // RFC 9864; golang-jwt has the same signatures under the older name only
		name = "EdDSA"
	}
	method := jwt.GetSigningMethod(name)
	if method == nil {
		return nil, fmt.Errorf("mint cannot sign with %s", algorithm)
	}
	token := jwt.NewWithClaims(method, claims)
	token.Header["alg"] = algorithm
	return token, nil
}

// dates are the claims about time, in the unit that the gate expects.
func dates(tolerated claims.Tolerance, issued, expires time.Time) jwt.MapClaims {
	in := time.Time.Unix
	if tolerated.Has(claims.MillisecondDates) {
		in = time.Time.UnixMilli
	}
	return jwt.MapClaims{"iat": in(issued), "exp": in(expires)}
}

// claimsFor adds to the dates all other claims but the key claim: first those that gates ask for, then those of the
// command line.
func (o *mintOptions) claimsFor(
	h *caddyjwt.Handler, offline *caddyjwt.Offline, claims jwt.MapClaims,
) (jwt.MapClaims, error) {
	if err := o.notLonger(time.Duration(h.MaxLifetime)); err != nil {
		return nil, err
	}
	claims["sub"], claims["jti"] = o.consumer, rand.Text()
	if audience := offline.Audience(); len(audience) > 0 {
		claims["aud"] = audience[0]
	}
	return claims, o.addClaims(claims, offline.KeyClaim(), "this claim selects the credential; use --credential instead")
}

// addClaims adds those of the command line. fixed is the claim that they must not change, and why says why.
func (o *mintOptions) addClaims(claims jwt.MapClaims, fixed, why string) error {
	for _, claim := range o.claims {
		name, value, err := member("--claim", claim)
		if err != nil {
			return err
		}
		if name == fixed {
			return fmt.Errorf("--claim %s: %s", name, why)
		}
		if name == "cnf" && o.bound.confirmation != nil {
			return errors.New("--claim cnf: --dpop-key, --dpop-proof and --client-cert set this claim; leave it out")
		}
		claims[name] = value
	}
	return nil
}

// member is the name and the value that a flag gives to a claim or to a member of the header.
func member(flag, text string) (name string, value any, err error) {
	name, plain, ok := strings.Cut(text, "=")
	switch {
	case !ok || name == "":
		return "", nil, fmt.Errorf("%s %q: expected name=value", flag, text)
	case json.Valid([]byte(plain)):
		return name, json.RawMessage(plain), nil // verbatim: a long number must not be rounded
	}
	return name, plain, nil
}

// notLonger refuses a lifetime above a bound, which is 0 for none.
func (o *mintOptions) notLonger(longest time.Duration) error {
	if longest > 0 && time.Duration(o.lifetime) > longest {
		return fmt.Errorf("--lifetime %v is longer than the max_lifetime of the gate: give --lifetime=%v or less",
			&o.lifetime, longest)
	}
	return nil
}

func (o *mintOptions) signingKey(credential *consumers.Credential, now time.Time) (any, error) {
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
	key, err := readPrivateKey(o.privateKey)
	if err != nil {
		return nil, err
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

func readPrivateKey(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := privatekey.Parse(text, nil)
	if errors.Is(err, privatekey.ErrEncrypted) {
		err = fmt.Errorf("%w: decrypt it first, for example with \"openssl pkey\"", err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func thumbprint(sum [32]byte) string { return base64.RawURLEncoding.EncodeToString(sum[:]) }

// accepted tries a request, and returns an error that says why the gate refuses its token.
func accepted(offline *caddyjwt.Offline, r *http.Request) error {
	err := offline.Try(r)
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
	case gate.InsufficientUserAuthentication:
		return "give it with --claim acr=<value> and --claim auth_time=<seconds since 1970>, as the gate requires them"
	case gate.ClaimMismatch:
		return "give a claim with --claim name=value; the groups of a consumer are in its block, and those of an issuer's " +
			"token in --claim groups='[\"…\"]'"
	case gate.InvalidAudience:
		return "leave out --claim aud, or set it to one of the gate's audiences"
	case gate.Expired, gate.NotYetValid, gate.LifetimeTooLong:
		return "set times only with --lifetime; a negative one such as --lifetime=-1m makes an expired token"
	case gate.MissingClaim, gate.UnknownConsumer:
		return "give it with --claim name=value, or check the values of --claim"
	case gate.UnknownKey:
		return "leave out --kid, or set it to the kid of a key"
	case gate.DecryptionFailed:
		return "give the key of the issuer's decrypt block with --encrypt-to, and its kid with --encrypt-kid"
	case gate.NotEncrypted:
		return "name the key of the issuer's decrypt block with --encrypt-to"
	case gate.MalformedToken:
		return "check the values of --claim and --header, and --kid"
	case gate.ProofRequired:
		return "bind the token with --dpop-proof, --dpop-key or --client-cert, as the line \"proof\" of the gate takes " +
			"it, and leave out --claim cnf"
	case gate.InvalidProof:
		return "give --dpop-proof the method and the URL with which clients address the gate, and --dpop-key a key that " +
			"the line \"proof\" allows"
	case gate.PlainHTTP:
		return "give --dpop-proof a URL that begins with https"
	case gate.InvalidType, gate.UnsafeClaim:
		return "check the values of --claim"
	}
	return ""
}
