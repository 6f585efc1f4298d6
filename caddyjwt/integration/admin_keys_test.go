package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The admin endpoint lists key sources whatever the configurations do: before there is a gate, while there is one,
// through a reload, and after a reload that failed.
func TestAdminListsKeysThroughReloads(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "listed")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	socket := filepath.Join(filepath.Dir(s.socket), "a")
	admin := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
		DisableKeepAlives: true, // the endpoint starts anew with each configuration
	}}
	ask := func(method string, header ...string) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost/bearer_auth/keys", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		var response *http.Response
		eventually(t, "the admin endpoint answers", func() bool { // not the one that a reload has just ended
			response, err = admin.Do(r)
			return !isCut(err)
		})
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer{response, string(body)}
	}
	// listed is "issuer: key ids" for each source.
	listed := func() string {
		t.Helper()
		a := ask(http.MethodGet)
		var list struct {
			Sources []struct {
				Issuers []string `json:"issuers"`
				KeyIDs  []string `json:"key_ids"`
			} `json:"sources"`
		}
		if err := json.Unmarshal([]byte(a.body), &list); err != nil || a.StatusCode != http.StatusOK {
			t.Fatalf("status %d, %s: %v", a.StatusCode, a.body, err)
		}
		var lines []string
		for _, source := range list.Sources {
			lines = append(lines, fmt.Sprint(source.Issuers, ": ", source.KeyIDs))
		}
		return strings.Join(lines, ", ")
	}
	load := func(gate, more string) error {
		options := "admin unix/" + socket + "\n\tbearer_auth"
		return s.tryLoad(strings.Replace(s.caddyfile(gate), "admin off", options, 1) + more)
	}
	loaded := func(gate string) {
		t.Helper()
		if err := load(gate, ""); err != nil {
			t.Fatal(err)
		}
		s.inForce()
	}
	want := func(when, what string) {
		t.Helper()
		if got := listed(); got != what {
			t.Errorf("%s: %q, want %q", when, got, what)
		}
	}

	loaded("")
	want("before there is a gate", "")

	gate := gateForAudience(issuerBlock(as.URL))
	loaded(gate)
	want("before the first token", "["+as.URL+"]: []")
	s.accepts(key.Sign(t, issuedBy(as.URL)))
	want("after it", "["+as.URL+"]: [listed]")

	loaded(strings.Replace(gate, "{\n", "{\n\t\trealm another\n", 1))
	want("after a reload", "["+as.URL+"]: [listed]")

	loaded("")
	want("after a reload without the gate", "")
	loaded(gate)
	s.accepts(key.Sign(t, issuedBy(as.URL)))

	// The gate of this configuration is provisioned, with a source of its own. Then a site cannot listen.
	if err := load(strings.Replace(gate, as.URL, as.URL+"/other", 1), deadSite); err == nil {
		t.Fatal("a site that cannot listen was loaded")
	}
	want("after a reload that failed", "["+as.URL+"]: [listed]")
	s.accepts(key.Sign(t, issuedBy(as.URL)))

	for _, method := range []string{http.MethodPost, http.MethodDelete, http.MethodHead} {
		if a := ask(method); a.StatusCode != http.StatusMethodNotAllowed || a.Header.Get("Allow") != http.MethodGet {
			t.Errorf("%s: status %d, Allow %q", method, a.StatusCode, a.Header.Get("Allow"))
		}
	}
	if a := ask(http.MethodGet, "Sec-Fetch-Mode", "no-cors"); a.StatusCode != http.StatusBadRequest {
		t.Errorf("asked by a page of another origin: status %d", a.StatusCode)
	}
}
