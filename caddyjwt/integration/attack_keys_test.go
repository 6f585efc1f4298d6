package integration

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// trap counts who connects to it.
func trap(t *testing.T) (url string, connections *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	count := new(atomic.Int64)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			count.Add(1)
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String(), count
}

// The token brings its certificate, which an authority has issued that the gate trusts for TLS. That vouches for the
// name of a server, not for tokens.
func TestAttackKeyCertifiedByATrustedAuthority(t *testing.T) {
	good := tokentest.NewKey(t, "RS256", "r1")
	mallory := tokentest.NewKey(t, "RS256", "mallory")
	as := tokentest.NewAS(t, tokentest.WithKeys(good))
	authority, trusted, certified := certifiedBy(t, mallory)
	s := start(t, gateFor(issuerByJWKS(as, "tls {\n ca "+trusted+"\n}")))
	for kid, reason := range map[string]string{"mallory": "unknown_key", "r1": "invalid_signature"} {
		header := map[string]any{"x5c": []string{certified, authority}, "kid": kid}
		s.attack(t, "kid "+kid, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(mallory.Sign(t, issuedBy(as.URL), header)), reason)
		})
	}
}

// certifiedBy makes an authority that certifies a key: the authority's certificate as in x5c and as a file, and the
// key's.
func certifiedBy(t *testing.T, key *tokentest.Key) (authority, file, certified string) {
	t.Helper()
	signer := tokentest.NewKey(t, "ES256", "authority")
	der := certificateDER(t, signer, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	parent, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "issuer"}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: parent.NotBefore, NotAfter: parent.NotAfter,
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, parent, key.Public(), signer.Private())
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der), file, base64.StdEncoding.EncodeToString(leafDER)
}

// Two keys of one set have the same kid. A verifier that takes the first one fails for half of the tokens, or tries a
// key with an algorithm of another family. Here each key verifies its own family, and always with the same result.
func TestAttackKeysWithTheSameID(t *testing.T) {
	rsaKey, ecKey := tokentest.NewKey(t, "RS256", "same"), tokentest.NewKey(t, "ES256", "same")
	first, second := tokentest.NewKey(t, "EdDSA", "twin"), tokentest.NewKey(t, "EdDSA", "other twin").WithKID("twin")
	mallory := tokentest.NewKey(t, "RS256", "mallory").WithKID("same")
	as := tokentest.NewAS(t, tokentest.WithKeys(rsaKey, ecKey, first, second))
	s := start(t, gateFor(issuerByJWKS(as)))
	for _, key := range []*tokentest.Key{rsaKey, ecKey} {
		s.attack(t, "control: "+key.Alg+" passes", func(t *testing.T, a *attempt) {
			a.passed(a.send(key.Sign(t, issuedBy(as.URL))))
		})
	}
	for i, key := range []*tokentest.Key{first, second} {
		s.attack(t, fmt.Sprintf("twin %d is judged the same on every try", i+1), func(t *testing.T, a *attempt) {
			status := a.send(key.Sign(t, issuedBy(as.URL, "jti", "x"))).StatusCode
			for range 5 {
				if again := a.send(key.Sign(t, issuedBy(as.URL, "jti", rand.Text()))).StatusCode; again != status {
					t.Errorf("status %d, then %d", status, again)
				}
			}
		})
	}
	s.attack(t, "a third key with this kid", func(t *testing.T, a *attempt) {
		a.refusedFor(a.send(mallory.Sign(t, issuedBy(as.URL))), "invalid_signature")
	})
}

// Another issuer, trusted for its own tokens, publishes a key with the kid of the first and signs tokens in its name:
// CVE-2026-49998, where keys were cached by kid alone. Keys are looked up only among those of the issuer that iss
// names.
func TestAttackKeyOfAnotherIssuer(t *testing.T) {
	keyA, keyB := tokentest.NewKey(t, "RS256", "k"), tokentest.NewKey(t, "RS256", "k of b").WithKID("k")
	a, b := tokentest.NewAS(t, tokentest.WithKeys(keyA)), tokentest.NewAS(t, tokentest.WithKeys(keyB))
	s := start(t, gateFor(issuerByJWKS(a), issuerByJWKS(b), consumerAlice(t)))
	for name, token := range map[string]string{
		"control: A":          keyA.Sign(t, issuedBy(a.URL)),
		"control: B":          keyB.Sign(t, issuedBy(b.URL)),
		"control: a consumer": hmacKey(t).Sign(t, claims()),
	} {
		s.attack(t, name, func(t *testing.T, at *attempt) { at.passed(at.send(token)) })
	}
	for name, token := range map[string]string{
		"B signs for A":             keyB.Sign(t, issuedBy(a.URL)),
		"B signs for A without kid": keyB.Sign(t, issuedBy(a.URL), map[string]any{"kid": nil}),
		"A signs for B":             keyA.Sign(t, issuedBy(b.URL)),
		"A signs for a consumer":    keyA.Sign(t, claims()),
		"a consumer signs for A":    hmacKey(t).Sign(t, issuedBy(a.URL)),
		"iss of both": keyB.SignRaw(`{"alg":"RS256","kid":"k"}`,
			`{"iss":["`+a.URL+`","`+b.URL+`"],"exp":4000000000}`),
		"iss twice, A first": keyB.SignRaw(`{"alg":"RS256","kid":"k"}`,
			`{"iss":"`+a.URL+`","iss":"`+b.URL+`","exp":4000000000}`),
		"iss in the header is not read": keyB.Sign(t, issuedBy(a.URL), map[string]any{"iss": b.URL}),
	} {
		s.attack(t, name, func(t *testing.T, at *attempt) {
			at.refusedFor(at.send(token), "invalid_signature", "unsupported_algorithm", "malformed_token", "unknown_key")
		})
	}
}

// The token has no kid, and the set has many keys. Trying them all is work that the attacker orders. At most sixteen
// fitting keys are tried.
func TestAttackKeyTokenWithoutKIDAndManyKeys(t *testing.T) {
	mallory := tokentest.NewKey(t, "EdDSA", "mallory")
	for _, n := range []int{1, 2, 90, 200} {
		var keys []*tokentest.Key
		for i := range n {
			keys = append(keys, tokentest.NewKey(t, "EdDSA", fmt.Sprintf("many %d", i)))
		}
		as := tokentest.NewAS(t, tokentest.WithKeys(keys...))
		s := start(t, gateFor(issuerByJWKS(as)))
		s.attack(t, fmt.Sprintf("%d keys", n), func(t *testing.T, a *attempt) {
			if n <= 16 {
				a.passed(a.send(keys[n-1].WithKID("").Sign(t, issuedBy(as.URL))))
			}
			a.passed(a.send(keys[0].Sign(t, issuedBy(as.URL))))
			a.cheaply(func() {
				a.refusedFor(a.send(mallory.WithKID("").Sign(t, issuedBy(as.URL))), "invalid_signature", "unknown_key")
			})
		})
	}
}

// The issuer withdraws a key. A verifier that remembers verdicts, or keys by kid, goes on accepting what that key has
// signed. Here remembered tokens go with their key.
func TestAttackKeyWithdrawnWhileTokensAreRemembered(t *testing.T) {
	old, fresh := tokentest.NewKey(t, "RS256", "old"), tokentest.NewKey(t, "RS256", "fresh")
	as := tokentest.NewAS(t, tokentest.WithKeys(old))
	s := start(t, gateFor(issuerByJWKS(as)))
	token := old.Sign(t, issuedBy(as.URL))
	s.attack(t, "control: before", func(t *testing.T, a *attempt) {
		a.passed(a.send(token))
		a.passed(a.send(token))
	})
	as.SetKeys(fresh)
	s.attack(t, "after", func(t *testing.T, a *attempt) {
		a.passed(a.send(fresh.Sign(t, issuedBy(as.URL)))) // an unknown kid makes the gate fetch
		a.refusedFor(a.send(token), "unknown_key")
	})
	s.attack(t, "under the kid of the new key", func(t *testing.T, a *attempt) {
		a.refusedFor(a.send(old.WithKID("fresh").Sign(t, issuedBy(as.URL))), "invalid_signature")
	})
}
