package caddyjwt

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// askAdmin sends a request to the route of the keys.
func askAdmin(t *testing.T, a *adminAPI, method string) (*httptest.ResponseRecorder, error) {
	t.Helper()
	routes := a.Routes()
	if len(routes) != 4 {
		t.Fatalf("%d routes", len(routes))
	}
	w := httptest.NewRecorder()
	return w, routes[0].Handler.ServeHTTP(w, httptest.NewRequest(method, routes[0].Pattern, nil))
}

// listed is the sources that the admin endpoint lists, by first issuer.
func listed(t *testing.T, a *adminAPI) (text string, sources map[string]describedSource) {
	t.Helper()
	w, err := askAdmin(t, a, http.MethodGet)
	if err != nil || w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, header %v, error %v", w.Code, w.Header(), err)
	}
	var answer keysAnswer
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	sources = make(map[string]describedSource)
	for _, source := range answer.Sources {
		sources[source.Issuers[0]] = source
	}
	return w.Body.String(), sources
}

func TestAdminListsKeySources(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	down := tokentest.NewAS(t, tokentest.StartDown())
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(tokentest.JWKS(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &adminAPI{shared: process.New()}
	if text, _ := listed(t, a); text != `{"sources":[]}`+"\n" {
		t.Errorf("without a handler: %s", text)
	}
	h := parse(t, `{"audience":["x"],"issuers":[
		{"issuer":"`+as.URL+`","introspect":{"auth_method":"none"}},
		{"issuer":"https://jwks.example","keys":{"source":"jwks","url":"`+down.JWKSURL()+`?key=hidden"}},
		{"issuer":"https://discovery.example","keys":{"source":"discovery","url":"`+down.URL+`/x?key=hidden"}},
		{"issuer":"https://file.example","keys":{"source":"file","path":`+quote(file)+`}},
		{"issuer":"https://pem.example","keys":{"source":"pem","pem":`+quote(key.PublicPEM())+`}}]}`)
	h.shared = a.shared
	ctx, _ := newContext(t)
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	defer h.Cleanup()
	_, sources := listed(t, a)
	if len(sources) != 4 {
		t.Fatalf("%d sources: %v", len(sources), sources)
	}
	discovery := sources[as.URL]
	if discovery.Kind != "discovery" || discovery.Keys != 0 || len(discovery.KeyIDs) != 0 ||
		discovery.Age != nil || discovery.NextFetch != nil {
		t.Errorf("before the first fetch: %+v", discovery)
	}
	if f := sources["https://file.example"]; f.Kind != "file" || f.Keys != 1 || f.KeyIDs[0] != "one" ||
		f.Age != nil || f.LastError != "" {
		t.Errorf("file: %+v", f)
	}

	now := time.Now()
	// A token of each issuer has its keys fetched.
	for _, issuer := range []string{as.URL, "https://jwks.example", "https://discovery.example"} {
		serve(t, h, bearing(key.Sign(t, map[string]any{
			"iss": issuer, "aud": "x", "sub": "a", "iat": now.Unix(), "exp": now.Unix() + 300,
		})))
	}
	text, sources := listed(t, a)
	discovery = sources[as.URL]
	if discovery.Keys != 1 || discovery.KeyIDs[0] != "one" || discovery.LastError != "" {
		t.Errorf("after a fetch: %+v", discovery)
	}
	if discovery.Age == nil || *discovery.Age < 0 || discovery.NextFetch == nil || !discovery.NextFetch.After(now) {
		t.Errorf("age and next fetch: %s", text)
	}
	if !regexp.MustCompile(`"age_seconds":\d+(\.\d)?,"next_fetch":"[-0-9]{10}T[:0-9]{8}Z"`).MatchString(text) {
		t.Errorf("not in tenths of seconds, or not in UTC and whole seconds: %s", text)
	}
	for issuer, kind := range map[string]string{"https://jwks.example": "jwks", "https://discovery.example": "discovery"} {
		if s := sources[issuer]; s.Kind != kind || !strings.Contains(s.LastError, "refused") || s.Age != nil || s.Keys != 0 {
			t.Errorf("a server that is down: %+v", s)
		}
	}
	if strings.Contains(text, "hidden") {
		t.Errorf("the query of an address is shown: %s", text)
	}
	if err := h.Cleanup(); err != nil {
		t.Error(err)
	}
	if text, _ := listed(t, a); text != `{"sources":[]}`+"\n" {
		t.Errorf("after the handler has gone: %s", text)
	}
}

// Handlers of two configurations with the same settings share one source. It is listed once, with all its issuers.
func TestAdminListsASharedSourceOnce(t *testing.T) {
	a := &adminAPI{shared: process.New()}
	for _, issuer := range []string{"https://b.example", "https://a.example", "https://b.example"} {
		h := parse(t, `{"audience":["x"],"issuers":[
			{"issuer":"`+issuer+`","keys":{"source":"jwks","url":"https://as.example/jwks"}}]}`)
		h.shared = a.shared
		ctx, _ := newContext(t)
		if err := h.Provision(ctx); err != nil {
			t.Fatal(err)
		}
		defer h.Cleanup()
	}
	const want = `{"sources":[{"issuers":["https://a.example","https://b.example"],` +
		`"kind":"jwks","keys":0,"key_ids":[]}]}` + "\n"
	if text, _ := listed(t, a); text != want {
		t.Errorf("%s, want %s", text, want)
	}
}

// Sources that differ only in their keys come in a fixed order, although the pool has no order.
func TestAdminListsInAFixedOrder(t *testing.T) {
	a := &adminAPI{shared: process.New()}
	for _, kid := range []string{"c", "a", "d", "b"} {
		file := filepath.Join(t.TempDir(), "jwks.json")
		if err := os.WriteFile(file, []byte(tokentest.JWKS(tokentest.NewKey(t, "ES256", kid))), 0o600); err != nil {
			t.Fatal(err)
		}
		h := parse(t, `{"audience":["x"],"issuers":[
			{"issuer":"https://as.example","keys":{"source":"file","path":`+quote(file)+`}}]}`)
		h.shared = a.shared
		ctx, _ := newContext(t)
		if err := h.Provision(ctx); err != nil {
			t.Fatal(err)
		}
		defer h.Cleanup()
	}
	for range 20 {
		var order string
		for _, source := range describeSources(a.shared.Pool, time.Now()) {
			order += source.KeyIDs[0]
		}
		if order != "abcd" {
			t.Fatalf("order %s", order)
		}
	}
}

func TestAdminAnswersOnlyToGET(t *testing.T) {
	for _, method := range []string{"HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get"} {
		w, err := askAdmin(t, &adminAPI{shared: process.New()}, method)
		refused, ok := errors.AsType[caddy.APIError](err)
		if !ok || refused.HTTPStatus != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET" || w.Body.Len() != 0 {
			t.Errorf("%s: error %v, Allow %q, body %q", method, err, w.Header().Get("Allow"), w.Body)
		}
	}
}
