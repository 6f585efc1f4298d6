package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The admin endpoint lists key sources whatever the configurations do: before there is a gate, while there is one,
// through a reload, and after a reload that failed.
func TestAdminListsKeysThroughReloads(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "listed")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	o := operated(t, "")
	// listed is "issuer: key ids" for each source.
	listed := func() string {
		t.Helper()
		a := o.asks(http.MethodGet, "/bearer_auth/keys", "")
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
	load := func(gate, more string) error { return o.tryLoad(o.kept(o.caddyfile(gate)) + more) }
	loaded := func(gate string) {
		t.Helper()
		o.loadFile(o.kept(o.caddyfile(gate)))
	}
	want := func(when, what string) {
		t.Helper()
		if got := listed(); got != what {
			t.Errorf("%s: %q, want %q", when, got, what)
		}
	}

	want("before there is a gate", "")

	gate := gateForAudience(issuerBlock(as.URL))
	loaded(gate)
	want("before the first token", "["+as.URL+"]: []")
	o.accepts(key.Sign(t, issuedBy(as.URL)))
	want("after it", "["+as.URL+"]: [listed]")

	loaded(strings.Replace(gate, "{\n", "{\n\t\trealm another\n", 1))
	want("after a reload", "["+as.URL+"]: [listed]")

	loaded("")
	want("after a reload without the gate", "")
	loaded(gate)
	o.accepts(key.Sign(t, issuedBy(as.URL)))

	// The gate of this configuration is provisioned, with a source of its own. Then a site cannot listen.
	if err := load(strings.Replace(gate, as.URL, as.URL+"/other", 1), deadSite); err == nil {
		t.Fatal("a site that cannot listen was loaded")
	}
	want("after a reload that failed", "["+as.URL+"]: [listed]")
	o.accepts(key.Sign(t, issuedBy(as.URL)))
}

// Each kind of source is described, with why it has no keys. The query of an address, which may have an API key, is
// nowhere.
func TestAdminListsKeySources(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	down := tokentest.NewAS(t, tokentest.StartDown())
	file := writeFile(t, filepath.Join(t.TempDir(), "jwks.json"), tokentest.JWKS(key))
	const jwks, discovery, kept, pem = "https://jwks.example", "https://discovery.example", "https://file.example",
		"https://pem.example"
	gate := gateForAudience(issuerBlock(as.URL), issuerWithKeys(jwks, "jwks "+down.JWKSURL()+"?key=hidden"),
		issuerWithKeys(discovery, "discovery "+down.URL+"/x?key=hidden"), issuerWithKeys(kept, "file "+file),
		issuerWithKeys(pem, "pem `"+key.PublicPEM()+"`"))
	o := operated(t, "handle /a/* {\n"+gate+"\n}\nhandle {\n"+gate+"\n}") // they share the sources
	type source struct {
		Kind   string
		Keys   int
		KeyIDs []string `json:"key_ids"`
		Age    *float64 `json:"age_seconds"`
		Next   string   `json:"next_fetch"`
		Err    string   `json:"last_error"`
	}
	listed := func() (text string, sources map[string]source) {
		t.Helper()
		a := o.asks(http.MethodGet, "/bearer_auth/keys", "")
		var list struct {
			Sources []struct {
				Issuers []string
				source
			}
		}
		if err := json.Unmarshal([]byte(a.body), &list); err != nil || len(list.Sources) != 4 {
			t.Fatalf("%d %v: %s", a.StatusCode, err, a.body)
		}
		sources = make(map[string]source)
		for _, s := range list.Sources {
			sources[strings.Join(s.Issuers, " ")] = s.source
		}
		return a.body, sources
	}
	text, sources := listed()
	if s := sources[as.URL]; s.Kind != "discovery" || s.Keys != 0 || s.KeyIDs == nil || s.Age != nil || s.Next != "" {
		t.Errorf("before the first fetch: %s", text)
	}
	if s := sources[kept]; s.Kind != "file" || s.Keys != 1 || s.KeyIDs[0] != "one" || s.Age != nil || s.Err != "" {
		t.Errorf("a file: %s", text)
	}
	for _, issuer := range []string{as.URL, jwks, discovery} { // a token of each has its keys fetched
		_, _ = o.status(key.Sign(t, issuedBy(issuer)))
	}
	text, sources = listed()
	if s := sources[as.URL]; s.Keys != 1 || s.KeyIDs[0] != "one" || s.Err != "" || s.Age == nil || *s.Age < 0 {
		t.Errorf("after a fetch: %s", text)
	}
	if !regexp.MustCompile(`"age_seconds":\d+(\.\d)?,"next_fetch":"[-0-9]{10}T[:0-9]{8}Z"`).MatchString(text) {
		t.Errorf("not in tenths of seconds, or not in UTC and whole seconds: %s", text)
	}
	for issuer, kind := range map[string]string{jwks: "jwks", discovery: "discovery"} {
		if s := sources[issuer]; s.Kind != kind || !strings.Contains(s.Err, "refused") || s.Age != nil || s.Keys != 0 {
			t.Errorf("a server that is down: %s", text)
		}
	}
	if strings.Contains(text, "hidden") {
		t.Errorf("the query of an address is shown: %s", text)
	}
	order := regexp.MustCompile(`"issuers":\["[^"]*`)
	for range 20 { // the pool has no order
		if again, _ := listed(); !slices.Equal(order.FindAllString(again, -1), order.FindAllString(text, -1)) {
			t.Errorf("another order: %s", again)
		}
	}
}
