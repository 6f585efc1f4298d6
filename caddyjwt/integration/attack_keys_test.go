package integration

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
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
	"time"

	"github.com/golang-jwt/jwt/v5"

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

// One of several sources of keys skips the signature, because it has a path of its own: CVE-2026-24899, CVE-2026-23518,
// CVE-2026-38651. Every source refuses a token in which one bit of the signature is changed.
func TestAttackKeySignatureIsCheckedForEverySource(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "r1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := hmacKey(t)
	s := start(t, gateFor(
		issuerWithKeys(as.URL, "discovery"),
		issuerWithKeys("https://jwks.example", "jwks "+as.JWKSURL()),
		issuerWithKeys("https://file-jwks.example", "file "+file("jwks.json", tokentest.JWKS(key))),
		issuerWithKeys("https://file-pem.example", "file "+file("key.pem", key.PublicPEM())),
		issuerWithKeys("https://file-cert.example", "file "+file("cert.pem", certificate(t, key))),
		issuerWithKeys("https://pem.example", "pem `"+key.PublicPEM()+"`"),
		issuerWithKeys("https://cert.example", "pem `"+certificate(t, key)+"`"),
		issuerWithKeys("https://secret.example", "secret "+base64.StdEncoding.EncodeToString(secret.Secret())+" base64"),
		"consumer carol {\n credential carol-key {\n algorithm RS256\n public_key `"+key.PublicPEM()+"`\n}\n}",
		"consumer dave {\n credential dave-key {\n algorithm RS256\n public_key "+file("dave.pem", certificate(t, key))+
			"\n}\n}",
		consumerAlice(t)))
	for issuer, signer := range map[string]*tokentest.Key{
		as.URL: key, "https://jwks.example": key, "https://file-jwks.example": key, "https://file-pem.example": key,
		"https://file-cert.example": key,
		"https://pem.example":       key, "https://cert.example": key, "https://secret.example": secret, "carol-key": key,
		"dave-key": key, "alice-key": secret,
	} {
		token := signer.Sign(t, issuedBy(issuer))
		s.attack(t, "control: "+issuer, func(t *testing.T, a *attempt) { a.passed(a.send(token)) })
		s.attack(t, issuer+" with a flipped bit", func(t *testing.T, a *attempt) {
			a.refusedFor(a.send(tokentest.FlipSignature(t, token)), "invalid_signature")
		})
		// the good one is in the cache by now
		s.attack(t, issuer+" with a flipped bit, remembered", func(t *testing.T, a *attempt) {
			a.passed(a.send(token))
			a.refusedFor(a.send(tokentest.FlipSignature(t, token)), "invalid_signature")
		})
	}
}

// The path of a key file is written where the secret belongs, and the path itself, which everybody can guess, becomes
// the secret: CVE-2021-41106. The two have different names, and the path of a file is no secret.
func TestAttackKeyPathTakenAsSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a-file-with-a-long-name-that-holds-the-secret.key")
	if err := os.WriteFile(path, hmacKey(t).Secret(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := prepare(t)
	s.refusedAtLoad(t, "the path of a file as the secret", "secret", func(s *site) error {
		return s.tryLoad(s.caddyfile(gateFor("consumer alice {\n credential k {\n algorithm HS256\n secret " + path +
			"\n}\n}")))
	})
	s.refusedAtLoad(t, "the path of a file as an issuer's secret", "secret", func(s *site) error {
		return s.tryLoad(s.caddyfile(gateFor(issuerWithKeys("https://a.example", "secret "+path))))
	})
	s.refusedAtLoad(t, "a public key that is no file", "public_key", func(s *site) error {
		return s.tryLoad(s.caddyfile(gateFor("consumer alice {\n credential k {\n algorithm RS256\n public_key " +
			"/no/such/file.pem\n}\n}")))
	})
	s.refusedAtLoad(t, "a private key as the public key", "private", func(s *site) error {
		return s.tryLoad(s.caddyfile(gateFor("consumer alice {\n credential k {\n algorithm RS256\n public_key `" +
			tokentest.NewKey(t, "RS256", "r1").PrivatePEM() + "`\n}\n}")))
	})
	s.refusedAtLoad(t, "a private key as the secret", "secret", func(s *site) error {
		return s.tryLoad(s.caddyfile(gateFor("consumer alice {\n credential k {\n algorithm HS256\n secret `" +
			tokentest.NewKey(t, "RS256", "r1").PrivatePEM() + "`\n}\n}")))
	})
}

// Keys from documentation end up in production, where everybody can sign with them: CVE-2023-22463, CVE-2026-48031. The
// examples of the RFCs and of the well-known web pages are refused.
func TestAttackKeyFromPublishedExamples(t *testing.T) {
	s := prepare(t)
	for name, secret := range map[string]string{
		"RFC 7515 appendix A.1": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow " +
			"base64",
		"RFC 7520 section 3.5": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg base64",
		"jwt.io":               "a-string-secret-at-least-256-bits-long",
		"jwt.io of old":        "your-256-bit-secret",
		"jwt.io for HS384":     "a-valid-string-secret-that-is-at-least-384-bits-long",
		"jwt.io for HS512":     "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
		"one letter":           strings.Repeat("a", 64),
	} {
		s.refusedAtLoad(t, name, "secret", func(s *site) error {
			return s.tryLoad(s.caddyfile(gateFor("consumer alice {\n credential k {\n algorithm HS256\n secret " + secret +
				"\n}\n}")))
		})
	}

	ed := ed25519.NewKeyFromSeed(unb64(t, "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
	ec := &ecdsa.PrivateKey{D: new(big.Int).SetBytes(unb64(t, "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"))}
	ec.Curve = elliptic.P256()
	ec.X, ec.Y = new(big.Int).SetBytes(unb64(t, "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")),
		new(big.Int).SetBytes(unb64(t, "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"))
	good := tokentest.NewKey(t, "RS256", "good")
	as := tokentest.NewAS(t)
	as.AnswerJWKS(200, tokentest.JWKSOf(good.JWK(),
		map[string]any{"kty": "EC", "crv": "P-256", "kid": "ec", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
			"y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
		map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}))
	s.load(gateFor(issuerByJWKS(as)))
	s.attack(t, "control: the good key", func(t *testing.T, a *attempt) {
		a.passed(a.send(good.Sign(t, issuedBy(as.URL))))
	})
	for name, test := range map[string]struct {
		alg, kid string
		key      any
	}{"RFC 7515 appendix A.3": {"ES256", "ec", ec}, "RFC 8037 appendix A": {"EdDSA", "ed", ed}} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			input := b64(`{"alg":"`+test.alg+`","kid":"`+test.kid+`"}`) + "." + b64(asJSON(t, issuedBy(as.URL)))
			signature, err := jwt.GetSigningMethod(test.alg).Sign(input, test.key)
			if err != nil {
				t.Fatal(err)
			}
			a.refusedFor(a.send(input+"."+b64(string(signature))), "unknown_key")
		})
	}
}

// A key set has keys that must not verify anything: for encryption, weak, off the curve, of small order, secret, or
// with the private half published. Using them, or failing because of them, is CVE-2016-9121, CVE-2022-23806,
// CVE-2026-42576 (a panic) and PyJWT's GHSA-w6j9-cwv2-h6wq; the good key of the same set must go on working.
func TestAttackKeyThatMustNotVerify(t *testing.T) {
	good := tokentest.NewKey(t, "RS256", "good")
	rsaKey, ec, ed := tokentest.NewKey(t, "RS256", "bad rsa"), tokentest.NewKey(t, "ES256", "bad ec"),
		tokentest.NewKey(t, "EdDSA", "bad ed")
	weak, err := weakRSA()
	if err != nil {
		t.Fatal(err)
	}
	with := func(key *tokentest.Key, changes ...any) map[string]any {
		jwk := key.WithKID("bad").JWK()
		for i := 0; i < len(changes); i += 2 {
			if changes[i+1] == nil {
				delete(jwk, changes[i].(string))
			} else {
				jwk[changes[i].(string)] = changes[i+1]
			}
		}
		return jwk
	}
	private := rsaKey.Private().(*rsa.PrivateKey)
	zeros := b64(string(make([]byte, 32)))
	for name, test := range map[string]struct {
		jwk    any
		signer func(input string) []byte
		alg    string
	}{
		"for encryption": {with(rsaKey, "use", "enc"), rsaKey.SignBytes, "RS256"},
		"without verify in key_ops": {with(rsaKey, "key_ops", []string{"encrypt"}, "use", nil), rsaKey.SignBytes,
			"RS256"},
		"with sign alone in key_ops": {with(ec, "key_ops", []string{"sign"}, "use", nil), ec.SignBytes, "ES256"},
		"with alg for encryption":    {with(rsaKey, "alg", "RSA-OAEP"), rsaKey.SignBytes, "RS256"},
		"with the private exponent":  {with(rsaKey, "d", b64(string(private.D.Bytes()))), rsaKey.SignBytes, "RS256"},
		"with the other prime": {with(rsaKey, "q", b64(string(private.Primes[1].Bytes()))), rsaKey.SignBytes,
			"RS256"},
		"with the private half of EC":      {with(ec, "d", b64(strings.Repeat("d", 32))), ec.SignBytes, "ES256"},
		"with the private half of Ed25519": {with(ed, "d", b64(strings.Repeat("d", 32))), ed.SignBytes, "EdDSA"},
		"with a member named priv":         {with(ec, "priv", b64(strings.Repeat("d", 32))), ec.SignBytes, "ES256"},
		"with one prime": {with(rsaKey, "p", b64(string(private.Primes[0].Bytes()))), rsaKey.SignBytes,
			"RS256"},
		"of 1024 bits": {map[string]any{"kty": "RSA", "kid": "bad", "alg": "RS256",
			"n": b64(string(weak.N.Bytes())), "e": "AQAB"}, weakSigner(t, weak), "RS256"},
		"with exponent 1":               {with(rsaKey, "e", "AQ"), rsaKey.SignBytes, "RS256"},
		"with an even exponent":         {with(rsaKey, "e", "AQAA"), rsaKey.SignBytes, "RS256"},
		"with a giant modulus":          {with(rsaKey, "n", strings.Repeat("_", 4096)), rsaKey.SignBytes, "RS256"},
		"off the curve":                 {with(ec, "x", zeros), ec.SignBytes, "ES256"},
		"at the origin":                 {with(ec, "x", zeros, "y", zeros), ec.SignBytes, "ES256"},
		"with a short coordinate":       {with(ec, "x", b64("short")), ec.SignBytes, "ES256"},
		"of another curve than it says": {with(ec, "crv", "P-384"), ec.SignBytes, "ES256"},
		"of an unknown curve":           {with(ec, "crv", "secp256k1"), ec.SignBytes, "ES256"},
		"without y":                     {with(ec, "y", nil), ec.SignBytes, "ES256"},
		"of small order": {with(ed, "x", b64("\x01"+string(make([]byte, 31)))), func(string) []byte {
			return append([]byte{1}, make([]byte, 63)...)
		}, "EdDSA"},
		"of order two": {with(ed, "x", b64("\xec"+strings.Repeat("\xff", 30)+"\x7f")),
			func(string) []byte {
				return append([]byte{1}, make([]byte, 63)...)
			}, "EdDSA"},
		"all zeros": {with(ed, "x", zeros), func(string) []byte { return make([]byte, 64) }, "EdDSA"},
		"too short": {with(ed, "x", b64("short")), ed.SignBytes, "EdDSA"},
		"null":      {nil, rsaKey.SignBytes, "RS256"},
		"a number":  {7, rsaKey.SignBytes, "RS256"},
		"empty":     {map[string]any{}, rsaKey.SignBytes, "RS256"},
		"of an unknown type": {map[string]any{"kty": "AKP", "kid": "bad", "alg": "ML-DSA-44", "pub": "AAAA"},
			rsaKey.SignBytes, "RS256"},
		"with a numeric kid": {with(rsaKey, "kid", 7), rsaKey.SignBytes, "RS256"},
		"a certificate that is another key": {with(rsaKey, "x5c",
			[]string{base64.StdEncoding.EncodeToString(certificateDER(t, good))}), nil, "RS256"},
	} {
		if test.signer == nil {
			continue // such a key may be used or skipped; it must only do no harm
		}
		as := tokentest.NewAS(t)
		as.AnswerJWKS(200, asJSON(t, map[string]any{"keys": []any{test.jwk, good.JWK()}}))
		s := start(t, gateFor(issuerByJWKS(as)))
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.passed(a.send(good.Sign(t, issuedBy(as.URL))))
			input := b64(`{"alg":"`+test.alg+`","kid":"bad"}`) + "." + b64(asJSON(t, issuedBy(as.URL)))
			a.refusedFor(a.send(input+"."+b64(string(test.signer(input)))), "unknown_key")
			for _, secret := range []string{b64(string(private.D.Bytes())), b64(string(private.Primes[0].Bytes())),
				b64(string(private.Primes[1].Bytes())), b64(strings.Repeat("d", 32))} {
				if strings.Contains(a.log(), secret[:40]) {
					t.Error("a private key is in the log")
				}
			}
			if strings.Contains(name, "priv") || strings.Contains(name, "prime") {
				eventually(t, "somebody is told that a private key was published", func() bool {
					return strings.Contains(a.log(), "private_key")
				})
			}
		})
	}
}

func weakRSA() (*rsa.PrivateKey, error) {
	_ = os.Setenv("GODEBUG", os.Getenv("GODEBUG")+",rsa1024min=0")
	return rsa.GenerateKey(rand.Reader, 1024)
}

func weakSigner(t *testing.T, key *rsa.PrivateKey) func(string) []byte {
	return func(input string) []byte {
		signature, err := jwt.SigningMethodRS256.Sign(input, key)
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
}

// The key set has a shared secret in it, or the attacker knows that the verifier has one: a symmetric key from a public
// address is known to everybody. HMAC tokens are not accepted from key sets at all.
func TestAttackKeySecretInAKeySet(t *testing.T) {
	good, secret := tokentest.NewKey(t, "RS256", "good"), tokentest.NewKey(t, "HS256", "oct")
	as := tokentest.NewAS(t, tokentest.WithKeys(good, secret))
	s := start(t, gateFor(issuerByJWKS(as)))
	s.attack(t, "control: the good key", func(t *testing.T, a *attempt) {
		a.passed(a.send(good.Sign(t, issuedBy(as.URL))))
	})
	s.attack(t, "HS256 with the published secret", func(t *testing.T, a *attempt) {
		a.refusedFor(a.send(secret.Sign(t, issuedBy(as.URL))), "unsupported_algorithm")
	})
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

// The certificate that verifies tokens has expired or is not valid yet; a compromised key that was retired by expiry
// would sign for ever (CVE-2026-33810 and CVE-2025-22874 are such lapses in X.509 checks). Such a certificate is
// refused when the configuration loads.
func TestAttackKeyOfACertificateOutOfItsTime(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "r1")
	s := prepare(t)
	for name, change := range map[string]func(*x509.Certificate){
		"expired": func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) },
		"not yet valid": func(c *x509.Certificate) {
			c.NotBefore = time.Now().Add(time.Hour)
			c.NotAfter = time.Now().Add(2 * time.Hour)
		},
	} {
		text := certificate(t, key, change)
		s.refusedAtLoad(t, name+" for a consumer", "certificate", func(s *site) error {
			return s.tryLoad(s.caddyfile(gateFor("consumer carol {\n credential carol-key {\n algorithm RS256\n public_key `" +
				text + "`\n}\n}")))
		})
		s.refusedAtLoad(t, name+" for an issuer", "certificate", func(s *site) error {
			return s.tryLoad(s.caddyfile(gateFor(issuerWithKeys("https://a.example", "pem `"+text+"`"))))
		})
		path := filepath.Join(t.TempDir(), "cert.pem")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.tryLoad(s.caddyfile(gateFor(issuerWithKeys("https://a.example", "file "+path)))); err == nil {
			s.attack(t, name+" in a file", func(t *testing.T, a *attempt) {
				a.refusedFor(a.send(key.Sign(t, issuedBy("https://a.example"))), "keys_unavailable", "unknown_key")
			})
		}
	}
	for name, change := range map[string]func(*x509.Certificate){
		"of an authority": func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		},
		"only for key encipherment": func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment },
	} {
		s.refusedAtLoad(t, name, "certificate", func(s *site) error {
			return s.tryLoad(s.caddyfile(gateFor(issuerWithKeys("https://a.example", "pem `"+certificate(t, key, change)+"`"))))
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
