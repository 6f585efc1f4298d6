//go:build e2e

package e2e_test

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/monitortest"
)

// monitored is a gateway that serves its metrics as examples/monitoring/Caddyfile does, and has all that is counted.
type monitored struct {
	*gate
	address  string // of the metrics
	password string // of Prometheus
	admin    *gate
	keyless  string // a token of an issuer whose server is gone
}

const monitoredSites = `http://gateway {
	bind unix/%[1]s
	bearer_auth {
		name orders
		max_lifetime 24h
		end_at_expiry
		consumers file %[2]s
		issuer %[3]s {
			audience %[4]s
			%[5]s
			backchannel_logout /logout {
				client_id gateway
			}
		}
	}
	reverse_proxy %[6]s
}
http://keyless {
	bind unix/%[1]s
	bearer_auth {
		name keyless
		max_lifetime 24h
		%[7]s
	}
	reverse_proxy %[6]s
}
http://issuer {
	bind unix/%[1]s
	token_issuer https://issuer.example.com {
		user alice %[8]s
		app /orders/ {
			audience %[4]s
		}
	}
}
%[9]s`

func startMonitored(t *testing.T) *monitored {
	t.Helper()
	gone := ownProvider(t)
	m := &monitored{address: freeAddress(t), password: rand.Text(), keyless: gone.token(t, gone.Issuer, "ES256", "read")}
	gone.stop()
	t.Setenv("METRICS_PASSWORD_HASH", hashed(t, m.password))
	dir, err := os.MkdirTemp("", "gw-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	consumers, socket := filepath.Join(dir, "consumers.json"), filepath.Join(dir, "admin")
	if err := os.WriteFile(consumers, []byte(`[{"username": "batch"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	options := "admin unix/" + socket + "\nbearer_auth {\nstore memory\n}"
	m.gate = startSitesWith(t, options, func(socket, backend string) string {
		return fmt.Sprintf(monitoredSites, socket, consumers, provider.Issuer, api, introspection(t, "basic"), backend,
			trust(gone.Issuer), hashed(t, "secret of alice"), m.metricsSite(t))
	})
	m.admin = new(gate)
	m.admin.through(t, socket)
	return m
}

// hashed is what "caddy hash-password" makes of a password.
func hashed(t *testing.T, password string) string {
	t.Helper()
	hash := exec.CommandContext(t.Context(), gatewayBinary, "hash-password", "--bcrypt-cost", "5")
	hash.Stdin = strings.NewReader(password + "\n")
	text, err := hash.Output()
	if err != nil {
		t.Fatalf("%s: %v", hash, err)
	}
	return strings.TrimSpace(string(text))
}

// metricsSite is the site of the metrics in the example, at another address, with a certificate of the tests.
func (m *monitored) metricsSite(t *testing.T) string {
	t.Helper()
	const begin = "https://localhost:9180 {\n"
	_, site, found := strings.Cut(string(monitortest.Read(t, "..", "Caddyfile")), begin)
	site, _, closed := strings.Cut(site, "\n}\n")
	if !found || !closed {
		t.Fatal("the example has no site of the metrics")
	}
	return changed(t, begin+site+"\n}\n", "localhost:9180", m.address,
		"tls internal", "tls "+provider.identity.serverCert+" "+provider.identity.serverKey)
}

// changed replaces texts, each of which must be there once.
func changed(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if n := strings.Count(text, pairs[i]); n != 1 {
			t.Fatalf("%q is there %d times in\n%s", pairs[i], n, text)
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// use sends one request of each kind.
func (m *monitored) use(t *testing.T) {
	t.Helper()
	good := provider.token(t, provider.Issuer, "ES256", "read")
	for range 3 { // the cache has it from the second time on
		m.accepts(t, good)
	}
	m.accepts(t, provider.token(t, provider.Issuer, "opaque", "read"))
	m.refuses(t, "", http.StatusUnauthorized, "")
	m.refuses(t, "no-such-token", http.StatusUnauthorized, "invalid_token")
	forged := good[:strings.LastIndexByte(good, '.')+1] + strings.Repeat("A", 86)
	m.refuses(t, forged, http.StatusUnauthorized, "invalid_token")
	m.refuses(t, provider.token(t, provider.Issuer, "elsewhere", "read"), http.StatusUnauthorized, "invalid_token")
	if res, _ := m.get(t, m.keyless, at("keyless")); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without keys: status %d", res.StatusCode)
	}
	m.posts(t, "http://gateway/logout", "application/x-www-form-urlencoded", "logout_token=x", http.StatusBadRequest)
	m.posts(t, "http://issuer/orders/login", "application/json",
		`{"user": "alice", "password": "secret of alice"}`, http.StatusOK)
	m.admin.posts(t, "http://localhost/bearer_auth/keys/refresh", "application/json",
		fmt.Sprintf(`{"issuer": %q}`, provider.Issuer), http.StatusOK)
}

// at changes the host of a request.
func at(host string) func(*http.Request) {
	return func(r *http.Request) { r.Host = host }
}

// posts sends a body, and wants this status.
func (g *gate) posts(t *testing.T, url, kind, body string, status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	res, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	if res.StatusCode != status {
		t.Fatalf("%s: status %d, want %d: %s", url, res.StatusCode, status, text)
	}
}
