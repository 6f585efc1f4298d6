package redistest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificates are those of a server on this machine, which nobody else trusts.
type Certificates struct {
	// Client trusts the servers.
	Client *tls.Config

	certFile, keyFile string
}

// NewCertificates makes a key and a certificate for 127.0.0.1.
func NewCertificates(t testing.TB) *Certificates {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := dir(t)
	c := &Certificates{certFile: filepath.Join(files, "cert.pem"), keyFile: filepath.Join(files, "key.pem")}
	for path, block := range map[string]*pem.Block{
		c.certFile: {Type: "CERTIFICATE", Bytes: certificate}, c.keyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	c.Client = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return c
}

func (c *Certificates) dial(ctx context.Context, dialer *net.Dialer, address string) (net.Conn, error) {
	return (&tls.Dialer{NetDialer: dialer, Config: c.Client}).DialContext(ctx, "tcp", address)
}
