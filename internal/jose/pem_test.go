package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
)

// epoch is the time at which the tests run.
var epoch = time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)

func pemBlock(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func spki(alg jose.Algorithm) string {
	return pemBlock("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(signers()[alg].public())))
}

func TestParsePEM(t *testing.T) {
	rsaKey := signers()[jose.RS256].public().(*rsa.PublicKey)
	cert := func(alg jose.Algorithm, change func(*x509.Certificate)) string {
		return pemBlock("CERTIFICATE", certificate(t, signers()[alg].public(), change))
	}
	ends := epoch.Add(24 * time.Hour)
	for _, test := range []struct {
		name string
		text string
		want []jose.Algorithm
		ends time.Time
	}{
		{"RSA", spki(jose.RS256), []jose.Algorithm{jose.RS256}, time.Time{}},
		{"P-256", spki(jose.ES256), []jose.Algorithm{jose.ES256}, time.Time{}},
		{"P-384", spki(jose.ES384), []jose.Algorithm{jose.ES384}, time.Time{}},
		{"P-521", spki(jose.ES512), []jose.Algorithm{jose.ES512}, time.Time{}},
		{"Ed25519", spki(jose.EdDSA), []jose.Algorithm{jose.EdDSA}, time.Time{}},
		{"PKCS#1", pemBlock("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(rsaKey)), []jose.Algorithm{jose.RS256}, time.Time{}},
		{"several", spki(jose.RS256) + spki(jose.ES256), []jose.Algorithm{jose.RS256, jose.ES256}, time.Time{}},
		{"CR LF", strings.ReplaceAll(spki(jose.ES256), "\n", "\r\n"), []jose.Algorithm{jose.ES256}, time.Time{}},
		{"CR LF, and the last line ends in CR", strings.TrimSuffix(strings.ReplaceAll(spki(jose.ES256), "\n", "\r\n"), "\n"),
			[]jose.Algorithm{jose.ES256}, time.Time{}},
		{"CR", strings.ReplaceAll(spki(jose.RS256)+spki(jose.ES256), "\n", "\r"),
			[]jose.Algorithm{jose.RS256, jose.ES256}, time.Time{}},
		{"a mixture of line ends", strings.Replace(spki(jose.ES256), "\n", "\r", 2) + "\r",
			[]jose.Algorithm{jose.ES256}, time.Time{}},
		{"byte order mark", "\ufeff" + spki(jose.ES256), []jose.Algorithm{jose.ES256}, time.Time{}},
		{"text around", "Public-Key: (256 bit)\n" + spki(jose.ES256) + "\nthe end\n",
			[]jose.Algorithm{jose.ES256}, time.Time{}},
		{"certificate", cert(jose.RS256, nil), []jose.Algorithm{jose.RS256}, ends},
		{"certificate for signatures",
			cert(jose.ES256, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }),
			[]jose.Algorithm{jose.ES256}, ends},
		{"self-signed CA, as openssl makes it",
			cert(jose.ES256, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }),
			[]jose.Algorithm{jose.ES256}, ends},
		{"the earliest end counts",
			cert(jose.RS256, nil) +
				cert(jose.ES256, func(c *x509.Certificate) { c.NotAfter = epoch.Add(time.Hour) }) + spki(jose.EdDSA),
			[]jose.Algorithm{jose.RS256, jose.ES256, jose.EdDSA}, epoch.Add(time.Hour)},
		{"a hundred", strings.Repeat(spki(jose.ES256), 100), slices.Repeat([]jose.Algorithm{jose.ES256}, 100), time.Time{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys, notAfter, err := jose.ParsePEM([]byte(test.text), epoch)
			requireErr(t, err, nil)
			if len(keys) != len(test.want) || !notAfter.Equal(test.ends) {
				t.Fatalf("%d keys until %v, want %d until %v", len(keys), notAfter, len(test.want), test.ends)
			}
			for i, alg := range test.want {
				key, err := jose.NewPublicKey("", keys[i], 0)
				requireErr(t, err, nil)
				requireErr(t, accepts(key, signers()[alg].token(100)), nil)
			}
		})
	}
}

func TestParsePEMRefuses(t *testing.T) {
	pkcs8 := pemBlock("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(signers()[jose.ES256].private)))
	cert := func(change func(*x509.Certificate)) string {
		return pemBlock("CERTIFICATE", certificate(t, signers()[jose.ES256].public(), change))
	}
	good := spki(jose.ES256)
	for _, test := range []struct {
		name string
		text string
		want error
	}{
		{"nothing", "", jose.ErrKey},
		{"text", "no key here", jose.ErrKey},
		{"JSON", `{"keys":[]}`, jose.ErrKey},
		{"private key", pkcs8, jose.ErrPrivateKey},
		{"private key behind a public one", good + pkcs8, jose.ErrPrivateKey},
		{"RSA private key",
			pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(signers()[jose.RS256].private.(*rsa.PrivateKey))),
			jose.ErrPrivateKey},
		{"EC private key",
			pemBlock("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(signers()[jose.ES256].private.(*ecdsa.PrivateKey)))),
			jose.ErrPrivateKey},
		{"encrypted private key", pemBlock("ENCRYPTED PRIVATE KEY", []byte("x")), jose.ErrPrivateKey},
		{"OpenSSH private key", pemBlock("OPENSSH PRIVATE KEY", []byte("x")), jose.ErrPrivateKey},
		{"block of another kind", pemBlock("EC PARAMETERS", []byte("x")), jose.ErrKey},
		{"certificate request", pemBlock("CERTIFICATE REQUEST", []byte("x")), jose.ErrKey},
		{"rubbish in a public key", pemBlock("PUBLIC KEY", []byte("x")), jose.ErrKey},
		{"rubbish in an RSA public key", pemBlock("RSA PUBLIC KEY", []byte("x")), jose.ErrKey},
		{"rubbish in a certificate", pemBlock("CERTIFICATE", []byte("x")), jose.ErrCertificate},
		{"PKCS#1 under the name of SPKI",
			pemBlock("PUBLIC KEY", x509.MarshalPKCS1PublicKey(signers()[jose.RS256].public().(*rsa.PublicKey))), jose.ErrKey},
		{"damaged block", strings.Replace(good, "\nM", "\n*", 1), jose.ErrKey},
		{"damaged block before a good one", strings.Replace(good, "\nM", "\n*", 1) + good, jose.ErrKey},
		{"damaged block behind a good one",
			good + strings.Replace(good, "-----END PUBLIC", "-----END PUBLIX", 1), jose.ErrKey},
		{"cut off", good[:len(good)/2], jose.ErrKey},
		{"second one cut off", good + good[:len(good)/2], jose.ErrKey},
		{"in one line", strings.ReplaceAll(good, "\n", " "), jose.ErrKey},
		{"expired certificate",
			cert(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = epoch.Add(-time.Hour), epoch.Add(-time.Second) }),
			jose.ErrCertificate},
		{"certificate of tomorrow",
			cert(func(c *x509.Certificate) { c.NotBefore = epoch.Add(time.Second) }), jose.ErrCertificate},
		{"certificate for encryption",
			cert(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), jose.ErrCertificate},
		{"certificate of a pure CA",
			cert(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign }), jose.ErrCertificate},
		{"good certificate and an expired one",
			cert(nil) + cert(func(c *x509.Certificate) { c.NotAfter = epoch.Add(-time.Second) }), jose.ErrCertificate},
		{"too many", strings.Repeat(good, 101), jose.ErrKey},
		{"too long", strings.Repeat("x", 1<<20) + good, jose.ErrKey},
	} {
		t.Run(test.name, func(t *testing.T) {
			keys, _, err := jose.ParsePEM([]byte(test.text), epoch)
			requireErr(t, err, test.want)
			requireErr(t, err, jose.ErrKey)
			if keys != nil {
				t.Error("error and keys")
			}
		})
	}
}

// Environment variables lose the line ends of PEM. The error says so.
func TestParsePEMNamesLostLineEnds(t *testing.T) {
	good := pemBlock("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(signers()[jose.ES256].public())))
	for instead, want := range map[string]string{`\n`: `"\n" written out`, " ": "have line ends become blanks"} {
		_, _, err := jose.ParsePEM([]byte(strings.ReplaceAll(good, "\n", instead)), epoch)
		requireErr(t, err, jose.ErrKey)
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q in place of line ends: %v", instead, err)
		}
	}
}

// NewPublicKey refuses keys that can be read but not used.
func TestParsePEMLeavesStrengthToNewPublicKey(t *testing.T) {
	weak := "-----BEGIN PUBLIC KEY-----\n" +
		"MCowBQYDK2VuAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n" + // X25519
		"-----END PUBLIC KEY-----\n"
	keys, _, err := jose.ParsePEM([]byte(weak), epoch)
	requireErr(t, err, nil)
	_, err = jose.NewPublicKey("", keys[0], 0)
	requireErr(t, err, jose.ErrKey)
}

func FuzzParsePEM(f *testing.F) {
	f.Add([]byte(spki(jose.ES256)))
	f.Add([]byte(spki(jose.EdDSA) + spki(jose.RS256)))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, notAfter, err := jose.ParsePEM(data, epoch)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys and %v", len(keys), err)
		}
		if err != nil && !is(err, jose.ErrKey) {
			t.Fatalf("unexpected error %v", err)
		}
		if !notAfter.IsZero() && notAfter.Before(epoch) {
			t.Fatalf("accepted a certificate that ended %v", notAfter)
		}
		for _, key := range keys {
			if k, err := jose.NewPublicKey("", key, 0); err == nil {
				requireErr(t, k.Verify(jose.ES256, "a.b", make([]byte, 64)), anyRefusal(k))
			}
		}
	})
}

func anyRefusal(k *jose.Key) error {
	if k.Algorithms().Has(jose.ES256) {
		return jose.ErrSignature
	}
	return jose.ErrKeyAlgorithm
}

// certificate is signed by a key that nobody knows. The package does not check who signed it.
func certificate(t *testing.T, key crypto.PublicKey, change func(*x509.Certificate)) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: epoch, NotAfter: epoch.Add(24 * time.Hour)}
	if change != nil {
		change(template)
	}
	_, ca, _ := ed25519.GenerateKey(rand.Reader)
	return must(x509.CreateCertificate(rand.Reader, template, template, key, ca))
}
