package sealing_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/caddyjwt/gateway/internal/sealing"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

type m = map[string]any

const token = "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"

var (
	rsaKey = tokentest.NewRSA()
	p256   = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p384   = must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	p521   = must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func encodePEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// jwk is a JWK with further members. A nil removes a member.
func jwk(key any, members m) string {
	var all m
	plain := must(json.Marshal(jose.JSONWebKey{Key: key}))
	if err := json.Unmarshal(plain, &all); err != nil {
		panic(err)
	}
	for name, value := range members {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return string(must(json.Marshal(all)))
}

func set(jwks ...string) string { return `{"keys":[` + strings.Join(jwks, ",") + `]}` }

// opened is the header and the content of a JWE, opened by the library alone.
func opened(t *testing.T, sealed string, key any) (header m, content string) {
	t.Helper()
	if strings.Count(sealed, ".") != 4 {
		t.Fatalf("not a JWE in compact form: %q", sealed)
	}
	first, _, _ := strings.Cut(sealed, ".")
	if err := json.Unmarshal(must(base64.RawURLEncoding.DecodeString(first)), &header); err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.ParseEncryptedCompact(sealed,
		[]jose.KeyAlgorithm{jose.KeyAlgorithm(header["alg"].(string))},
		[]jose.ContentEncryption{jose.ContentEncryption(header["enc"].(string))})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := parsed.Decrypt(key)
	if err != nil {
		t.Fatal(err)
	}
	return header, string(plain)
}

func TestSealEncryptsWithEachAlgorithm(t *testing.T) {
	for _, c := range []struct {
		private    crypto.Signer
		algorithms []string // of the header, for each of those that are asked for
		asked      []string
	}{
		{rsaKey, []string{"RSA-OAEP-256", "RSA-OAEP-256", "RSA-OAEP"}, []string{"", "RSA-OAEP-256", "RSA-OAEP"}},
		{p256, []string{"ECDH-ES", "ECDH-ES", "ECDH-ES+A128KW"}, []string{"", "ECDH-ES", "ECDH-ES+A128KW"}},
		{p384, []string{"ECDH-ES"}, []string{""}},
		{p521, []string{"ECDH-ES+A256KW"}, []string{"ECDH-ES+A256KW"}},
	} {
		for i, asked := range c.asked {
			for encryption, written := range map[string]string{
				"": "A256GCM", "A128GCM": "A128GCM", "A256GCM": "A256GCM",
				"A128CBC-HS256": "A128CBC-HS256", "A256CBC-HS512": "A256CBC-HS512",
			} {
				sealed, err := sealing.Seal(token, sealing.Recipient{
					Key: c.private.Public(), KeyID: "one", Algorithm: asked, Encryption: encryption,
				})
				if err != nil {
					t.Fatalf("%s, %s: %v", asked, encryption, err)
				}
				header, content := opened(t, sealed, c.private)
				delete(header, "epk")
				want := m{"alg": c.algorithms[i], "enc": written, "cty": "JWT", "kid": "one"}
				if content != token || !maps.Equal(header, want) {
					t.Errorf("header %v, want %v; content %q", header, want, content)
				}
			}
		}
	}
}

func TestSealWritesNoKeyIDThatItIsNotGiven(t *testing.T) {
	header, _ := opened(t, must(sealing.Seal(token, sealing.Recipient{Key: &p256.PublicKey})), p256)
	if _, has := header["kid"]; has {
		t.Errorf("header %v", header)
	}
}

func TestSealRefusesWhatIsNotAllowed(t *testing.T) {
	for name, to := range map[string]sealing.Recipient{
		"RSA1_5":                          {Key: &rsaKey.PublicKey, Algorithm: "RSA1_5"},
		"an EC algorithm for an RSA key":  {Key: &rsaKey.PublicKey, Algorithm: "ECDH-ES"},
		"an RSA algorithm for an EC key":  {Key: &p256.PublicKey, Algorithm: "RSA-OAEP"},
		"dir":                             {Key: &p256.PublicKey, Algorithm: "dir"},
		"a shared secret":                 {Key: []byte("0123456789abcdef"), Algorithm: "A128KW"},
		"an Ed25519 key":                  {Key: tokentest.NewKey(t, "EdDSA", "").Public()},
		"a private key":                   {Key: p256},
		"no key":                          {},
		"an encryption that is not there": {Key: &p256.PublicKey, Encryption: "A192GCM"},
	} {
		if sealed, err := sealing.Seal(token, to); err == nil || sealed != "" {
			t.Errorf("%s: %q", name, sealed)
		}
	}
}

func certificate(usage x509.KeyUsage) string {
	// It has expired. Its dates do not matter.
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1, 0), KeyUsage: usage}
	return encodePEM("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, template, template, &p256.PublicKey, p256)))
}

func TestReadFindsTheRecipient(t *testing.T) {
	spki := encodePEM("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&p256.PublicKey)))
	forSignatures := jwk(&p384.PublicKey, m{"use": "sig", "kid": "signs"})
	for name, c := range map[string]struct {
		text, kid string
		want      sealing.Recipient
	}{
		"a public key": {spki, "", sealing.Recipient{Key: &p256.PublicKey}},
		"lines ending in CRLF, after a byte order mark": {
			"\xef\xbb\xbf" + strings.ReplaceAll(spki, "\n", "\r\n"), "", sealing.Recipient{Key: &p256.PublicKey},
		},
		"a PKCS#1 public key": {
			encodePEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)), "",
			sealing.Recipient{Key: &rsaKey.PublicKey},
		},
		"a certificate": {certificate(x509.KeyUsageKeyAgreement), "", sealing.Recipient{Key: &p256.PublicKey}},
		"a private key": {
			encodePEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(rsaKey))), "",
			sealing.Recipient{Key: &rsaKey.PublicKey},
		},
		"a SEC 1 private key": {
			encodePEM("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p521))), "", sealing.Recipient{Key: &p521.PublicKey},
		},
		"a JWK": {
			"\n " + jwk(&p256.PublicKey, m{"kid": "one"}), "", sealing.Recipient{Key: &p256.PublicKey, KeyID: "one"},
		},
		"a JWK with an algorithm": {
			jwk(&rsaKey.PublicKey, m{"use": "enc", "alg": "RSA-OAEP"}), "",
			sealing.Recipient{Key: &rsaKey.PublicKey, Algorithm: "RSA-OAEP"},
		},
		"a private JWK": {
			jwk(rsaKey, m{"kid": "one", "use": "enc"}), "", sealing.Recipient{Key: &rsaKey.PublicKey, KeyID: "one"},
		},
		"the only key of a set that is for encryption": {
			set(forSignatures, jwk(&p256.PublicKey, m{"kid": "two"}), `{"kty":"oct","k":"AAAA"}`), "another",
			sealing.Recipient{Key: &p256.PublicKey, KeyID: "two"},
		},
		"one of several keys": {
			set(jwk(&p256.PublicKey, m{"kid": "one"}), jwk(&p384.PublicKey, m{"kid": "two"})), "two",
			sealing.Recipient{Key: &p384.PublicKey, KeyID: "two"},
		},
	} {
		got, err := sealing.Read([]byte(c.text), c.kid)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !sameKey(got.Key, c.want.Key) || got.KeyID != c.want.KeyID || got.Algorithm != c.want.Algorithm {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func sameKey(a, b any) bool {
	return bytes.Equal(must(x509.MarshalPKIXPublicKey(a)), must(x509.MarshalPKIXPublicKey(b)))
}

func TestReadRefusesWhatCannotBeEncryptedFor(t *testing.T) {
	two := set(jwk(&p256.PublicKey, m{"kid": "one"}), jwk(&p384.PublicKey, m{"kid": "two"}))
	weak := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	for name, c := range map[string]struct{ text, kid, says string }{
		"nothing":            {"", "", "expected a PEM block"},
		"another text":       {"key", "", "expected a PEM block"},
		"a damaged block":    {encodePEM("PUBLIC KEY", []byte("x")), "", "cannot be read"},
		"a damaged cert":     {encodePEM("CERTIFICATE", []byte("x")), "", "cannot be read"},
		"another block":      {encodePEM("CERTIFICATE REQUEST", []byte("x")), "", "is not a private key"},
		"an encrypted key":   {encodePEM("ENCRYPTED PRIVATE KEY", []byte("x")), "", "openssl pkey -pubout"},
		"two blocks":         {certificate(0) + certificate(0), "", "several PEM blocks"},
		"an Ed25519 key":     {tokentest.NewKey(t, "EdDSA", "").PublicPEM(), "", "must be an RSA key"},
		"a weak key":         {encodePEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(weak)), "", "too weak"},
		"broken JSON":        {`{"kty":`, "", "invalid JSON"},
		"a duplicate member": {`{"kty":"EC","kty":"RSA"}`, "", "duplicate"},
		"a secret":           {`{"kty":"oct","k":"AAAA"}`, "", "not those of an RSA or EC key"},
		"an OKP key":         {jwk(tokentest.NewKey(t, "EdDSA", "").Public(), nil), "", "must be an RSA key"},
		"a key for signatures": {
			jwk(&p256.PublicKey, m{"use": "sig"}), "", `use of the JWK is "sig"`,
		},
		"an algorithm of signatures": {jwk(&p256.PublicKey, m{"alg": "ES256"}), "", `alg of the JWK is "ES256"`},
		"a number for kid":           {jwk(&p256.PublicKey, m{"kid": 1}), "", "must be strings"},
		"no curve":                   {jwk(&p256.PublicKey, m{"crv": nil}), "", "not those of an RSA or EC key"},
		"a point beside the curve":   {jwk(&p256.PublicKey, m{"x": "AAAA"}), "", "not those of an RSA or EC key"},
		"an empty set":               {set(), "", "has no keys"},
		"keys that are no list":      {`{"keys":{}}`, "", "has no keys"},
		"a set without a good key":   {set(jwk(&p256.PublicKey, m{"use": "sig"})), "", `"sig"`},
		"several keys":               {two, "", `["one" "two"]`},
		"several keys, another kid":  {two, "three", `["one" "two"]`},
		"an example of a standard": {`{"kty":"EC","crv":"P-256","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",` +
			`"y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}`, "", "published"},
	} {
		got, err := sealing.Read([]byte(c.text), c.kid)
		if !errors.Is(err, sealing.ErrKey) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one that says %q", name, err, c.says)
		}
		if got != (sealing.Recipient{}) {
			t.Errorf("%s: there is a recipient beside the error: %+v", name, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		certificate(0), jwk(rsaKey, m{"kid": "one"}), set(jwk(&p256.PublicKey, nil)), `{"keys":[1]}`,
	} {
		f.Add([]byte(seed), "one")
	}
	f.Fuzz(func(t *testing.T, text []byte, kid string) {
		before := slices.Clone(text)
		to, err := sealing.Read(text, kid)
		if !bytes.Equal(text, before) {
			t.Fatal("the text was changed")
		}
		if err != nil {
			return
		}
		if _, err := sealing.Seal(token, to); err != nil {
			t.Fatalf("a recipient for whom nothing can be sealed: %v", err)
		}
	})
}
