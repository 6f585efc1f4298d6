package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// authority is a certificate authority.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{certificate, key}
}

func (ca *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.certificate.Raw}))
}

// issue makes a certificate for a server on this machine, with a change.
func (ca *authority) issue(t testing.TB, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "127.0.0.1"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, ca.certificate.Raw}, PrivateKey: key}
}

// Somebody between the gate and the authorization server has a certificate, but not a good one. A client that does not
// look takes his keys, and shows him tokens and credentials: CVE-2022-31105, CVE-2025-66001. Certificates are always
// verified, and no word of the configuration turns that off.
func TestAttackFetchFromAnUnverifiedServer(t *testing.T) {
	mallory := tokentest.NewKey(t, "ES256", "mallory")
	ca, other := newAuthority(t, "authority"), newAuthority(t, "authority")
	file := writeFile(t, filepath.Join(t.TempDir(), "ca.pem"), ca.pem())
	selfSigned := newAuthority(t, "127.0.0.1")
	leaf := ca.issue(t, nil)
	leafCert, err := x509.ParseCertificate(leaf.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	notCA := &authority{leafCert, leaf.PrivateKey.(*ecdsa.PrivateKey)}
	s := prepare(t)
	for name, server := range map[string]struct {
		certificate tls.Certificate
		good        bool
		newest      uint16
	}{
		"control: a good one": {ca.issue(t, nil), true, 0},
		"expired": {ca.issue(t, func(c *x509.Certificate) {
			c.NotAfter = time.Now().Add(-time.Minute)
		}), false, 0},
		"not yet valid": {ca.issue(t, func(c *x509.Certificate) {
			c.NotBefore = time.Now().Add(time.Minute)
		}), false, 0},
		"for another address": {ca.issue(t, func(c *x509.Certificate) {
			c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 2)}
		}), false, 0},
		"for another name": {ca.issue(t, func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{"as.example.com"}
		}), false, 0},
		"a common name only": {ca.issue(t, func(c *x509.Certificate) { c.IPAddresses = nil }), false, 0},
		"for clients": {ca.issue(t, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		}), false, 0},
		"of another authority": {other.issue(t, nil), false, 0},
		"self-signed": {tls.Certificate{Certificate: [][]byte{selfSigned.certificate.Raw},
			PrivateKey: selfSigned.key}, false, 0},
		"issued by no authority": {notCA.issue(t, nil), false, 0},
		"an old protocol":        {ca.issue(t, nil), false, tls.VersionTLS11},
	} {
		var requests atomic.Int64
		handler := http.NewServeMux()
		handler.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			_, _ = io.WriteString(w, tokentest.JWKS(mallory))
		})
		handler.HandleFunc("/introspect", func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"active":true,"sub":"mallory","aud":"`+audience+`"}`)
		})
		between := httptest.NewUnstartedServer(handler)
		between.Config.ErrorLog = log.New(io.Discard, "", 0)
		between.TLS = &tls.Config{Certificates: []tls.Certificate{server.certificate}, MinVersion: tls.VersionTLS10,
			MaxVersion: server.newest}
		between.StartTLS()
		t.Cleanup(between.Close)
		const issuer = "https://as.example.com"
		proven := "tls {\nca " + file + "\n}"
		check := func(t *testing.T, a *attempt, token, reason string) {
			got := a.send(token)
			if server.good {
				a.passed(got)
				return
			}
			a.ourFaultFor(got, http.StatusServiceUnavailable, reason, true)
			if n := requests.Load(); n != 0 {
				t.Errorf("%d requests to a server that is not proven", n)
			}
		}
		s.attack(t, "keys: "+name, func(t *testing.T, a *attempt) {
			a.restart(gateFor(issuerWithKeys(issuer, "jwks "+between.URL+"/jwks", proven)))
			check(t, a, mallory.Sign(t, issuedBy(issuer)), "keys_unavailable")
		})
		s.attack(t, "introspection: "+name, func(t *testing.T, a *attempt) {
			a.restart(gateFor(issuerWithKeys(issuer, "none", proven, "introspect opaque {",
				"endpoint "+between.URL+"/introspect",
				"client_id gateway", "client_secret s3cr3t", "}")))
			check(t, a, "opaque", "introspection_unavailable")
		})
	}
	for _, word := range []string{"insecure", "insecure_skip_verify", "skip_verify", "verify off"} {
		s.refusedAtLoad(t, "the word "+word, strings.Fields(word)[0], func(s *site) error {
			return s.tryLoad(s.caddyfile(gateFor(issuerWithKeys("https://as.example.com", "discovery", "tls {", word, "}"))))
		})
	}
}
