package gate_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http/httptest"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
)

func TestFactsOfADirectConnection(t *testing.T) {
	leaf := new(x509.Certificate)
	r := httptest.NewRequest("GET", "/", nil)
	r.Host, r.RemoteAddr = "api.example:8443", "[2001:db8::1]:4711"
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("X-Forwarded-Host", "evil.example")
	r.Header.Set("X-Forwarded-For", "192.0.2.1")
	facts := gate.Direct(r)
	if facts.Scheme() != "http" || facts.Host() != "api.example:8443" || facts.Certificate() != nil ||
		facts.Client().String() != "2001:db8::1" {
		t.Errorf("%s, %s, %v, %v", facts.Scheme(), facts.Host(), facts.Certificate(), facts.Client())
	}
	r.TLS, r.RemoteAddr = &tls.ConnectionState{}, "[::ffff:192.0.2.7]:80"
	if facts.Scheme() != "https" || facts.Certificate() != nil || facts.Client().String() != "192.0.2.7" {
		t.Errorf("%s, %v, %v", facts.Scheme(), facts.Certificate(), facts.Client())
	}
	r.TLS.PeerCertificates, r.RemoteAddr = []*x509.Certificate{leaf, new(x509.Certificate)}, "@"
	if facts.Certificate() != leaf || facts.Client().IsValid() {
		t.Errorf("%v, %v", facts.Certificate(), facts.Client())
	}
	if n := testing.AllocsPerRun(100, func() { facts = gate.Direct(r) }); n != 0 {
		t.Errorf("the facts of a request allocate %v times", n)
	}
}
