package caddyjwt

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// newContext is a context like the one that Caddy gives to modules. Its end cleans up the modules that were loaded with
// it.
func newContext(t *testing.T) (caddy.Context, func()) {
	t.Helper()
	off := false
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{
		Disabled: true, Config: &caddy.ConfigSettings{Persist: &off},
	}})
	if err != nil {
		t.Fatal(err)
	}
	child, cancel := caddy.NewContext(ctx)
	t.Cleanup(cancel)
	return child, cancel
}

// parse reads a handler from JSON as strictly as Caddy does.
func parse(t *testing.T, text string) *Handler {
	t.Helper()
	h := new(Handler)
	if err := caddy.StrictUnmarshalJSON([]byte(text), h); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return h
}

// provisioned is a handler made from JSON. The end of the test cleans it up.
func provisioned(t *testing.T, text string) *Handler {
	t.Helper()
	ctx, _ := newContext(t)
	value, err := ctx.LoadModuleByID("http.handlers.bearer_auth", json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	return value.(*Handler)
}

// pooled is what the pool holds: key to number of references.
func pooled() map[string]int { return process.Shared().Pool.References() }

func wantEmptyPool(t *testing.T) {
	t.Helper()
	for key, references := range pooled() {
		t.Errorf("the pool still has %q with %d references", key[:min(len(key), 16)], references)
	}
}

// serve sends a request and returns the status that the client would get.
func serve(t *testing.T, h *Handler, r *http.Request) (int, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	err := h.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusOK)
		return nil
	}))
	if refusal, ok := err.(caddyhttp.HandlerError); ok {
		return refusal.StatusCode, w.Header()
	}
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Header()
}

func bearing(token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// secretKey signs with the secret of consumerJSON.
func secretKey(t *testing.T) *tokentest.Key { return tokentest.NewKey(t, "HS256", "") }

func consumerJSON(t *testing.T) string {
	text, err := json.Marshal(map[string]any{"username": "alice", "credentials": []any{map[string]any{
		"key": "alice-key", "algorithm": "HS256", "secret": encodeSecret(secretKey(t)), "base64": true,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func encodeSecret(k *tokentest.Key) string { return k.JWK()["k"].(string) }

func aliceToken(t *testing.T, changes map[string]any) string {
	now := time.Now().Unix()
	claims := map[string]any{"iss": "alice-key", "sub": "alice", "iat": now, "exp": now + 300}
	for name, value := range changes {
		claims[name] = value
	}
	return secretKey(t).Sign(t, claims)
}

// A setting that is left out has its documented default.
func TestProvisionDefaults(t *testing.T) {
	h := provisioned(t, `{"consumers":[`+consumerJSON(t)+`]}`)
	now := time.Now().Unix()
	if status, header := serve(t, h, httptest.NewRequest(http.MethodGet, "/", nil)); status != 401 ||
		header.Get("WWW-Authenticate") != `Bearer realm="api"` {
		t.Errorf("without a token: status %d, challenge %q", status, header.Get("WWW-Authenticate"))
	}
	withQuery := httptest.NewRequest(http.MethodGet, "/?access_token="+aliceToken(t, nil)+"&jwt="+aliceToken(t, nil), nil)
	withQuery.AddCookie(&http.Cookie{Name: "access_token", Value: aliceToken(t, nil)})
	if status, _ := serve(t, h, withQuery); status != 401 {
		t.Errorf("tokens in query and cookie were read: status %d", status)
	}
	for name, test := range map[string]struct {
		token string
		want  int
	}{
		"good":                        {aliceToken(t, nil), 200},
		"expired within the leeway":   {aliceToken(t, map[string]any{"exp": now - 2}), 200},
		"expired beyond the leeway":   {aliceToken(t, map[string]any{"exp": now - 8}), 401},
		"lasting for a year":          {aliceToken(t, map[string]any{"exp": now + 365*86400}), 200},
		"for any audience":            {aliceToken(t, map[string]any{"aud": "x"}), 200},
		"just short enough":           {strings.Repeat("a", 16<<10), 401},
		"too long":                    {strings.Repeat("a", 16<<10+1), 400},
		"a key claim in another name": {aliceToken(t, map[string]any{"iss": "x", "kid": "alice-key"}), 401},
		"another algorithm than written": {secretKey(t).WithAlg("HS512").Sign(t,
			map[string]any{"iss": "alice-key", "exp": now + 60}), 401},
	} {
		if status, _ := serve(t, h, bearing(test.token)); status != test.want {
			t.Errorf("%s: status %d, want %d", name, status, test.want)
		}
	}
	preflight := httptest.NewRequest(http.MethodOptions, "/", nil)
	preflight.Header.Set("Origin", "https://x.example")
	preflight.Header.Set("Access-Control-Request-Method", "GET")
	if status, _ := serve(t, h, preflight); status != 401 {
		t.Errorf("a preflight passed without allow_preflight: status %d", status)
	}
	if found := pooled(); len(found) != 1 || found["cache 33554432"] != 1 {
		t.Errorf("the pool has %v, want one cache of 32 MiB", found)
	}
}
