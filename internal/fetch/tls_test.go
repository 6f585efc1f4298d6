package fetch_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// issued is a certificate and its key in PEM form.
func issued(tb testing.TB) (cert, key []byte) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		tb.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(r.TLS.PeerCertificates))
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	pin := sha256.Sum256(s.Certificate().RawSubjectPublicKeyInfo)
	cert, key := issued(t)
	for _, test := range []struct {
		name    string
		options fetch.Options
		body    string
		ok      bool
	}{
		{"no CA", fetch.Options{}, "", false},
		{"the CA", fetch.Options{CA: ca}, "0", true},
		{"another CA", fetch.Options{CA: cert}, "", false},
		{"another name that the certificate has", fetch.Options{CA: ca, ServerName: "example.com"}, "0", true},
		{"another name", fetch.Options{CA: ca, ServerName: "example.org"}, "", false},
		{"the right pin", fetch.Options{CA: ca, Pins: [][32]byte{{1}, pin}}, "0", true},
		{"a wrong pin", fetch.Options{CA: ca, Pins: [][32]byte{{1}}}, "", false},
		{"a pin in place of a CA", fetch.Options{Pins: [][32]byte{pin}}, "", false},
		{"a client certificate", fetch.Options{CA: ca, ClientCert: cert, ClientKey: key}, "1", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := client(t, test.options)
			for range 2 { // the second time over the same connection or a resumed session
				response, err := c.Get(t.Context(), s.URL, "*/*", "")
				if test.ok != (err == nil) || test.ok && string(response.Body) != test.body {
					t.Errorf("%+v, error %v", response, err)
				}
				c.HTTP().CloseIdleConnections()
			}
		})
	}
	wrong := client(t, fetch.Options{CA: ca, Pins: [][32]byte{{1}}})
	if _, err := wrong.Get(t.Context(), s.URL, "*/*", ""); !errors.Is(err, fetch.ErrPin) {
		t.Errorf("a wrong pin: %v", err)
	}
}

// asking is a server with TLS that asks for a certificate, and records what it is shown.
func asking(tb testing.TB, handler http.HandlerFunc) (s *httptest.Server, ca []byte, shown *atomic.Int64) {
	tb.Helper()
	shown = new(atomic.Int64)
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown.Add(int64(len(r.TLS.PeerCertificates)))
		handler(w, r)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	tb.Cleanup(s.Close)
	return s, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), shown
}

// The certificate says who we are. It is for the server that we ask, not for another that this one leads to.
func TestClientCertificatesStayWithTheirOrigin(t *testing.T) {
	other, ca, there := asking(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "other") })
	own, _, here := asking(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL, http.StatusFound)
		case "/around":
			http.Redirect(w, r, "/", http.StatusFound)
		}
	})
	cert, key := issued(t)
	c := client(t, fetch.Options{CA: ca, ClientCert: cert, ClientKey: key})
	for range 2 { // the second time over the connections of the first
		for _, test := range []struct {
			address     string
			here, there int64
		}{{own.URL, 1, 0}, {own.URL + "/around", 2, 0}, {own.URL + "/away", 1, 0}, {other.URL, 0, 1}} {
			here.Store(0)
			there.Store(0)
			_, err := c.Get(t.Context(), test.address, "*/*", "")
			if err != nil || here.Load() != test.here || there.Load() != test.there {
				t.Errorf("%s: shown %d times, to the other %d times; error %v", test.address, here.Load(), there.Load(), err)
			}
		}
	}
	for name, test := range map[string]struct {
		client *http.Client
		want   int64
	}{
		"to all":              {c.HTTP(), 1},
		"at home":             {c.HTTPAt(must(url.Parse(own.URL + "/some/path?a=b"))), 1},
		"at home in capitals": {c.HTTPAt(must(url.Parse(strings.ToUpper(own.URL[:8]) + own.URL[8:]))), 1},
		"elsewhere":           {c.HTTPAt(must(url.Parse(other.URL))), 0},
		"at another port":     {c.HTTPAt(must(url.Parse("https://127.0.0.1"))), 0},
		"nowhere":             {c.HTTPAt(new(url.URL)), 0},
	} {
		here.Store(0)
		response, err := test.client.Get(own.URL)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if here.Load() != test.want {
			t.Errorf("%s: shown %d times", name, here.Load())
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
