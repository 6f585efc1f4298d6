package gate_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// bare is the check of a token's signature with the standard library and nothing around it.
func bare(tb testing.TB, key *tokentest.Key, token string) func() bool {
	tb.Helper()
	dot := strings.LastIndexByte(token, '.')
	input := []byte(token[:dot])
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		tb.Fatal(err)
	}
	id, digest := digests(tb, key.Alg)
	switch public := key.Public().(type) {
	case *rsa.PublicKey:
		if strings.HasPrefix(key.Alg, "PS") {
			return func() bool { return rsa.VerifyPSS(public, id, digest(input), signature, nil) == nil }
		}
		return func() bool { return rsa.VerifyPKCS1v15(public, id, digest(input), signature) == nil }
	case *ecdsa.PublicKey:
		half := len(signature) / 2
		return func() bool {
			r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
			return ecdsa.Verify(public, digest(input), r, s)
		}
	case ed25519.PublicKey:
		return func() bool { return ed25519.Verify(public, input, signature) }
	}
	return func() bool {
		mac := hmac.New(id.New, key.Secret())
		mac.Write(input)
		return hmac.Equal(mac.Sum(nil), signature)
	}
}

func digests(tb testing.TB, name string) (crypto.Hash, func([]byte) []byte) {
	tb.Helper()
	switch {
	case strings.HasSuffix(name, "384"):
		return crypto.SHA384, func(b []byte) []byte { sum := sha512.Sum384(b); return sum[:] }
	case strings.HasSuffix(name, "512"):
		return crypto.SHA512, func(b []byte) []byte { sum := sha512.Sum512(b); return sum[:] }
	default:
		return crypto.SHA256, func(b []byte) []byte { sum := sha256.Sum256(b); return sum[:] }
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	key := tokentest.NewKey(t, "RS256", "k1")
	for _, size := range []int{850, 3000, 8000} {
		g, keys := cached(t, newCache(t, 1<<20), key, func(c *gate.Config) {
			c.Audience, c.MaxLifetime, c.Require.Scopes = accept(api), 1<<40, []string{"orders.read"}
		})
		r := request(sized(t, key, size))
		accepted(t, g, r)
		if n := testing.AllocsPerRun(200, func() { _, _ = g.Check(direct(r)) }); n != 0 {
			t.Errorf("a hit of a token of %d bytes allocates %v times", size, n)
		}
		if keys.finds.Load() != 1 {
			t.Error("these were no hits")
		}
	}
}

func TestStripAllocatesNothing(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	g := build(t, tokentest.NewKey(t, "ES256", "k1"), forward(t, "sub", "X-User"))
	for _, connection := range []string{"keep-alive", "close", "Upgrade", "keep-alive, TE"} {
		r := request("t")
		r.Header.Set("Connection", connection)
		g.Strip(r)
		if n := testing.AllocsPerRun(200, func() { g.Strip(r) }); n != 0 {
			t.Errorf("Connection: %s: Strip allocates %v times", connection, n)
		}
	}
}

func TestColdAllocatesLittle(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	runs := 50
	if testing.Short() {
		runs = 5
	}
	for _, name := range []string{"HS256", "RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"} {
		key := tokentest.NewKey(t, name, "k1")
		token := sized(t, key, 850)
		g, verify, r := build(t, key), bare(t, key, token), request(token)
		accepted(t, g, r)
		floor := testing.AllocsPerRun(runs, func() { verify() })
		full := testing.AllocsPerRun(runs, func() { _, _ = g.Check(direct(r)) })
		t.Logf("%s: %v allocations, %v of them for the signature", name, full, floor)
		if full > floor+25 {
			t.Errorf("%s: %v allocations, want at most 25 above the %v of the signature", name, full, floor)
		}
	}
}

func TestRefusalAllocatesLittle(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	key := tokentest.NewKey(t, "EdDSA", "k1")
	g := build(t, key)
	for name, token := range map[string]string{
		"dots": strings.Repeat(".", 15_000), "letters": strings.Repeat("a", 16<<10), "opaque": "2YotnFZFEjr1zCsicMWpAA",
		"damaged": sized(t, key, 850) + "=", "forged": tokentest.FlipSignature(t, sized(t, key, 850)),
	} {
		r := request(token)
		if n := testing.AllocsPerRun(50, func() { _, _ = g.Check(direct(r)) }); n > 25 {
			t.Errorf("refusing %s allocates %v times, want at most 25", name, n)
		}
	}
}
