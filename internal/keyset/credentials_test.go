package keyset_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// certified is a server that asks for a client certificate. It counts its requests and records what it was shown.
type certified struct {
	*httptest.Server
	asked, shown atomic.Int64
}

func newCertified(tb testing.TB, answer func(w http.ResponseWriter, r *http.Request)) *certified {
	tb.Helper()
	c := new(certified)
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.asked.Add(1)
		c.shown.Add(int64(len(r.TLS.PeerCertificates)))
		answer(w, r)
	}))
	c.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	c.StartTLS()
	tb.Cleanup(c.Close)
	return c
}

func (c *certified) options(tb testing.TB) fetch.Options {
	tb.Helper()
	key := tokentest.NewKey(tb, "ES256", "client")
	private, err := x509.MarshalPKCS8PrivateKey(key.Private())
	if err != nil {
		tb.Fatal(err)
	}
	return fetch.Options{
		CA:         pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw}),
		ClientCert: []byte(certificatePEM(tb, key, time.Now().Add(time.Hour))),
		ClientKey:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

// The certificate is for the server whose metadata the operator asked for, not for a server that the metadata names.
func TestTheClientCertificateStaysWithTheMetadata(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	keys := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, tokentest.JWKS(key)) }
	for name, test := range map[string]struct{ elsewhere, shown bool }{
		"keys at the same origin": {false, true}, "keys at another origin": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			other := newCertified(t, keys)
			var own *certified
			own = newCertified(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/keys":
					keys(w, r)
				case test.elsewhere:
					_ = json.NewEncoder(w).Encode(map[string]any{"issuer": own.URL, "jwks_uri": other.URL + "/keys"})
				default: // the same host, written in another way
					_ = json.NewEncoder(w).Encode(map[string]any{
						"issuer": own.URL, "jwks_uri": strings.Replace(own.URL, "https:", "HTTPS:", 1) + "/keys",
					})
				}
			})
			source := discovery(t, keyset.DiscoveryOptions{Issuer: own.URL, Fetch: own.options(t)})
			if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
				t.Fatal(err)
			}
			if own.shown.Load() != own.asked.Load() || other.shown.Load() != 0 || test.elsewhere != (other.asked.Load() == 1) {
				t.Errorf("the metadata's server: asked %d, shown %d; the other: asked %d, shown %d",
					own.asked.Load(), own.shown.Load(), other.asked.Load(), other.shown.Load())
			}
		})
	}
}
