package caddyjwt_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The benchmarks send requests through Caddy's own handler chain, compiled from JSON as a server does. The cost of the
// gate is the difference to the same chain with a handler that does nothing, measured in the same run:
//
//	go test -run '^$' -bench Chain -count 6 ./caddyjwt

func init() { caddy.RegisterModule(noop{}) }

// noop has the cost of any handler in the chain.
type noop struct{}

func (noop) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bearer_auth_noop", New: func() caddy.Module { return new(noop) }}
}

func (noop) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}

const noopJSON = `{"handler": "bearer_auth_noop"}`

// chain compiles a route with one handler, and a backend that does nothing.
func chain(tb testing.TB, handler string) caddyhttp.Handler {
	tb.Helper()
	// With a logging configuration as in production: a refusal must not be measured with its debug log.
	logs := &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{Level: "ERROR"}}}}
	root, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, Logging: logs})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(root)
	tb.Cleanup(cancel)
	var routes caddyhttp.RouteList
	if err := json.Unmarshal([]byte(`[{"handle": [`+handler+`]}]`), &routes); err != nil {
		tb.Fatal(err)
	}
	if err := routes.Provision(ctx); err != nil {
		tb.Fatal(err)
	}
	backend := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	return routes.Compile(backend)
}

// issuerJSON is a handler with one issuer, and the fields given.
func issuerJSON(tb testing.TB, key *tokentest.Key, fields map[string]any) string {
	tb.Helper()
	keys := map[string]any{"source": "secret", "secret": base64.StdEncoding.EncodeToString(key.Secret()), "base64": true}
	if key.Public() != nil {
		keys = map[string]any{"source": "pem", "pem": key.PublicPEM()}
	}
	handler := map[string]any{
		"handler":  "bearer_auth",
		"audience": []string{"https://orders.example.com"},
		"issuers":  []any{map[string]any{"issuer": "https://as.example.com", "algorithms": []string{key.Alg}, "keys": keys}},
	}
	for name, value := range fields {
		handler[name] = value
	}
	text, err := json.Marshal(handler)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// accessToken is like those of common authorization servers. With RS256 it has about 850 characters.
func accessToken(tb testing.TB, key *tokentest.Key) string {
	tb.Helper()
	now := time.Now().Unix()
	return key.Sign(tb, map[string]any{
		"iss": "https://as.example.com", "aud": "https://orders.example.com", "client_id": "orders-web-frontend",
		"sub": "7f3c9a52-1d84-4c0e-9b6f-000000004711", "scope": "openid profile orders:read orders:write",
		"iat": now, "exp": now + 3600, "jti": "01JD9S7Y4Z3QK8W5T2M6N0P1RX", "azp": "orders-web-frontend",
	}, map[string]any{"typ": "at+jwt"})
}

// exchange does what a server does for one request: it makes the request's context and runs the chain. The work of
// net/http, such as reading the headers, is done once.
type exchange struct {
	chain         caddyhttp.Handler
	server        *caddyhttp.Server
	request       *http.Request
	w             *httptest.ResponseRecorder
	authorization []string
}

func newExchange(tb testing.TB, handler, token string) *exchange {
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "https://api.example.com/orders/42", nil)
	r.Header = http.Header{
		"User-Agent": {"curl/8.5.0"}, "Accept": {"application/json"}, "Accept-Encoding": {"gzip"},
		"X-Request-Id": {"7d1f0c9e"}, "Origin": {"https://app.example.com"},
	}
	return &exchange{
		chain: chain(tb, handler), server: new(caddyhttp.Server), request: r,
		w: httptest.NewRecorder(), authorization: []string{"Bearer " + token},
	}
}

// logged gives the server an access log.
func (e *exchange) logged() *exchange {
	e.server.Logs = new(caddyhttp.ServerLogConfig)
	return e
}

// do sends the request; the token is put back first.
func (e *exchange) do() error {
	e.request.Header["Authorization"] = e.authorization
	r := caddyhttp.PrepareRequest(e.request, caddy.NewReplacer(), e.w, e.server)
	return e.chain.ServeHTTP(e.w, r)
}

func (e *exchange) bench(b *testing.B, passes bool) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if err := e.do(); (err == nil) != passes {
			b.Fatalf("error %v, passes should be %v", err, passes)
		}
	}
}

// BenchmarkChain compares the gate with a handler that does nothing: on a token seen before, on a new one, and on a bad
// one.
func BenchmarkChain(b *testing.B) {
	rs256 := tokentest.NewKey(b, "RS256", "")
	b.Run("noop", func(b *testing.B) { newExchange(b, noopJSON, accessToken(b, rs256)).bench(b, true) })
	for _, alg := range []string{"HS256", "RS256", "ES256", "EdDSA"} {
		key := tokentest.NewKey(b, alg, "")
		token := accessToken(b, key)
		b.Run("hit/alg="+alg, func(b *testing.B) {
			newExchange(b, issuerJSON(b, key, nil), token).bench(b, true)
		})
		b.Run("cold/alg="+alg, func(b *testing.B) {
			newExchange(b, issuerJSON(b, key, map[string]any{"cache_size": -1}), token).bench(b, true)
		})
		b.Run("refused/alg="+alg, func(b *testing.B) {
			stranger := tokentest.NewKey(b, alg, "of somebody else").WithKID("")
			newExchange(b, issuerJSON(b, key, nil), accessToken(b, stranger)).bench(b, false)
		})
	}
	b.Run("hit/logged", func(b *testing.B) {
		newExchange(b, issuerJSON(b, rs256, nil), accessToken(b, rs256)).logged().bench(b, true)
	})
	b.Run("refused/missing", func(b *testing.B) {
		e := newExchange(b, issuerJSON(b, rs256, nil), "")
		e.authorization = []string{"Basic dXNlcjpwYXNz"}
		e.bench(b, false)
	})
	b.Run("hit/forwarding", func(b *testing.B) {
		newExchange(b, issuerJSON(b, rs256, map[string]any{"forward_claims": forwarded}),
			accessToken(b, rs256)).bench(b, true)
	})
}

// forwarded makes two headers.
var forwarded = []any{
	map[string]any{"claim": "sub", "header": "X-User"},
	map[string]any{"claim": "client_id", "header": "X-Client"},
}

// BenchmarkChainParallel shows that a hit takes no lock: with -cpu 1,2,8 the time per request falls as processors are
// added.
func BenchmarkChainParallel(b *testing.B) {
	key := tokentest.NewKey(b, "RS256", "")
	token := accessToken(b, key)
	for name, handler := range map[string]string{"noop": noopJSON, "hit": issuerJSON(b, key, nil)} {
		b.Run(name, func(b *testing.B) {
			shared := newExchange(b, handler, token)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				own := newExchange(b, noopJSON, token) // a request, header and recorder of its own
				own.chain = shared.chain
				for pb.Next() {
					if err := own.do(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// TestHitAllocations bounds the allocations of the gate for a token seen before, with and without an access log. The
// headers that it sets, and those of a handler that does nothing, do not count.
func TestHitAllocations(t *testing.T) {
	if race {
		t.Skip("the race detector changes what is allocated")
	}
	key := tokentest.NewKey(t, "RS256", "")
	token := accessToken(t, key)
	none := allocations(t, newExchange(t, noopJSON, token))
	const most = 1
	for _, test := range []struct {
		name    string
		fields  map[string]any
		headers float64
	}{
		{"a route that only lets pass", nil, 0},
		{"two claims forwarded", map[string]any{"forward_claims": forwarded}, 2},
		{"scopes required", map[string]any{"require": map[string]any{"scopes": []string{"orders:read"}}}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			handler := issuerJSON(t, key, test.fields)
			got := allocations(t, newExchange(t, handler, token)) - none - test.headers
			if got > most {
				t.Errorf("%v allocations more than a handler that does nothing, want at most %d", got, most)
			}
			if logged := allocations(t, newExchange(t, handler, token).logged()) - none - test.headers; logged > most {
				t.Errorf("%v allocations when the server has an access log, want at most %d", logged, most)
			}
		})
	}
}

// allocations counts the allocations of one request through the chain.
func allocations(t *testing.T, e *exchange) float64 {
	t.Helper()
	return testing.AllocsPerRun(200, func() {
		if err := e.do(); err != nil {
			t.Error(err)
		}
	})
}
