package keyset_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Whatever a file contains, there is no panic, all keys are usable public keys, and reading it again gives the same
// keys.
func FuzzParseKeys(f *testing.F) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	rsaKey, ecKey, edKey := tokentest.NewKey(f, "RS256", "one"),
		tokentest.NewKey(f, "ES256", "two"), tokentest.NewKey(f, "EdDSA", "ed")
	for _, key := range []*tokentest.Key{rsaKey, ecKey, edKey, tokentest.NewKey(f, "ES512", "five")} {
		spki, certificate := key.PublicPEM(), certificatePEM(f, key, now.Add(time.Hour))
		for _, text := range []string{
			spki, certificate, der(f, spki), der(f, certificate), tokentest.JWKS(key), " \n" + spki + "text" + certificate,
			certificatePEM(f, key, now), certificate + tokentest.JWKS(key), "\xef\xbb\xbf" + spki,
		} {
			f.Add([]byte(text))
		}
	}
	f.Add([]byte(strangeCertificate(f, now.Add(time.Hour)))) // had an expiry though it had no key
	f.Add([]byte(tokentest.JWKS(rsaKey, ecKey, edKey)))
	f.Add([]byte(`{"kty":"oct","k":"AAAA"}`))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte("0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		given := bytes.Clone(data)
		keys, skipped, expires, err := keyset.ParseKeys(data, keyset.Selection{}, now)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys and error %v", len(keys), err)
		}
		if !expires.IsZero() && (err != nil || expires.Before(now)) {
			t.Fatalf("keys until %v, error %v", expires, err)
		}
		for _, key := range keys {
			wantPublic(t, key)
		}
		again, skippedAgain, expiresAgain, errAgain := keyset.ParseKeys(data, keyset.Selection{}, now)
		same := func(a, b *jose.Key) bool {
			return a.ID == b.ID && a.Algorithms() == b.Algorithms() && a.Thumbprint() == b.Thumbprint()
		}
		if !bytes.Equal(data, given) || !slices.EqualFunc(keys, again, same) || !slices.Equal(skipped, skippedAgain) ||
			!expires.Equal(expiresAgain) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Fatalf("%v, %v, %v, %v and then %v, %v, %v, %v", keys, skipped,
				expires, err, again, skippedAgain, expiresAgain, errAgain)
		}
	})
}

// wantPublic fails the test unless the key is of a kind and strength that may verify tokens.
func wantPublic(t *testing.T, key *jose.Key) {
	t.Helper()
	if key.Algorithms() == 0 || key.Algorithms()&^jose.AsymmetricAlgorithms() != 0 {
		t.Fatalf("algorithms %v", key.Algorithms())
	}
	switch material := key.PublicKey().(type) {
	case *rsa.PublicKey:
		if bits := material.N.BitLen(); bits < 2048 || bits > 16384 || material.E < 3 || material.E%2 == 0 {
			t.Fatalf("RSA key of %d bits with exponent %d", bits, material.E)
		}
	case *ecdsa.PublicKey:
		if _, err := material.ECDH(); err != nil { // knows the curves, and checks that the point is on it
			t.Fatal(err)
		}
	case ed25519.PublicKey:
		if len(material) != ed25519.PublicKeySize {
			t.Fatalf("Ed25519 key of %d bytes", len(material))
		}
	default:
		t.Fatalf("a key of %T", material)
	}
}
