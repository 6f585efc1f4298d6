package tokentest

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// Certificate is a certificate and its private key.
type Certificate struct {
	*x509.Certificate
	Key *Key
}

// NewAuthority makes a certificate authority that nobody has certified. Like all certificates here, it is valid from an
// hour ago to a year from now, unless change says otherwise.
func NewAuthority(tb testing.TB, name string, change ...func(*x509.Certificate)) *Certificate {
	tb.Helper()
	c := &Certificate{Key: freshKey(tb)}
	c.Certificate = c.issue(tb, name, c.Key, append([]func(*x509.Certificate){authority}, change...), nil)
	return c
}

// Authority certifies another authority.
func (c *Certificate) Authority(tb testing.TB, name string, change ...func(*x509.Certificate)) *Certificate {
	tb.Helper()
	return c.Certify(tb, name, freshKey(tb), append([]func(*x509.Certificate){authority}, change...)...)
}

// Certify certifies a signer with this key. Its certificate is for digital signatures, unless change says otherwise.
func (c *Certificate) Certify(tb testing.TB, name string, key *Key, change ...func(*x509.Certificate)) *Certificate {
	tb.Helper()
	return &Certificate{Key: key, Certificate: c.issue(tb, name, key, change, c.Certificate)}
}

// freshKey is a key that nobody else has: two authorities of one name must differ.
func freshKey(tb testing.TB) *Key {
	tb.Helper()
	return &Key{Alg: "ES256", private: generate(tb, "ES256")}
}

func authority(template *x509.Certificate) {
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
}

func (c *Certificate) issue(
	tb testing.TB, name string, key *Key, change []func(*x509.Certificate), issuer *x509.Certificate,
) *x509.Certificate {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	for _, f := range change {
		f(template)
	}
	if issuer == nil {
		issuer = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), c.Key.Private())
	if err != nil {
		tb.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return certificate
}

// Valid makes a certificate valid between two moments, given from now on.
func Valid(from, to time.Duration) func(*x509.Certificate) {
	return func(template *x509.Certificate) {
		template.NotBefore, template.NotAfter = time.Now().Add(from), time.Now().Add(to)
	}
}

// PEMOf is certificates in PEM.
func PEMOf(certificates ...*Certificate) string {
	var text strings.Builder
	for _, c := range certificates {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return text.String()
}

// WithX5C is the JWK of a key with certificates.
func (k *Key) WithX5C(certificates ...*Certificate) map[string]any {
	jwk, chain := k.JWK(), make([]string, len(certificates))
	for i, c := range certificates {
		chain[i] = base64.StdEncoding.EncodeToString(c.Raw)
	}
	jwk["x5c"] = chain
	return jwk
}
