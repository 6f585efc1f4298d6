package proof_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/proof"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

var now = time.Unix(1_800_000_000, 0)

// token is an access token of about 1 KiB.
var token = "opaque." + strings.Repeat("tokentokentoken.", 64)

// object is a JSON object. Its members are written in the order of their names.
type object = map[string]any

// client makes proofs with one key.
type client struct {
	key        *tokentest.Key
	thumbprint string
}

func newClient(tb testing.TB, alg string) *client {
	tb.Helper()
	key := tokentest.NewKey(tb, alg, "client "+alg).WithKID("")
	public, err := jose.NewPublicKey("", key.Public(), 0)
	if err != nil {
		tb.Fatal(err)
	}
	sum := public.Thumbprint()
	return &client{key, base64.RawURLEncoding.EncodeToString(sum[:])}
}

// jwk is the public key with no members but those that make it.
func (c *client) jwk() object {
	jwk := c.key.JWK()
	maps.DeleteFunc(jwk, func(name string, _ any) bool { return name == "use" || name == "alg" || name == "kid" })
	return jwk
}

func (c *client) header() object {
	return object{"typ": "dpop+jwt", "alg": c.key.Alg, "jwk": c.jwk()}
}

func payload() object {
	return object{
		"jti": "e1j3V_bKic8-LAEB", "htm": "GET", "htu": "https://api.example.com/items", "iat": now.Unix(),
		"ath": hashOf(token),
	}
}

func expected() proof.Expected {
	return proof.Expected{
		Method: "GET", Scheme: "https", Host: "api.example.com", Target: "/items?page=2", Token: token, Now: now,
		MaxAge: time.Minute,
	}
}

func (c *client) sign(header, payload object) string {
	return c.key.SignRaw(text(header), text(payload))
}

func (c *client) proof() string { return c.sign(c.header(), payload()) }

// with is a copy of an object with other members. nil leaves one out.
func with(from, changes object) object {
	changed := maps.Clone(from)
	maps.Copy(changed, changes)
	maps.DeleteFunc(changed, func(_ string, v any) bool { return v == nil })
	return changed
}

func text(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func newVerifier(tb testing.TB) *proof.Verifier {
	tb.Helper()
	v, err := proof.NewVerifier()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(v.Close)
	return v
}

// accept verifies a proof and compares it with a request.
func accept(v *proof.Verifier, text, thumbprint string, e proof.Expected) error {
	p, err := v.Verify(text, thumbprint, proof.DefaultAlgorithms())
	if err != nil {
		return err
	}
	return p.Check(e)
}

// requireInvalid requires an ErrInvalid whose text has these words, and no part of the token.
func requireInvalid(tb testing.TB, err error, words string) {
	tb.Helper()
	switch {
	case err == nil:
		tb.Fatal("accepted")
	case !errors.Is(err, proof.ErrInvalid), errors.Is(err, proof.ErrOtherKey):
		tb.Fatalf("%v is not an ErrInvalid alone", err)
	case !strings.Contains(err.Error(), words):
		tb.Fatalf("got %q, want %q in it", err, words)
	case strings.Contains(err.Error(), "tokentoken"):
		tb.Fatalf("%q has a part of the token", err)
	}
}
