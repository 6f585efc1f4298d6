package integration

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// One of several key sources has a path of its own in the code, which skips the signature: CVE-2026-24899,
// CVE-2026-23518, CVE-2026-38651. With every source, one changed bit in the signature makes the token invalid.
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

// The path of a key file stands where the secret belongs. Everybody can guess the path, which becomes the secret:
// CVE-2021-41106. Here the two words have different names, and a path is refused as a secret.
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
				eventually(t, "the log has the published private key", func() bool {
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

// A key set has a shared secret in it, which everybody can fetch, or the attacker knows that the gate has one. HMAC
// tokens are never accepted from key sets.
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

// The certificate that verifies tokens has expired, or is not valid yet. A compromised key that was retired by letting
// its certificate expire would sign for ever (CVE-2026-33810 and CVE-2025-22874 are such lapses in X.509 checks). Such
// a certificate is refused when the configuration loads.
func TestAttackKeyOfACertificateOutsideItsDates(t *testing.T) {
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
