//go:build e2e

package e2e_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// identities are files: a certificate authority, the authorization server's
// certificate, and the one with which the gateway says who it is. The authority
// can sign more.
type identities struct {
	ca, serverCert, serverKey, clientCert, clientKey string

	authority *x509.Certificate
	signer    *ecdsa.PrivateKey
}

func newIdentities(dir string) (identities, error) {
	files := identities{
		ca:         filepath.Join(dir, "ca.pem"),
		serverCert: filepath.Join(dir, "server.pem"),
		serverKey:  filepath.Join(dir, "server.key"),
		clientCert: filepath.Join(dir, "client.pem"),
		clientKey:  filepath.Join(dir, "client.key"),
	}
	authority := &x509.Certificate{
		Subject: pkix.Name{CommonName: "e2e"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identities{}, err
	}
	files.authority, files.signer = authority, signer
	server := &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	client := &x509.Certificate{
		DNSNames: []string{"gateway.example.com"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	return files, errors.Join(
		issue(authority, authority, signer, signer, files.ca, ""),
		issue(server, authority, nil, signer, files.serverCert, files.serverKey),
		issue(client, authority, nil, signer, files.clientCert, files.clientKey),
	)
}

// sign writes a certificate of the authority, and its key.
func (i identities) sign(template *x509.Certificate, certFile, keyFile string) error {
	return issue(template, i.authority, nil, i.signer, certFile, keyFile)
}

// issue writes a certificate and, where it makes one, its key.
func issue(template, authority *x509.Certificate, key, signer *ecdsa.PrivateKey, certFile, keyFile string) error {
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return err
		}
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	cert, err := x509.CreateCertificate(rand.Reader, template, authority, &key.PublicKey, signer)
	if err != nil {
		return err
	}
	if err := writePEM(certFile, "CERTIFICATE", cert); err != nil || keyFile == "" {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(keyFile, "PRIVATE KEY", private)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
