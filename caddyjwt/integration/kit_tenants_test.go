package integration

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// tenants is an authorization server with many tenants, as Entra ID is one: their issuers are <URL>/<tenant>/v2.0. Each
// has metadata and keys of its own below its issuer. Below /common are metadata and keys for all of them.
type tenants struct {
	*httptest.Server

	mu       sync.Mutex
	keys     map[string]string // key set by tenant
	template string            // issuer in the metadata below /common
	requests []string          // paths that were asked for
}

func newTenants(t testing.TB) *tenants {
	s := &tenants{keys: make(map[string]string)}
	s.Server = httptest.NewServer(s)
	s.template = s.URL + "/{tenantid}/v2.0"
	t.Cleanup(s.Close)
	return s
}

// newTenantsAt is newTenants on all addresses of this machine, known by a host's name: see names.
func newTenantsAt(t testing.TB, host string) *tenants {
	s := &tenants{keys: make(map[string]string)}
	s.Server = httptest.NewUnstartedServer(s)
	_ = s.Listener.Close()
	var err error
	if s.Listener, err = net.Listen("tcp", ":0"); err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	s.URL = "http://" + net.JoinHostPort(host, port)
	s.template = s.URL + "/{tenantid}/v2.0"
	return s
}

// ServeHTTP gives metadata and key sets.
func (s *tenants) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.RequestURI)
	tenant, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	set, known := s.keys[tenant]
	switch {
	case !known:
		http.NotFound(w, r)
	case path == "v2.0/.well-known/openid-configuration":
		issuer := s.URL + "/" + tenant + "/v2.0"
		if tenant == "common" {
			issuer = s.template
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "jwks_uri": s.URL + "/" + tenant + "/keys"})
	case path == "keys":
		_, _ = w.Write([]byte(set))
	default:
		http.NotFound(w, r)
	}
}

// serve gives a tenant these keys.
func (s *tenants) serve(tenant string, keys ...map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[tenant] = tokentest.JWKSOf(keys...)
}

// asked are the paths that were asked for since the last call.
func (s *tenants) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	paths := s.requests
	s.requests = nil
	return paths
}

// issuer is that of a tenant, or the pattern for "*".
func (s *tenants) issuer(tenant string) string { return s.URL + "/" + tenant + "/v2.0" }

// block is an issuer for the tenants of the server, with these lines.
func (s *tenants) block(lines ...string) string {
	return issuerBlock(s.issuer("*"), append([]string{"audience " + audience}, lines...)...)
}

// common is the word for keys that all tenants share.
func (s *tenants) common() string {
	return "keys discovery " + s.URL + "/common/v2.0/.well-known/openid-configuration"
}

// vouching is the key as a JWK that names an issuer.
func vouching(key *tokentest.Key, issuer string) map[string]any {
	jwk := key.JWK()
	jwk["issuer"] = issuer
	return jwk
}
