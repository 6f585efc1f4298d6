package gate_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// alone is what the library needs for a token, without anything around it.
func alone(tb testing.TB, token, alg, enc string, key *tokentest.Key) func() string {
	tb.Helper()
	algs, encs := []jose.KeyAlgorithm{jose.KeyAlgorithm(alg)}, []jose.ContentEncryption{jose.ContentEncryption(enc)}
	return func() string {
		parsed, err := jose.ParseEncryptedCompact(token, algs, encs)
		if err != nil {
			tb.Fatal(err)
		}
		content, err := parsed.Decrypt(key.Private())
		if err != nil {
			tb.Fatal(err)
		}
		return string(content)
	}
}

// An encrypted token that comes for the first time, beside its decryption by the library and its signature alone.
func BenchmarkEncrypted(b *testing.B) {
	sign := tokentest.NewKey(b, "ES256", "k1")
	ec, rsa := tokentest.NewKey(b, "ES256", "enc"), tokentest.NewKey(b, "RS256", "enc-rsa")
	inner := sized(b, sign, 850)
	for _, alg := range []string{"ECDH-ES", "ECDH-ES+A256KW", "RSA-OAEP-256"} {
		to := ec
		if strings.HasPrefix(alg, "RSA") {
			to = rsa
		}
		token := sealedAs(b, inner, to, alg, "A256GCM", nil)
		b.Run("alg="+alg+"/what=gate", func(b *testing.B) {
			check(b, decrypts(b, sign, ec, rsa), request(token), "")
		})
		b.Run("alg="+alg+"/what=bare", func(b *testing.B) {
			open, verify := alone(b, token, alg, "A256GCM", to), bare(b, sign, inner)
			b.ReportAllocs()
			for b.Loop() {
				if open() != inner || !verify() {
					b.Fatal("not good")
				}
			}
		})
	}
}

// What a plain JWT costs where encrypted ones are accepted, too, and what a remembered one does.
func BenchmarkBesideEncrypted(b *testing.B) {
	sign, enc := tokentest.NewKey(b, "ES256", "k1"), tokentest.NewKey(b, "ES256", "enc")
	inner := sized(b, sign, 850)
	with := func(c *gate.Config) { c.Issuers[0].Decrypt = opener(b, enc) }
	b.Run("token=jwt/decrypt=no", func(b *testing.B) { check(b, build(b, sign), request(inner), "") })
	b.Run("token=jwt/decrypt=yes", func(b *testing.B) { check(b, build(b, sign, with), request(inner), "") })
	b.Run("token=jwt/remembered", func(b *testing.B) {
		g, _ := cached(b, newCache(b, 32<<20), sign, with)
		check(b, g, request(inner), "")
	})
	b.Run("token=jwe/remembered", func(b *testing.B) {
		g, _ := cached(b, newCache(b, 32<<20), sign, with)
		check(b, g, request(encrypted(b, inner, enc)), "")
	})
	// As long as an encrypted one: the hash of a token takes its time.
	b.Run("token=jwt-of-that-size/remembered", func(b *testing.B) {
		g, _ := cached(b, newCache(b, 32<<20), sign, with)
		check(b, g, request(sized(b, sign, len(encrypted(b, inner, enc)))), "")
	})
}

// How long refusals take: a wrong tag must not look other than a content that is padded badly, or a wrong key.
func BenchmarkEncryptedRefused(b *testing.B) {
	sign := tokentest.NewKey(b, "ES256", "k1")
	ec, rsa := tokentest.NewKey(b, "ES256", "enc"), tokentest.NewKey(b, "RS256", "enc-rsa")
	g := decrypts(b, sign, ec, rsa)
	inner := sized(b, sign, 850)
	flip := func(token string, part, at int) string {
		parts := strings.Split(token, ".")
		raw, err := base64.RawURLEncoding.DecodeString(parts[part])
		if err != nil {
			b.Fatal(err)
		}
		raw = slices.Clone(raw)
		raw[(at+len(raw))%len(raw)] ^= 1
		parts[part] = base64.RawURLEncoding.EncodeToString(raw)
		return strings.Join(parts, ".")
	}
	cbc := sealedAs(b, inner, ec, "ECDH-ES", "A128CBC-HS256", nil)
	oaep := sealedAs(b, inner, rsa, "RSA-OAEP-256", "A128CBC-HS256", nil)
	for name, token := range map[string]string{
		"alg=ECDH-ES/wrong=tag":          flip(cbc, 4, 0),
		"alg=ECDH-ES/wrong=tag-end":      flip(cbc, 4, -1),
		"alg=ECDH-ES/wrong=padding":      flip(cbc, 3, -17),
		"alg=ECDH-ES/wrong=content":      flip(cbc, 3, 0),
		"alg=RSA-OAEP-256/wrong=tag":     flip(oaep, 4, 0),
		"alg=RSA-OAEP-256/wrong=padding": flip(oaep, 3, -17),
		"alg=RSA-OAEP-256/wrong=key":     flip(oaep, 1, 10),
		"alg=RSA-OAEP-256/wrong=key-end": flip(oaep, 1, -1),
	} {
		b.Run(name, func(b *testing.B) { check(b, g, request(token), gate.DecryptionFailed) })
	}
}
