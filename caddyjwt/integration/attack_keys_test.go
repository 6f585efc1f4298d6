package integration

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
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

// The token brings the key that verifies it, as JWK or as certificate chain: CVE-2018-0114, CVE-2025-24976,
// CVE-2026-27962. Headers that carry keys decide nothing.
func TestAttackKeyCarriedByTheToken(t *testing.T) {
	good := tokentest.NewKey(t, "RS256", "r1")
	mallory := tokentest.NewKey(t, "RS256", "mallory")
	as := tokentest.NewAS(t, tokentest.WithKeys(good))
	authority, trusted, certified := certifiedBy(t, mallory)
	s := start(t, gateFor(issuerByJWKS(as, "tls {\n ca "+trusted+"\n}")))
	der := certificateDER(t, mallory)
	chain := []string{base64.StdEncoding.EncodeToString(der)}
	sum := sha256.Sum256(der)
	for name, header := range map[string]map[string]any{
		"jwk":                        {"jwk": mallory.JWK()},
		"jwk with the good kid":      {"jwk": mallory.WithKID("r1").JWK(), "kid": "r1"},
		"jwk without kid":            {"jwk": mallory.JWK(), "kid": nil},
		"jwk as text":                {"jwk": asJSON(t, mallory.JWK())},
		"jwk of a secret":            {"jwk": map[string]any{"kty": "oct", "k": "AAAA"}},
		"x5c":                        {"x5c": chain},
		"x5c with the good kid":      {"x5c": chain, "kid": "r1"},
		"x5c as text":                {"x5c": chain[0]},
		"x5c of a trusted authority": {"x5c": []string{certified, authority}},
		"the same with the good kid": {"x5c": []string{certified, authority}, "kid": "r1"},
		"x5t of the own certificate": {"x5t#S256": b64(string(sum[:])), "kid": "r1"},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(mallory.Sign(t, issuedBy(as.URL), header)), "unknown_key", "invalid_signature")
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

// The token names the address where its key is; a verifier that fetches it trusts the attacker, and can be sent to any
// address inside (SSRF): CVE-2024-21643, CVE-2024-1233, CVE-2026-32301, CVE-2025-52477. Nothing that a token names is
// fetched.
func TestAttackKeyAddressInTheToken(t *testing.T) {
	good := tokentest.NewKey(t, "RS256", "r1")
	mallory := tokentest.NewKey(t, "RS256", "mallory")
	as := tokentest.NewAS(t, tokentest.WithKeys(good))
	s := start(t, gateFor(issuerWithKeys(as.URL, "discovery"), consumerAlice(t)))
	url, connections := trap(t)
	host := strings.TrimPrefix(url, "http://")
	for name, header := range map[string]map[string]any{
		"jku":                     {"jku": url + "/jwks"},
		"jku with the good kid":   {"jku": url + "/jwks", "kid": "r1"},
		"jku by user information": {"jku": "http://" + strings.TrimPrefix(as.URL, "http://") + "@" + host + "/"},
		"jku of a longer name":    {"jku": as.URL + ".evil.example/jwks"},
		"jku by redirect":         {"jku": as.URL + "/redirect?u=" + url},
		"x5u":                     {"x5u": url + "/cert.pem", "kid": "r1"},
		"kid is a URL":            {"kid": url + "/"},
		"kid is a file URL":       {"kid": "file:///etc/passwd"},
		"kid is a path":           {"kid": "../../../../dev/null"},
		"kid is a query":          {"kid": "r1' UNION SELECT 'secret"},
		"kid is a command":        {"kid": "r1|curl " + url},
		"kid has a placeholder":   {"kid": "{file./etc/passwd}"},
		"kid has line ends":       {"kid": "r1\r\nX-Admin: 1"},
		"kid has a NUL":           {"kid": "r1\x00"},
		"kid in another case":     {"kid": "R1"},
		"kid is empty":            {"kid": ""},
		"kid is of 4 KB":          {"kid": strings.Repeat("k", 4096)},
		"kid is a number":         {"kid": 1},
		"kid is an array":         {"kid": []string{"r1"}},
		"kid is an object":        {"kid": map[string]any{"r1": "r1"}},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(mallory.Sign(t, issuedBy(as.URL), header)), "unknown_key", "invalid_signature",
				"malformed_token")
		})
	}
	for _, iss := range []string{url, url + "/x", as.URL + "/../evil", as.URL + "@" + host, "{env.HOME}", "../../evil",
		as.URL + "/", strings.ToUpper(as.URL), as.URL + "#x", " " + as.URL} {
		s.attack(t, "iss "+iss, func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(mallory.Sign(t, issuedBy(iss))), "unknown_issuer")
		})
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to an address that only tokens name", n)
	}
}

// Two keys of one set have the same kid; a verifier that takes the first one fails for half of the tokens or tries a
// key with an algorithm that it is not for. Each key verifies its own family, the same on every try.
func TestAttackKeyWithKIDOfAnotherInTheSet(t *testing.T) {
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
// CVE-2026-49998, where keys were cached by kid alone. Keys are looked for only inside the issuer that iss names.
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

// The token has no kid and the set has many keys: trying all of them is work that the attacker orders, and trying keys
// of the wrong family is confusion. At most sixteen fitting keys are tried.
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

// The issuer takes a key back; a verifier that remembers verdicts or keys by kid goes on accepting what the key signed.
// A withdrawn key takes the remembered tokens with it.
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
