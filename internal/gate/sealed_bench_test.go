package gate_test

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

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
		b.Run("alg="+alg+"/what=difference", func(b *testing.B) {
			g, r := decrypts(b, sign, ec, rsa), request(token)
			open, verify := alone(b, token, alg, "A256GCM", to), bare(b, sign, inner)
			compare(b, func() bool { return passes(g, r) }, func() bool { return open() == inner && verify() })
		})
	}
}

func passes(g *gate.Gate, r *http.Request) bool {
	_, err := g.Check(direct(r))
	return err == nil
}

// compare reports by how much one takes longer than the other. It runs them in turn, so that a machine which becomes
// busy slows both, and takes the median of the differences.
func compare(b *testing.B, one, other func() bool) {
	b.Helper()
	took := func(f func() bool) time.Duration {
		start := time.Now()
		if !f() {
			b.Fatal("not good")
		}
		return time.Since(start)
	}
	var differences []time.Duration
	for b.Loop() {
		if len(differences)%2 == 0 {
			first := took(one)
			differences = append(differences, first-took(other))
		} else {
			first := took(other)
			differences = append(differences, took(one)-first)
		}
	}
	slices.Sort(differences)
	b.ReportMetric(float64(differences[len(differences)/2].Nanoseconds()), "more-ns/op")
}

// What a plain JWT costs where encrypted ones are accepted, too, and what a remembered one does.
func BenchmarkBesideEncrypted(b *testing.B) {
	sign, enc := tokentest.NewKey(b, "ES256", "k1"), tokentest.NewKey(b, "ES256", "enc")
	inner := sized(b, sign, 850)
	with := func(c *gate.Config) { c.Issuers[0].Decrypt = opener(b, enc) }
	b.Run("token=jwt/decrypt=no", func(b *testing.B) { check(b, build(b, sign), request(inner), "") })
	b.Run("token=jwt/decrypt=yes", func(b *testing.B) { check(b, build(b, sign, with), request(inner), "") })
	b.Run("token=jwt/what=difference", func(b *testing.B) {
		g, r, verify := build(b, sign, with), request(inner), bare(b, sign, inner)
		compare(b, func() bool { return passes(g, r) }, verify)
	})
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

// How long refusals take, and by how much longer than that of a wrong tag: content that is padded badly and a wrong key
// must not look other than that.
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
	wrapped := sealedAs(b, inner, ec, "ECDH-ES+A256KW", "A128CBC-HS256", nil)
	oaep := sealedAs(b, inner, rsa, "RSA-OAEP-256", "A128CBC-HS256", nil)
	for _, test := range []struct{ name, token, other string }{
		{"alg=ECDH-ES/wrong=tag-end", flip(cbc, 4, -1), flip(cbc, 4, 0)},
		{"alg=ECDH-ES/wrong=padding", flip(cbc, 3, -17), flip(cbc, 4, 0)},
		{"alg=ECDH-ES/wrong=content", flip(cbc, 3, 0), flip(cbc, 4, 0)},
		{"alg=ECDH-ES+A256KW/wrong=key", flip(wrapped, 1, 0), flip(wrapped, 4, 0)},
		{"alg=RSA-OAEP-256/wrong=padding", flip(oaep, 3, -17), flip(oaep, 4, 0)},
		{"alg=RSA-OAEP-256/wrong=key", flip(oaep, 1, 10), flip(oaep, 4, 0)},
		{"alg=RSA-OAEP-256/wrong=key-end", flip(oaep, 1, -1), flip(oaep, 4, 0)},
	} {
		b.Run(test.name, func(b *testing.B) { check(b, g, request(test.token), gate.DecryptionFailed) })
		b.Run(test.name+"/than=tag", func(b *testing.B) {
			one, other := request(test.token), request(test.other)
			compare(b, func() bool { return !passes(g, one) }, func() bool { return !passes(g, other) })
		})
	}
}
