package integration

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// mutual is a server that asks for a client certificate, and whether it was shown one with its last request.
type mutual struct {
	*httptest.Server
	asked, shown atomic.Bool
}

func newMutual(t *testing.T, answer http.HandlerFunc) *mutual {
	t.Helper()
	m := new(mutual)
	m.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.asked.Store(true)
		m.shown.Store(len(r.TLS.PeerCertificates) > 0)
		w.Header().Set("Content-Type", "application/json")
		answer(w, r)
	}))
	m.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	m.StartTLS()
	t.Cleanup(m.Close)
	return m
}

// The client certificate of "tls" goes to the servers that the operator names. It also goes to an endpoint that the
// metadata name, if the gate authenticates there with it (RFC 8705 section 5). Nobody else sees it.
func TestClientCertificateGoesOnlyToItsServer(t *testing.T) {
	answer, err := json.Marshal(active("token_type", "Bearer").Claims)
	if err != nil {
		t.Fatal(err)
	}
	say := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }
	key := tokentest.NewKey(t, "ES256", "client").WithKID("")
	dir := t.TempDir()
	credentials := "\nclient_cert " + writeFile(t, filepath.Join(dir, "client.pem"), certificate(t, key)) +
		"\nclient_key " + writeFile(t, filepath.Join(dir, "client.key"), key.PrivatePEM()) + "\n}"
	for name, test := range map[string]struct {
		lines string // %other is the address of the other server
		alias bool
		shown bool
	}{
		"tls_client_auth at a discovered endpoint": {"client_id gateway\nauth_method tls_client_auth", false, true},
		"tls_client_auth at an alias":              {"client_id gateway\nauth_method tls_client_auth", true, true},
		"a secret at a discovered endpoint":        {"client_id gateway\nclient_secret s3cr3t", false, false},
		"a secret at an endpoint of the configuration": {"client_id gateway\nclient_secret s3cr3t\nendpoint %other", false,
			true},
	} {
		t.Run(name, func(t *testing.T) {
			other := newMutual(t, say)
			var as *mutual
			as = newMutual(t, func(w http.ResponseWriter, r *http.Request) {
				document := map[string]any{"issuer": as.URL, "jwks_uri": as.URL + "/keys", "introspection_endpoint": other.URL}
				if test.alias {
					document["introspection_endpoint"] = as.URL + "/introspect"
					document["mtls_endpoint_aliases"] = map[string]any{"introspection_endpoint": other.URL}
				}
				if r.URL.Path == "/keys" {
					_, _ = io.WriteString(w, tokentest.JWKS(key))
					return
				}
				_ = json.NewEncoder(w).Encode(document)
			})
			s := start(t, gateForAudience(issuerBlock(as.URL, "tls {\nca "+caFile(t, as)+credentials,
				"introspect opaque {\n"+strings.ReplaceAll(test.lines, "%other", other.URL)+"\n}")))
			s.accepts("opaque")
			if !other.asked.Load() || other.shown.Load() != test.shown || as.asked.Load() && !as.shown.Load() {
				t.Errorf("shown to the other server: %v, want %v; to the issuer's: %v", other.shown.Load(), test.shown,
					as.shown.Load())
			}
		})
	}
}
