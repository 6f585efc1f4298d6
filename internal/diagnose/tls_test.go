package diagnose_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/diagnose"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	a.cert = a.sign(t, &x509.Certificate{
		IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}, a.key)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	parent := a.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func asPEM(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

// life is from when until when a certificate is valid, counted from now.
type life struct{ from, to time.Duration }

const day = 24 * time.Hour

// serveTLS starts a server of keys with a certificate of the authority for 127.0.0.1.
func (a *authority) serveTLS(t *testing.T, valid life, config *tls.Config) *httptest.Server {
	t.Helper()
	key := newKey(t)
	cert := a.sign(t, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"keys.example"},
		NotBefore: time.Now().Add(valid.from), NotAfter: time.Now().Add(valid.to),
	}, key)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, tokentest.JWKS(tokentest.NewKey(t, "ES256", "a")))
	}))
	config.Certificates = []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}
	server.TLS = config
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestFindingsAboutTLS(t *testing.T) {
	good := life{-50 * day, 50 * day}
	for name, c := range map[string]struct {
		valid  life
		server *tls.Config
		change func(*setup)
		want   []found
	}{
		"all is well": {good, nil, nil, nil},
		"the authority is unknown": {good, nil, func(s *setup) { s.fetch.CA = nil },
			problem(diagnose.TLSUntrusted, "127.0.0.1", `ca <file>`)},
		// The error of package x509 quotes names here, so the text that is fit for a log has lost its type.
		"the authority is another of the same name": {good, nil,
			func(s *setup) { s.fetch.CA = asPEM(newAuthority(t).cert) }, problem(diagnose.TLSUntrusted, "127.0.0.1")},
		"the certificate is for another name": {good, nil, func(s *setup) { s.fetch.ServerName = "auth.example" },
			problem(diagnose.TLSWrongName, "keys.example", "server_name")},
		"the certificate has expired": {life{-50 * day, -day}, nil, nil,
			problem(diagnose.TLSExpired, "expired", "renew")},
		"the key is not pinned": {good, nil, func(s *setup) { s.fetch.Pins = [][32]byte{{1}} },
			problem(diagnose.TLSPin, "pins", `"pin"`)},
		"the server wants a client certificate": {good, &tls.Config{ClientAuth: tls.RequireAnyClientCert}, nil,
			problem(diagnose.TLSRefused, "client_cert")},
		"the certificate expires soon": {life{-80 * day, 10 * day}, nil, nil,
			warning(diagnose.CertificateExpires, "127.0.0.1", "renew")},
		"a certificate of a week is renewed late": {life{-4 * day, 3 * day}, nil, nil, nil},
		"a certificate of a week ends tomorrow": {life{-6 * day, day}, nil, nil,
			warning(diagnose.CertificateExpires)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthority(t)
			config := c.server
			if config == nil {
				config = new(tls.Config)
			}
			server := a.serveTLS(t, c.valid, config)
			s := &setup{
				name: "https://auth.example", jwks: server.URL, algorithms: jose.AsymmetricAlgorithms(), leeway: time.Minute,
			}
			s.fetch.CA = asPEM(a.cert)
			if c.change != nil {
				c.change(s)
			}
			report := s.check(t)
			expect(t, report, c.want)
			if c.want == nil && (len(report.Servers) != 1 || report.Servers[0].CertificateExpires == nil) {
				t.Errorf("servers %+v", report.Servers)
			}
		})
	}
}

func TestCertificatesInFiles(t *testing.T) {
	a := newAuthority(t)
	certificate := func(valid life) []byte {
		return asPEM(a.sign(t, &x509.Certificate{
			NotBefore: time.Now().Add(valid.from), NotAfter: time.Now().Add(valid.to),
		}, a.key))
	}
	good, soon, over := certificate(life{-day, 90 * day}), certificate(life{-80 * day, day}), certificate(life{-day, -1})
	for name, c := range map[string]struct {
		text []byte
		want []found
	}{
		"a certificate that is valid for long": {good, nil},
		"a certificate that expires soon":      {soon, warning(diagnose.CertificateExpires, "client_cert expires at")},
		"a certificate that has expired":       {over, problem(diagnose.CertificateExpired, "client_cert expired at")},
		"a chain of which one expires soon": {bytes.Join([][]byte{good, soon}, nil),
			warning(diagnose.CertificateExpires)},
		"no certificate": {[]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t)
			s.files = diagnose.Certificates("client_cert", c.text)
			expect(t, s.check(t), c.want)
			locals := diagnose.CheckLocal(s.files, time.Now())
			for _, w := range c.want {
				if len(locals) == 0 || locals[len(locals)-1].Result != w.level {
					t.Errorf("locals %+v", locals)
				}
			}
		})
	}
}

// Keys that the configuration has as certificates end with the first of them.
func TestCertificatesOfKeysThatEnd(t *testing.T) {
	a := newAuthority(t)
	cert := a.sign(t, &x509.Certificate{NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(day)}, a.key)
	source, err := keyset.NewPEM(asPEM(cert))
	if err != nil {
		t.Fatal(err)
	}
	report := diagnose.Run(t.Context(), []diagnose.Issuer{{
		Name: "pem", KeysFrom: "pem", Keys: source, Algorithms: jose.AsymmetricAlgorithms(),
		Exchanges: new(diagnose.Exchanges),
	}}, func(int) {})[0]
	expect(t, report, warning(diagnose.CertificateExpires, `"keys pem"`, "keys of this issuer end"))
}
