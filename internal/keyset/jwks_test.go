package keyset_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// change returns a JWK with some members changed; nil removes one.
func change(jwk map[string]any, changes map[string]any) string {
	jwk = maps.Clone(jwk)
	maps.Copy(jwk, changes)
	maps.DeleteFunc(jwk, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(jwk)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// certificateFor is a self-signed certificate of the key, as x5c has it.
func certificateFor(tb testing.TB, key *tokentest.Key) string {
	tb.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key.Private())
	if err != nil {
		tb.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// skippedJWKs are JWKs that must not be used, each with the reason.
func skippedJWKs(tb testing.TB) []struct{ name, jwk, reason string } {
	tb.Helper()
	rs, ec, ed := tokentest.NewKey(tb, "RS256", "one").JWK(),
		tokentest.NewKey(tb, "ES256", "one").JWK(), tokentest.NewKey(tb, "EdDSA", "ed").JWK()
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		tb.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	point, err := p224.PublicKey.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	x, _ := base64.RawURLEncoding.DecodeString(ec["x"].(string))
	type m = map[string]any
	return []struct{ name, jwk, reason string }{
		{"null", `null`, "malformed"},
		{"a number", `7`, "malformed"},
		{"a string", `"RSA"`, "malformed"},
		{"an array", `[]`, "malformed"},
		{"an empty object", `{}`, "malformed"},
		{"invalid UTF-8", "{\"kty\":\"EC\xff\"}", "malformed"},
		{"a member that occurs twice", `{"kty":"oct",` + change(rs, nil)[1:], "duplicate_member"},
		{"an id that is hidden behind an escape", `{"k\u0069d":"two",` + change(rs, nil)[1:], "duplicate_member"},
		{"a kty in other case", change(rs, m{"kty": "rsa"}), "unsupported_key_type"},
		{"a kty that is a number", change(rs, m{"kty": 1}), "malformed"},
		{"no kty", change(rs, m{"kty": nil}), "malformed"},
		{"an unknown kty", change(rs, m{"kty": "AKP"}), "unsupported_key_type"},
		{"a shared secret", change(tokentest.NewKey(tb, "HS256", "one").JWK(), nil), "symmetric_key"},
		{"a private RSA key", change(rs, m{"d": "AQ"}), "private_key"},
		{"a half private RSA key", change(rs, m{"q": "AQ"}), "private_key"},
		{"a private EC key", change(ec, m{"d": "AQ"}), "private_key"},
		{"a key for encryption", change(rs, m{"use": "enc"}), "not_for_signatures"},
		{"a use in other case", change(rs, m{"use": "SIG"}), "not_for_signatures"},
		{"a use that is a list", change(rs, m{"use": []string{"sig"}}), "malformed"},
		{"key_ops for encryption", change(rs, m{"use": nil, "key_ops": []string{"encrypt"}}), "not_for_signatures"},
		{"key_ops for signing only", change(rs, m{"key_ops": []string{"sign"}}), "not_for_signatures"},
		{"a key for JWT-SVIDs", change(rs, m{"use": "jwt-svid"}), "not_for_signatures"},
		{"key_ops that say more than use",
			change(rs, m{"use": "sig", "key_ops": []string{"verify", "encrypt"}}), "not_for_signatures"},
		{"key_ops with the same twice", change(rs, m{"use": nil, "key_ops": []string{"verify", "verify"}}), "malformed"},
		{"key_ops with a number", change(rs, m{"use": nil, "key_ops": []any{"verify", 1}}), "malformed"},
		{"key_ops that is a string", change(rs, m{"key_ops": "verify"}), "malformed"},
		{"an alg for encryption", change(rs, m{"alg": "RSA-OAEP"}), "unsupported_algorithm"},
		{"an alg of another kind", change(rs, m{"alg": "ES256"}), "unsupported_algorithm"},
		{"an alg of another curve", change(ec, m{"alg": "ES384"}), "unsupported_algorithm"},
		{"an RSA key for a MAC", change(rs, m{"alg": "HS256"}), "unsupported_algorithm"},
		{"an RSA key for none", change(rs, m{"alg": "none"}), "unsupported_algorithm"},
		{"an alg that is a number", change(rs, m{"alg": 256}), "malformed"},
		{"a kid that is a number", change(rs, m{"kid": 1}), "malformed"},
		{"a very long kid", change(rs, m{"kid": strings.Repeat("k", 513)}), "malformed"},
		{"an RSA key of 1024 bits", change(rs, m{"n": b64(weak.N.Bytes())}), "weak_key"},
		{"an RSA exponent of one", change(rs, m{"e": "AQ"}), "malformed"},
		{"an even RSA exponent", change(rs, m{"e": "Ag"}), "weak_key"},
		{"an RSA exponent of zero", change(rs, m{"e": "AA"}), "malformed"},
		{"an RSA exponent that is 65537 only in its last 64 bits",
			change(rs, m{"e": b64(append([]byte{1}, 0, 0, 0, 0, 0, 1, 0, 1))}), "malformed"},
		{"no RSA exponent", change(rs, m{"e": nil}), "malformed"},
		{"no RSA modulus", change(rs, m{"n": nil}), "malformed"},
		{"an RSA modulus that is not base64url", change(rs, m{"n": "+/+/"}), "malformed"},
		{"an RSA modulus that is a number", change(rs, m{"n": 3}), "malformed"},
		{"the curve P-224", change(ec, m{"crv": "P-224", "alg": nil, "x": b64(point[1:29]), "y": b64(point[29:])}),
			"unsupported_curve"},
		{"the curve of Bitcoin", change(ec, m{"crv": "secp256k1"}), "unsupported_curve"},
		{"an EC key on the curve Ed25519", change(ec, m{"crv": "Ed25519"}), "unsupported_curve"},
		{"a key for key agreement", change(ed, m{"crv": "X25519", "alg": nil}), "unsupported_curve"},
		{"an Ed448 key", change(ed, m{"crv": "Ed448", "alg": nil}), "unsupported_curve"},
		{"no curve", change(ec, m{"crv": nil}), "malformed"},
		{"an EC key of another curve's length", change(ec, m{"crv": "P-384", "alg": nil}), "malformed"},
		{"an EC point off the curve", change(ec, m{"y": ec["x"]}), "malformed"},
		{"an EC point at zero", change(ec, m{"x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))}), "malformed"},
		{"an EC key without y", change(ec, m{"y": nil}), "malformed"},
		{"a short EC coordinate", change(ec, m{"x": b64(x[1:])}), "malformed"},
		{"a long EC coordinate", change(ec, m{"x": b64(append([]byte{0}, x...))}), "malformed"},
		{"a short Ed25519 key", change(ed, m{"x": b64(make([]byte, 31))}), "malformed"},
		{"an Ed25519 point of small order", change(ed, m{"x": b64(append([]byte{1}, make([]byte, 31)...))}), "weak_key"},
		{"a certificate of another key",
			change(rs, m{"x5c": []string{certificateFor(tb, tokentest.NewKey(tb, "RS256", "two"))}}), "certificate_mismatch"},
		{"a certificate that cannot be read", change(rs, m{"x5c": []string{"AAAA"}}), "certificate_mismatch"},
		{"a certificate that is a number", change(rs, m{"x5c": []int{1}}), "malformed"},
	}
}

func TestBadKeysAreSkipped(t *testing.T) {
	good := change(tokentest.NewKey(t, "RS256", "good").JWK(), nil)
	for _, test := range skippedJWKs(t) {
		t.Run(test.name, func(t *testing.T) {
			keys, skipped, err := keyset.ParseJWKS([]byte(`{"keys":[` + test.jwk + `,` + good + `]}`))
			if err != nil || len(keys) != 1 || keys[0].ID != "good" {
				t.Fatalf("%v, error %v; want the good key", keys, err)
			}
			if want := []keyset.Skipped{{Reason: test.reason, Count: 1}}; !slices.Equal(skipped, want) {
				t.Errorf("skipped %v, want %v", skipped, want)
			}
			if _, _, err := keyset.ParseJWKS([]byte(`{"keys":[` + test.jwk + `]}`)); !errors.Is(err, keyset.ErrNoKeys) ||
				!strings.Contains(err.Error(), test.reason) {
				t.Errorf("alone it gives %v", err)
			}
		})
	}
}

func TestGoodKeysAreTaken(t *testing.T) {
	rs, ec, ed := tokentest.NewKey(t, "RS256", "one"),
		tokentest.NewKey(t, "ES256", "one"), tokentest.NewKey(t, "EdDSA", "ed")
	modulus, _ := base64.RawURLEncoding.DecodeString(rs.JWK()["n"].(string))
	type m = map[string]any
	for _, test := range []struct{ name, jwk, algorithms string }{
		{"a plain key", change(rs.JWK(), nil), "RS256"},
		{"without alg", change(rs.JWK(), m{"alg": nil}), "RS256 RS384 RS512 PS256 PS384 PS512"},
		{"without use", change(rs.JWK(), m{"use": nil}), "RS256"},
		{"without kid", change(rs.JWK(), m{"kid": nil}), "RS256"},
		{"key_ops with verify", change(rs.JWK(), m{"key_ops": []string{"sign", "verify"}}), "RS256"},
		{"key_ops without use", change(rs.JWK(), m{"use": nil, "key_ops": []string{"verify", "wrapKey"}}), "RS256"},
		{"members that are null",
			change(rs.JWK(), m{
				"use": json.RawMessage("null"), "key_ops": json.RawMessage("null"), "x5c": json.RawMessage("null"),
			}), "RS256"},
		{"unknown members",
			change(rs.JWK(), m{"exp": 1, "revoked": nil, "x5t": "AAAA", "x5u": "http://169.254.169.254/"}), "RS256"},
		{"the modulus with a leading zero", change(rs.JWK(), m{"n": b64(append([]byte{0}, modulus...))}), "RS256"},
		{"with its certificate", change(rs.JWK(), m{"x5c": []string{certificateFor(t, rs)}}), "RS256"},
		{"EC without alg", change(ec.JWK(), m{"alg": nil}), "ES256"},
		{"EC with its certificate", change(ec.JWK(), m{"x5c": []string{certificateFor(t, ec)}}), "ES256"},
		{"Ed25519 by its own name", change(ed.JWK(), m{"alg": "Ed25519"}), "Ed25519"},
		{"Ed25519 without alg", change(ed.JWK(), m{"alg": nil}), "EdDSA Ed25519"},
		{"Ed25519 with its certificate",
			change(ed.JWK(), m{"alg": nil, "x5c": []string{certificateFor(t, ed)}}), "EdDSA Ed25519"},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys, skipped, err := keyset.ParseJWKS([]byte(`{"keys":[` + test.jwk + `]}`))
			if err != nil || len(keys) != 1 || len(skipped) > 0 {
				t.Fatalf("%v, skipped %v, error %v", keys, skipped, err)
			}
			if got := keys[0].Algorithms().String(); got != test.algorithms {
				t.Errorf("for %s, want %s", got, test.algorithms)
			}
		})
	}
}

func TestNotKeySets(t *testing.T) {
	good := change(tokentest.NewKey(t, "ES256", "one").JWK(), nil)
	for _, test := range []struct {
		name, text string
		want       error
	}{
		{"nothing", ``, keyset.ErrFormat},
		{"null", `null`, keyset.ErrFormat},
		{"an empty object", `{}`, keyset.ErrFormat},
		{"an array", `[` + good + `]`, keyset.ErrFormat},
		{"an error", `{"error":"server_error"}`, keyset.ErrFormat},
		{"HTML", `<!DOCTYPE html><title>Log in</title>`, keyset.ErrFormat},
		{"JSONP", `callback({"keys":[` + good + `]})`, keyset.ErrFormat},
		{"two byte order marks", "\xef\xbb\xbf\xef\xbb\xbf" + `{"keys":[` + good + `]}`, keyset.ErrFormat},
		{"a JWK that says what a set says", `{"keys":null,` + good[1:], keyset.ErrFormat},
		{"a JWK and more", good + `{}`, keyset.ErrFormat},
		{"a set and more", `{"keys":[` + good + `]} {}`, keyset.ErrFormat},
		{"half a set", `{"keys":[` + good, keyset.ErrFormat},
		{"two sets in one", `{"keys":[` + good + `],"keys":[` + good + `]}`, keyset.ErrFormat},
		{"keys in other case", `{"Keys":[` + good + `]}`, keyset.ErrFormat},
		{"keys that are null", `{"keys":null}`, keyset.ErrFormat},
		{"keys that are an object", `{"keys":{"0":` + good + `}}`, keyset.ErrFormat},
		{"an empty set", `{"keys":[]}`, keyset.ErrNoKeys},
		{"very deep nesting", `{"keys":` + strings.Repeat("[", 100_000), keyset.ErrFormat},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys, _, err := keyset.ParseJWKS([]byte(test.text))
			if !errors.Is(err, test.want) || keys != nil {
				t.Errorf("%v, error %v; want %v", keys, err, test.want)
			}
		})
	}
}

func TestManyKeys(t *testing.T) {
	jwk := tokentest.NewKey(t, "ES256", "one").JWK()
	jwks := make([]string, 10_000)
	for i := range jwks {
		jwks[i] = change(jwk, map[string]any{"kid": fmt.Sprint(i)})
	}
	jwks[0] = `{}`
	keys, skipped, err := keyset.ParseJWKS([]byte(`{"keys":[` + strings.Join(jwks, ",") + `]}`))
	if err != nil || len(keys) != 100 || keys[0].ID != "1" || keys[99].ID != "100" {
		t.Fatalf("%d keys, error %v; want 1 to 100", len(keys), err)
	}
	want := []keyset.Skipped{{Reason: "malformed", Count: 1}, {Reason: "too_many_keys", Count: 9_899}}
	if !slices.Equal(skipped, want) {
		t.Errorf("skipped %v, want %v", skipped, want)
	}
	twice := `{"keys":[` + jwks[1] + `,` + jwks[1] + `]}`
	if keys, skipped, _ := keyset.ParseJWKS([]byte(twice)); len(keys) != 1 ||
		!slices.Equal(skipped, []keyset.Skipped{{Reason: "duplicate_key", Count: 1}}) {
		t.Errorf("the same key twice: %v, skipped %v", keys, skipped)
	}
}

// Whatever a server sends, there is no panic, no unusable key, and no more keys than the selection allows.
func FuzzParseJWKS(f *testing.F) {
	for _, test := range skippedJWKs(f) {
		f.Add([]byte(`{"keys":[` + test.jwk + `]}`))
	}
	rs, ec := tokentest.NewKey(f, "RS256", "one"), tokentest.NewKey(f, "ES256", "one")
	f.Add([]byte(tokentest.JWKS(rs, ec, tokentest.NewKey(f, "EdDSA", "ed"))))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, skipped, err := keyset.ParseFewJWKs(data, keyset.Selection{Max: 3})
		if (err == nil) != (len(keys) > 0) || len(keys) > 3 {
			t.Fatalf("%d keys and error %v", len(keys), err)
		}
		for _, s := range skipped {
			if s.Count < 1 || s.Reason == "" {
				t.Fatalf("skipped %v", skipped)
			}
		}
		for _, key := range keys {
			if key.PublicKey() == nil || key.Algorithms() == 0 || len(key.ID) > 512 {
				t.Fatalf("unusable key %v", key)
			}
			again, err := keyset.NewStatic(key)
			if err != nil {
				t.Fatal(err)
			}
			for alg := range key.Algorithms().All() {
				if found, err := again.Find(t.Context(), alg, key.ID); err != nil || len(found) != 1 || found[0] != key {
					t.Fatalf("%v is not found: %v", key, err)
				}
			}
		}
	})
}
