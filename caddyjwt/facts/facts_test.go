package facts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/internal/gate"
)

// taken is a request as Caddy passes it to handlers: over TLS, with a client certificate, and with what Caddy knows
// about its sender.
func taken(trusted bool, header http.Header) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Host, r.RemoteAddr, r.Header = "api.example", "192.0.2.1:4711", header
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{new(x509.Certificate)}}
	ctx := context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{
		caddyhttp.TrustedProxyVarKey: trusted, caddyhttp.ClientIPVarKey: "198.51.100.7",
	})
	ctx = context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, http.Request{Method: "GET", RequestURI: "/asked"})
	return r.WithContext(ctx)
}

func TestFactsBehindProxies(t *testing.T) {
	forwarded := func(scheme, host string) http.Header {
		return http.Header{"X-Forwarded-Proto": {scheme}, "X-Forwarded-Host": {host}}
	}
	for name, c := range map[string]struct {
		trusted      bool
		header       http.Header
		scheme, host string
	}{
		"no proxy":                           {false, http.Header{}, "https", "api.example"},
		"a client that plays a proxy":        {false, forwarded("http", "evil.example"), "https", "api.example"},
		"a proxy":                            {true, forwarded("http", "outer.example"), "http", "outer.example"},
		"a proxy that says nothing":          {true, http.Header{}, "https", "api.example"},
		"a proxy in capitals":                {true, forwarded("HTTPS", " outer.example "), "https", "outer.example"},
		"a proxy that speaks of WebSockets":  {true, forwarded("wss", "outer.example"), "https", "outer.example"},
		"the same without TLS":               {true, forwarded("WS", "outer.example"), "http", "outer.example"},
		"a list, of which one is a client's": {true, forwarded("https, http", "evil.example, outer.example"), "", ""},
		"two fields, of which one is a client's": {true, http.Header{
			"X-Forwarded-Proto": {"https", "http"}, "X-Forwarded-Host": {"evil.example", "outer.example"},
		}, "", ""},
	} {
		f := facts{taken(c.trusted, c.header)}
		if f.Scheme() != c.scheme || f.Host() != c.host {
			t.Errorf("%s: %q, %q; want %q, %q", name, f.Scheme(), f.Host(), c.scheme, c.host)
		}
	}
}

// Without the original request, nobody knows whether the method and the target were rewritten.
func TestRequestLineIsTheOneThatTheClientSent(t *testing.T) {
	r := taken(true, http.Header{"X-Original-Url": {"/claimed"}, "X-Forwarded-Uri": {"/claimed"},
		"X-Http-Method-Override": {"DELETE"}})
	r.RequestURI, r.Method = "/rewritten", http.MethodPut
	if f := (facts{r}); f.Target() != "/asked" || f.Method() != http.MethodGet {
		t.Errorf("%s %s", f.Method(), f.Target())
	}
	if f := (facts{httptest.NewRequest("GET", "/rewritten", nil)}); f.Target()+f.Method() != "" {
		t.Errorf("%s %s without the original request", f.Method(), f.Target())
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = facts{r}.Target(), facts{r}.Method() }); n != 0 {
		t.Errorf("they allocate %v times", n)
	}
}

// The certificate on a proxy's connection is the proxy's own.
func TestCertificateOfAProxyIsNotTheClients(t *testing.T) {
	if r := taken(false, nil); (facts{r}).Certificate() != r.TLS.PeerCertificates[0] {
		t.Error("a client's certificate is not known")
	}
	if (facts{taken(true, nil)}).Certificate() != nil {
		t.Error("a proxy's certificate is taken for the client's")
	}
}

func TestClientAddress(t *testing.T) {
	if got := (facts{taken(true, nil)}).Client().String(); got != "198.51.100.7" {
		t.Errorf("address %s, want the one that Caddy has found", got)
	}
	plain := httptest.NewRequest(http.MethodGet, "/", nil)
	plain.RemoteAddr = "192.0.2.1:4711"
	if got := (facts{plain}).Client().String(); got != "192.0.2.1" {
		t.Errorf("without Caddy's server the address is %s, want that of the connection", got)
	}
	ctx := context.WithValue(plain.Context(), caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "@"})
	if (facts{plain.WithContext(ctx)}).Client().IsValid() {
		t.Error("a Unix socket has an address")
	}
}

func TestFactsAllocateNothing(t *testing.T) {
	r := taken(true, http.Header{"X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"outer.example"}})
	var of gate.Facts
	if n := testing.AllocsPerRun(100, func() {
		of = facts{r}
		_, _, _, _ = of.Scheme(), of.Host(), of.Certificate(), of.Client()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
