package gate_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/rotating"
	"github.com/caddyjwt/gateway/internal/sealed"
	"github.com/caddyjwt/gateway/internal/sealing"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// opener has the private halves of these keys.
func opener(tb testing.TB, keys ...*tokentest.Key) *gate.Decryption {
	tb.Helper()
	var texts []sealed.Text
	for _, key := range keys {
		parsed, err := sealed.Parse([]byte(key.PrivatePEM()), nil, key.KID)
		if err != nil {
			tb.Fatal(err)
		}
		template := rotating.Template{Parts: []rotating.Part{{Text: key.PrivatePEM()}}, First: key.PrivatePEM()}
		texts = append(texts, sealed.Text{Template: template, First: parsed})
	}
	return &gate.Decryption{Keys: sealed.NewKeys(texts, nil)}
}

// encrypted is a token that is encrypted for a key, whose kid is in the header.
func encrypted(tb testing.TB, token string, to *tokentest.Key) string {
	tb.Helper()
	text, err := sealing.Seal(token, sealing.Recipient{Key: to.Public(), KeyID: to.KID})
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// decrypts is a gate whose only issuer signs with sign, and encrypts for one of the keys.
func decrypts(tb testing.TB, sign *tokentest.Key, keys ...*tokentest.Key) *gate.Gate {
	tb.Helper()
	return build(tb, sign, func(c *gate.Config) { c.Issuers[0].Decrypt = opener(tb, keys...) })
}

func TestTokensEncryptedForUs(t *testing.T) {
	sign, other := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "other")
	enc, old := tokentest.NewKey(t, "ES256", "enc"), tokentest.NewKey(t, "RS256", "old")
	nameless := enc.WithKID("")
	g := decrypts(t, sign, enc, old)
	good := sign.Sign(t, says())
	for _, test := range []struct {
		name, token string
		want        gate.Reason
	}{
		{"for the EC key", encrypted(t, good, enc), ""},
		{"for the RSA key", encrypted(t, good, old), ""},
		{"without a kid", encrypted(t, good, nameless), ""},
		{"not encrypted", good, ""},
		{"for another key", encrypted(t, good, other), gate.DecryptionFailed},
		{"for another key of that name", encrypted(t, good, other.WithKID("enc")), gate.DecryptionFailed},
		{"for a key of another name", encrypted(t, good, enc.WithKID("old")), gate.DecryptionFailed},
		{"signed by another", encrypted(t, other.WithKID("k1").Sign(t, says()), enc), gate.InvalidSignature},
		{"signed by a key that is not the issuer's", encrypted(t, other.Sign(t, says()), enc), gate.UnknownKey},
		{"not signed", encrypted(t, "eyJhbGciOiJub25lIn0."+strings.Split(good, ".")[1]+".", enc), gate.MalformedToken},
		{"alg none", encrypted(t, tokentest.NewKey(t, "ES256", "k1").SignRaw(`{"alg":"none"}`, `{}`), enc),
			gate.UnsupportedAlgorithm},
		{"claims only", encrypted(t, `{"iss":"`+issuerA+`"}`, enc), gate.MalformedToken},
		{"encrypted twice", encrypted(t, encrypted(t, good, enc), enc), gate.DecryptionFailed},
		{"nothing that is known", encrypted(t, "opaque", enc), gate.MalformedToken},
		{"of another issuer", encrypted(t, sign.Sign(t, says(m{"iss": issuerB})), enc), gate.UnknownIssuer},
		{"expired", encrypted(t, sign.Sign(t, says(m{"exp": start.Unix() - 100})), enc), gate.Expired},
		{"for another audience", encrypted(t, sign.Sign(t, says(m{"aud": "x"})), enc), gate.InvalidAudience},
		{"an ID token", encrypted(t, sign.Sign(t, says(), m{"typ": "id_token+jwt"}), enc), gate.InvalidType},
		{"a logout token", encrypted(t, sign.Sign(t, says(), m{"typ": "logout+jwt"}), enc), gate.InvalidType},
		{"nested inside, too", encrypted(t, sign.Sign(t, says(), m{"cty": "JWT"}), enc), gate.MalformedToken},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 {
				if test.want == "" {
					if id := accepted(t, g, request(test.token)); id.Issuer != issuerA {
						t.Errorf("%+v", id)
					}
				} else {
					refused(t, g, request(test.token), test.want)
				}
			}
		})
	}
}

// Nobody but the issuer for whose tokens a key is can use it: the gate opens with all keys, and says nothing about it.
func TestEncryptedForTheKeyOfAnotherIssuer(t *testing.T) {
	a, b, c := tokentest.NewKey(t, "ES256", "a"), tokentest.NewKey(t, "ES256", "b"), tokentest.NewKey(t, "ES256", "c")
	encA, encB := tokentest.NewKey(t, "ES256", "enc-a"), tokentest.NewKey(t, "ES256", "enc-b")
	g := build(t, a, func(config *gate.Config) {
		config.Issuers[0].Decrypt = opener(t, encA)
		second, third := issuer(t, issuerB, b), issuer(t, "https://third.example", c)
		second.KeysID[0], third.KeysID[0] = 2, 3
		second.Decrypt = opener(t, encB)
		config.Issuers = append(config.Issuers, second, third)
	})
	ofA, ofB := a.Sign(t, says()), b.Sign(t, says(m{"iss": issuerB}))
	ofC := c.Sign(t, says(m{"iss": "https://third.example"}))
	accepted(t, g, request(encrypted(t, ofA, encA)))
	accepted(t, g, request(encrypted(t, ofB, encB)))
	accepted(t, g, request(ofC))
	refused(t, g, request(encrypted(t, ofA, encB)), gate.DecryptionFailed)
	refused(t, g, request(encrypted(t, ofB, encA)), gate.DecryptionFailed)
	refused(t, g, request(encrypted(t, ofC, encA)), gate.DecryptionFailed)
}

func TestEncryptionIsRequired(t *testing.T) {
	alice := tokentest.NewKey(t, "ES256", "alice")
	sign, enc := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "enc")
	g := build(t, sign, func(c *gate.Config) {
		c.Issuers[0].Decrypt = opener(t, enc)
		c.Issuers[0].Decrypt.Required = true
		c.Audience.Any = true
		c.Consumers = append(c.Consumers, consumer(t, "alice", "alice-key", alice))
	})
	accepted(t, g, request(alice.WithKID("alice-key").Sign(t, says(m{"iss": "alice-key"}))))
	accepted(t, g, request(encrypted(t, sign.Sign(t, says()), enc)))
	refused(t, g, request(sign.Sign(t, says())), gate.NotEncrypted)
}

// header changes the header of an encrypted token. Its tag then is wrong, unless nobody looks at it.
func header(tb testing.TB, token string, change func(m)) string {
	tb.Helper()
	first, rest, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		tb.Fatal(err)
	}
	var members m
	if err := json.Unmarshal(text, &members); err != nil {
		tb.Fatal(err)
	}
	change(members)
	if text, err = json.Marshal(members); err != nil {
		tb.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text) + "." + rest
}

// What a header may not have is refused before a key is used: the reason says which rule, and the cause why.
func TestHeadersOfEncryptedTokens(t *testing.T) {
	sign, enc := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "enc")
	g := decrypts(t, sign, enc)
	token := encrypted(t, sign.Sign(t, says()), enc)
	for _, test := range []struct {
		name  string
		value any
		cause string
	}{
		{"zip", "DEF", `malformed token: "zip" is not accepted`}, {"crit", []string{"x"}, "critical"},
		{"jwk", m{"kty": "EC"}, "not accepted"}, {"jku", "https://evil.example", "not accepted"},
		{"x5u", "https://evil.example", "not accepted"}, {"x5c", []string{"AAAA"}, "not accepted"},
		{"x5t", "AAAA", "not accepted"}, {"x5t#S256", "AAAA", "not accepted"}, {"p2c", 1 << 30, "not accepted"},
		{"p2s", "AAAA", "not accepted"}, {"b64", false, "not accepted"}, {"iv", "AAAA", "not accepted"},
		{"tag", "AAAA", "not accepted"}, {"cty", nil, "not a JWT"}, {"cty", "text/plain", "not a JWT"},
		{"cty", 7, "not a JWT"}, {"kid", "", `"kid"`}, {"kid", 7, `"kid"`}, {"typ", 7, `"typ"`},
		{"alg", "RSA1_5", "no key here opens it"}, {"alg", "dir", "no key here opens it"},
		{"alg", "PBES2-HS256+A128KW", "no key here opens it"}, {"alg", "RSA-OAEP", "no key here opens it"},
		{"alg", "ES256", "no key here opens it"}, {"enc", "A128CBC", "no key here opens it"},
		{"enc", "A192GCM", "no key here opens it"}, {"epk", nil, "no key here opens it"}, {"epk", "x", `"epk"`},
		{"epk", m{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA", "d": "AAAA"}, `"epk"`},
		{"epk", m{"kty": "OKP", "crv": "X25519", "x": "AAAA"}, `"epk"`}, {"apu", "not base64url!", `"apu"`},
		{"apv", strings.Repeat("A", 2000), `"apv"`}, {"iss", "https://nobody.example", "no key here opens it"},
		{"kid", "another", "no key here opens it"}, {"x", 1, "no key here opens it"},
	} {
		changed := header(t, token, func(h m) {
			if h[test.name] = test.value; test.value == nil {
				delete(h, test.name)
			}
		})
		f := refused(t, g, request(changed), gate.DecryptionFailed)
		if f.Cause == nil || !strings.Contains(f.Cause.Error(), test.cause) {
			t.Errorf("%s %v: the cause is %v", test.name, test.value, f.Cause)
		}
	}
	refused(t, g, request(header(t, token, func(h m) { h["typ"] = "logout+jwt" })), gate.InvalidType)
}

// Claims that the header repeats are those inside (RFC 7519 section 5.3).
func TestRepeatedClaims(t *testing.T) {
	sign, enc := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "enc")
	g := decrypts(t, sign, enc)
	inner := says(m{"aud": []string{api}, "co": m{"a": 1, "b": []any{"x", nil}}, "text": "a\"b"})
	for _, test := range []struct {
		name string
		with m
		ok   bool
	}{
		{"none", m{}, true},
		{"equal", m{"iss": issuerA, "sub": inner["sub"], "aud": []string{api}}, true},
		{"an equal object", m{"co": m{"b": []any{"x", nil}, "a": 1}}, true},
		{"an equal text", m{"text": "a\"b"}, true},
		{"one that is no claim", m{"prod": "x"}, true},
		{"another subject", m{"sub": "other"}, false},
		{"another audience", m{"aud": []string{api, "x"}}, false},
		{"a text for a list", m{"aud": api}, false},
		{"another object", m{"co": m{"a": 1, "b": []any{"x", 0}}}, false},
		{"a smaller object", m{"co": m{"a": 1}}, false},
		{"a number for a text", m{"text": 7}, false},
		{"a registered claim that is not inside", m{"jti": "7"}, false},
		{"null for a claim", m{"sub": nil}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			token := sealedWith(t, sign.Sign(t, inner), enc, test.with)
			if test.ok {
				accepted(t, g, request(token))
			} else {
				refused(t, g, request(token), gate.Contradiction)
			}
		})
	}
	refused(t, g, request(sealedWith(t, sign.Sign(t, inner), enc, m{"iss": issuerB})), gate.DecryptionFailed)
}

// A key that is taken away opens nothing any more, remembered tokens neither.
func TestWithdrawnDecryptionKey(t *testing.T) {
	sign := tokentest.NewKey(t, "ES256", "k1")
	enc, next := tokentest.NewKey(t, "ES256", "enc"), tokentest.NewKey(t, "ES256", "next")
	path := filepath.Join(t.TempDir(), "key.pem")
	write := func(key *tokentest.Key) {
		t.Helper()
		old := time.Now().Add(-time.Minute) // the content has settled
		if err := errors.Join(os.WriteFile(path, []byte(key.PrivatePEM()), 0o600), os.Chtimes(path, old, old)); err != nil {
			t.Fatal(err)
		}
	}
	write(enc)
	first, err := sealed.Parse([]byte(enc.PrivatePEM()), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	keys := sealed.NewKeys([]sealed.Text{{First: first, Template: rotating.Template{
		Parts: []rotating.Part{{Text: path, File: true}}, First: enc.PrivatePEM(),
	}}}, nil)
	g, source := cached(t, newCache(t, 1<<20), sign, func(c *gate.Config) {
		c.Issuers[0].Decrypt = &gate.Decryption{Keys: keys}
	})
	token := encrypted(t, sign.Sign(t, says()), enc)
	finds := source.finds.Load()
	for range 3 {
		accepted(t, g, request(token))
	}
	if n := source.finds.Load() - finds; n > 2 {
		t.Errorf("%d signatures for one token", n)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(next)
	for end := time.Now().Add(time.Minute); slices.ContainsFunc(keys.Again(), first[0].Same); {
		if time.Now().After(end) {
			t.Fatal("the key is gone, and still there")
		}
	}
	refused(t, g, request(token), gate.DecryptionFailed)
	accepted(t, g, request(encrypted(t, sign.Sign(t, says()), next)))
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(enc)
	for end := time.Now().Add(time.Minute); ; { // soon, because the token asks for its key
		if _, err := g.Check(direct(request(token))); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the key is back, and opens nothing")
		}
	}
}

// sealedWith encrypts with more members in the header.
func sealedWith(tb testing.TB, token string, to *tokentest.Key, members m) string {
	tb.Helper()
	return sealedAs(tb, token, to, "ECDH-ES", "A256GCM", members)
}

// sealedAs encrypts in any way. A member that is nil is left out, unless the library sets it itself.
func sealedAs(tb testing.TB, token string, to *tokentest.Key, alg, enc string, members m) string {
	tb.Helper()
	options := (&jose.EncrypterOptions{}).WithContentType("JWT")
	for name, value := range members {
		options.WithHeader(jose.HeaderKey(name), value)
	}
	if members["zip"] != nil {
		options.Compression = jose.DEFLATE
	}
	e, err := jose.NewEncrypter(jose.ContentEncryption(enc),
		jose.Recipient{Algorithm: jose.KeyAlgorithm(alg), Key: to.Public(), KeyID: to.KID}, options)
	if err != nil {
		tb.Fatal(err)
	}
	object, err := e.Encrypt([]byte(token))
	if err != nil {
		tb.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// Operators cannot read an encrypted token, so they revoke it as it is, whatever its jti.
func TestEncryptedTokenIsRevokedByItsText(t *testing.T) {
	sign, enc := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "enc")
	inner := sign.Sign(t, says(m{"jti": "7"}))
	one, two := encrypted(t, inner, enc), encrypted(t, sign.Sign(t, says(m{"jti": "8"})), enc)
	g := build(t, sign, revokes(t, revoke.Target{Issuer: issuerA, Kind: revoke.Text, Value: revoke.Digest(one)}),
		func(c *gate.Config) { c.Issuers[0].Decrypt = opener(t, enc) })
	refused(t, g, request(one), gate.Revoked)
	accepted(t, g, request(two))
	g = build(t, sign, revokes(t, revoke.Target{Issuer: issuerA, Kind: revoke.ID, Value: "7"}),
		func(c *gate.Config) { c.Issuers[0].Decrypt = opener(t, enc) })
	refused(t, g, request(one), gate.Revoked)
	refused(t, g, request(inner), gate.Revoked)
	accepted(t, g, request(two))
}
