package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestSecretRefusesPublicKeys(t *testing.T) {
	keys := map[string]crypto.PublicKey{
		"RSA":     signers()[jose.RS256].public(),
		"P-256":   signers()[jose.ES256].public(),
		"P-384":   signers()[jose.ES384].public(),
		"P-521":   signers()[jose.ES512].public(),
		"Ed25519": signers()[jose.EdDSA].public(),
	}
	for name, key := range keys {
		for disguise, secret := range tokentest.Disguises(key) {
			t.Run(name+" as "+disguise, func(t *testing.T) {
				_, err := jose.NewSecretKey("", secret, 0)
				requireErr(t, err, jose.ErrPublicSecret)
				requireErr(t, err, jose.ErrKey)
				if strings.Contains(err.Error(), string(secret)) {
					t.Error("error quotes the secret")
				}
			})
		}
	}
}

// Secrets whose first byte is not that of a SEQUENCE are not passed to these parsers. That misses nothing: the parsers
// refuse whatever begins with another byte.
func TestKeysInDERAllBeginWithTheSameByte(t *testing.T) {
	rsaKey, ecKey := signers()[jose.RS256].private.(*rsa.PrivateKey), signers()[jose.ES256].private.(*ecdsa.PrivateKey)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	for name, c := range map[string]struct {
		der   []byte
		parse func([]byte) error
	}{
		"public key": {must(x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)), func(der []byte) error {
			_, err := x509.ParsePKIXPublicKey(der)
			return err
		}},
		"RSA public key": {x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey), func(der []byte) error {
			_, err := x509.ParsePKCS1PublicKey(der)
			return err
		}},
		"certificate": {
			must(x509.CreateCertificate(rand.Reader, template, template, &ecKey.PublicKey, ecKey)),
			func(der []byte) error {
				_, err := x509.ParseCertificate(der)
				return err
			},
		},
		"certificate request": {
			must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, ecKey)),
			func(der []byte) error {
				_, err := x509.ParseCertificateRequest(der)
				return err
			},
		},
		"private key": {must(x509.MarshalPKCS8PrivateKey(rsaKey)), func(der []byte) error {
			_, err := x509.ParsePKCS8PrivateKey(der)
			return err
		}},
		"RSA private key": {x509.MarshalPKCS1PrivateKey(rsaKey), func(der []byte) error {
			_, err := x509.ParsePKCS1PrivateKey(der)
			return err
		}},
		"EC private key": {must(x509.MarshalECPrivateKey(ecKey)), func(der []byte) error {
			_, err := x509.ParseECPrivateKey(der)
			return err
		}},
	} {
		if err := c.parse(c.der); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := jose.NewSecretKey("", c.der, 0); !is(err, jose.ErrPublicSecret) {
			t.Errorf("%s as a secret: got %v", name, err)
		}
		for first := range 256 {
			other := bytes.Clone(c.der)
			if other[0] = byte(first); first != int(c.der[0]) && c.parse(other) == nil {
				t.Errorf("%s with %#x as its first byte is read", name, first)
			}
		}
	}
}

func TestSecretRefusesPrivateKeys(t *testing.T) {
	for _, alg := range []jose.Algorithm{jose.RS256, jose.ES256, jose.EdDSA} {
		pkcs8 := must(x509.MarshalPKCS8PrivateKey(signers()[alg].private))
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
		for disguise, secret := range tokentest.PEMDisguises(text) {
			if _, err := jose.NewSecretKey("", secret, 0); !is(err, jose.ErrPublicSecret) {
				t.Errorf("%v key as %s: got %v", alg, disguise, err)
			}
		}
		_, err := jose.NewSecretKey("", pkcs8, 0)
		requireErr(t, err, jose.ErrPublicSecret)
	}
	for _, der := range [][]byte{
		x509.MarshalPKCS1PrivateKey(signers()[jose.RS256].private.(*rsa.PrivateKey)),
		must(x509.MarshalECPrivateKey(signers()[jose.ES256].private.(*ecdsa.PrivateKey))),
		must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, signers()[jose.ES256].private)),
	} {
		_, err := jose.NewSecretKey("", der, 0)
		requireErr(t, err, jose.ErrPublicSecret)
	}
}

func TestSecretAcceptsSecrets(t *testing.T) {
	secrets := [][]byte{
		[]byte("correct horse battery staple, twice over"),
		[]byte("begin and--end, secretly--begin again"),
		[]byte("{not JSON at all, though it has braces}"),
	}
	many := 2000
	if testing.Short() {
		many = 200
	}
	for range many {
		secret := randomBytes(64)
		secrets = append(secrets, secret, []byte(base64.StdEncoding.EncodeToString(secret)),
			[]byte(encode(secret)), []byte(hex.EncodeToString(secret)))
	}
	for _, secret := range secrets {
		if _, err := jose.NewSecretKey("", secret, 0); err != nil {
			t.Errorf("secret %x: %v", secret, err)
		}
	}
}

func TestSecretLength(t *testing.T) {
	hs := jose.MakeAlgorithms
	for _, test := range []struct {
		name   string
		length int
		algs   jose.Algorithms
		want   jose.Algorithms
		err    error
	}{
		{"no secret", 0, 0, 0, jose.ErrWeakKey},
		{"one byte short of any", 31, 0, 0, jose.ErrWeakKey},
		{"enough for one", 32, 0, hs(jose.HS256), nil},
		{"one byte short of two", 47, 0, hs(jose.HS256), nil},
		{"enough for two", 48, 0, hs(jose.HS256, jose.HS384), nil},
		{"one byte short of all", 63, 0, hs(jose.HS256, jose.HS384), nil},
		{"enough for all", 64, 0, jose.HMACAlgorithms(), nil},
		{"the one that is wanted", 64, hs(jose.HS384), hs(jose.HS384), nil},
		{"public-key algorithms in the list do not count", 64, hs(jose.HS384, jose.RS256), hs(jose.HS384), nil},
		{"only public-key algorithms", 64, jose.AsymmetricAlgorithms(), 0, jose.ErrKeyAlgorithm},
		{"too short for the one that is wanted", 47, hs(jose.HS384), 0, jose.ErrWeakKey},
		{"too short for one of those that are wanted", 48, jose.HMACAlgorithms(), 0, jose.ErrWeakKey},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, err := jose.NewSecretKey("id", randomBytes(test.length), test.algs)
			requireErr(t, err, test.err)
			if err != nil {
				if key != nil {
					t.Error("error and key")
				}
				return
			}
			if key.Algorithms() != test.want || key.Family() != jose.HMAC || key.ID != "id" {
				t.Errorf("got %v", key)
			}
		})
	}
}

// The secrets of RFC 7515 appendix A.1, jwt.io and a tutorial, also in the encodings in which people copy them.
func TestSecretRefusesPublishedSecrets(t *testing.T) {
	rfc := "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
	raw := must(base64.RawURLEncoding.DecodeString(rfc))
	spring := "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970"
	for _, secret := range []string{
		rfc, rfc + "==", string(raw), base64.StdEncoding.EncodeToString(raw), hex.EncodeToString(raw), rfc + "\n",
		"a-string-secret-at-least-256-bits-long",
		base64.StdEncoding.EncodeToString([]byte("a-string-secret-at-least-256-bits-long")),
		"a-valid-string-secret-that-is-at-least-384-bits-long",
		"a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
		spring, strings.ToLower(spring), string(must(hex.DecodeString(spring))),
		string(must(base64.StdEncoding.DecodeString(spring))),
	} {
		_, err := jose.NewSecretKey("", []byte(secret), 0)
		requireErr(t, err, jose.ErrPublishedKey)
		requireErr(t, err, jose.ErrKey)
	}
}

func TestSecretDoesNotLeak(t *testing.T) {
	secret := "a secret that must not be seen anywhere"
	key := must(jose.NewSecretKey("my-kid", []byte(secret), 0))
	text := string(must(json.Marshal(key)))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		text += fmt.Sprintf(verb, key) + fmt.Sprintf(verb, *key) +
			fmt.Sprintf(verb, []*jose.Key{key}) + fmt.Sprintf(verb, struct{ K *jose.Key }{key})
	}
	for _, leak := range []string{secret, hex.EncodeToString([]byte(secret)), fmt.Sprint([]byte(secret)), "0x61, 0x20"} {
		if strings.Contains(strings.ToLower(text), leak) {
			t.Errorf("secret shows in %s", text)
		}
	}
	if key.PublicKey() != nil {
		t.Error("a secret is given as a public key")
	}
	if !strings.Contains(fmt.Sprint(key), `oct key "my-kid" for HS256`) {
		t.Errorf("key prints as %v", key)
	}
}

func TestSecretIsCopied(t *testing.T) {
	secret := randomBytes(32)
	key := must(jose.NewSecretKey("", secret, 0))
	forger := signer{alg: jose.HS256, method: signers()[jose.HS256].method, private: bytes.Clone(secret)}
	clear(secret)
	requireErr(t, accepts(key, forger.token(100)), nil)
}

func TestSecretThumbprints(t *testing.T) {
	a, b := randomBytes(32), randomBytes(32)
	one := must(jose.NewSecretKey("1", a, 0)).Thumbprint()
	if one != must(jose.NewSecretKey("2", a, 0)).Thumbprint() {
		t.Error("the same secret has two thumbprints")
	}
	if one == must(jose.NewSecretKey("1", b, 0)).Thumbprint() {
		t.Error("two secrets have the same thumbprint")
	}
	if one == sha256Of(a) || one == [32]byte{} {
		t.Error("thumbprint is not keyed")
	}
}

func FuzzSecret(f *testing.F) {
	for _, secret := range tokentest.Disguises(signers()[jose.ES256].public()) {
		f.Add(secret)
	}
	f.Add([]byte("0\x80\x00\x00"))
	f.Fuzz(func(t *testing.T, secret []byte) {
		key, err := jose.NewSecretKey("", secret, 0)
		if (key == nil) == (err == nil) {
			t.Fatal("neither key nor error, or both")
		}
		if err != nil && !is(err, jose.ErrKey) {
			t.Fatalf("unexpected error %v", err)
		}
		if err == nil && (len(secret) < 32 || bytes.Contains(secret, []byte("-----BEGIN"))) {
			t.Fatalf("accepted %q", secret)
		}
	})
}

func TestSecretMayResembleAPoint(t *testing.T) {
	point := must(signers()[jose.ES256].public().(*ecdsa.PublicKey).Bytes())
	point[len(point)-1] ^= 1 // not on the curve
	_, err := jose.NewSecretKey("", point, 0)
	requireErr(t, err, nil)
}
