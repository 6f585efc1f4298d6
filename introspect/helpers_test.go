package introspect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

const (
	testToken = "2YotnFZFEjr1zCsicMWpAA"
	secret32  = "a-secret-that-is-long-enough-for-HS256"
)

// server is an authorization server whose handler the test gives. It counts requests.
type server struct {
	*httptest.Server
	calls  atomic.Int64
	handle atomic.Pointer[http.HandlerFunc]
}

func newServer(tb testing.TB, handle http.HandlerFunc) *server {
	tb.Helper()
	s := &server{}
	s.handle.Store(&handle)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.calls.Add(1)
		(*s.handle.Load())(w, r)
	}))
	tb.Cleanup(s.Close)
	return s
}

func (s *server) set(handle http.HandlerFunc) { s.handle.Store(&handle) }

// answer answers with status 200 and a JSON text.
func answer(text string) http.HandlerFunc { return reply(200, "application/json", text) }

func reply(status int, contentType, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, text)
	}
}

// basicConfig is the smallest configuration that works.
func basicConfig(endpoint string) introspect.Config {
	return introspect.Config{Endpoint: endpoint, ClientID: "gateway", ClientSecret: "s3cret"}
}

func newClient(tb testing.TB, cfg introspect.Config) *introspect.Client {
	tb.Helper()
	c, err := introspect.New(cfg)
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

// wantActive fails the test unless the verdict is as wanted.
func wantActive(tb testing.TB, want bool, r introspect.Result, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatalf("no verdict: %v", err)
	}
	if r.Active != want {
		tb.Fatalf("active is %v, want %v", r.Active, want)
	}
}

// wantCause fails the test unless there is no verdict, for the wanted cause.
func wantCause(tb testing.TB, want introspect.Cause, r introspect.Result, err error) *introspect.NoVerdictError {
	tb.Helper()
	var e *introspect.NoVerdictError
	if !errors.As(err, &e) || !errors.Is(err, want) {
		tb.Fatalf("error is %v, want %v", err, want)
	}
	if r.Active {
		tb.Fatalf("an active result came with the error %v", err)
	}
	if want.Temporary() && e.RetryAfter < time.Second {
		tb.Errorf("RetryAfter is %v, want at least a second", e.RetryAfter)
	}
	return e
}

// wantSilent fails the test if an error contains a secret.
func wantSilent(tb testing.TB, err error, secrets ...string) {
	tb.Helper()
	for _, secret := range secrets {
		for _, text := range []string{secret, url.QueryEscape(secret)} {
			if err != nil && strings.Contains(fmt.Sprintf("%v %+v", err, err), text) {
				tb.Errorf("the error tells %q: %v", text, err)
			}
		}
	}
}

// transport is a server without sockets, for tests inside a synctest bubble.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// response makes the answer of a transport.
func response(status int, text string) *http.Response {
	return &http.Response{
		StatusCode:    status,
		Header:        http.Header{"Content-Type": {"application/json"}},
		Body:          io.NopCloser(strings.NewReader(text)),
		ContentLength: int64(len(text)),
	}
}

// stall never answers; it returns when the request is given up.
func stall(ctx context.Context) (*http.Response, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// fakeConfig is a configuration that asks a transport.
func fakeConfig(t transport) introspect.Config {
	cfg := basicConfig("https://as.example.com/introspect")
	cfg.HTTPClient = &http.Client{Transport: t}
	return cfg
}

// expiring is an active answer whose "exp" is that much later than now.
func expiring(in time.Duration) string {
	return fmt.Sprintf(`{"active":true,"exp":%d}`, time.Now().Add(in).Unix())
}
