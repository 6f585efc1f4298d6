package caddyjwt

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/goleak"

	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// ended is a handler, and an authorization server whose introspection waits for the test.
type ended struct {
	*Handler
	config  string
	as      *tokentest.AS
	key     *tokentest.Key
	file    string
	asked   chan struct{} // a question has come
	answers chan struct{} // one for each answer
}

// ending makes the handler, with keys of every kind that is pooled.
func ending(t *testing.T) *ended {
	t.Helper()
	key := tokentest.NewKey(t, "ES256", "lease")
	e := &ended{
		as: tokentest.NewAS(t, tokentest.WithKeys(key)), key: key,
		asked: make(chan struct{}, 9), answers: make(chan struct{}, 9),
	}
	e.as.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		e.asked <- struct{}{}
		<-e.answers
		return tokentest.IntrospectionAnswer{Claims: map[string]any{"active": true, "sub": "alice", "aud": "x"}}
	})
	e.file = filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(e.file, []byte(tokentest.JWKS(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	e.config = `{"audience":["x"],"issuers":[
		{"issuer":"` + e.as.URL + `","introspect":{"auth_method":"none","timeout":"30s"}},
		{"issuer":"https://jwks.example","keys":{"source":"jwks","url":"` + e.as.JWKSURL() + `"}},
		{"issuer":"https://file.example","keys":{"source":"file","path":` + quote(e.file) + `}}]}`
	e.Handler = provisioned(t, e.config)
	return e
}

func (e *ended) token(t *testing.T, issuer string) string {
	now := time.Now().Unix()
	return e.key.Sign(t, map[string]any{"iss": issuer, "aud": "x", "sub": "alice", "iat": now, "exp": now + 300})
}

func (e *ended) end(t *testing.T) {
	t.Helper()
	if err := e.Cleanup(); err != nil {
		t.Errorf("cleaning up: %v", err)
	}
}

// eventuallyEmpty waits until nothing is in the pool.
func eventuallyEmpty(t *testing.T) {
	t.Helper()
	within(t, "nothing is in the pool", func() bool { return len(pooled()) == 0 })
}

// within waits until something holds.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never came to be: %s", what)
		}
	}
}

// nothingRuns fails the test if there are goroutines that were not there at its beginning.
func nothingRuns(t *testing.T) {
	t.Helper()
	present := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, present) })
}

// The configuration ends while a request waits for its verdict. The request gets it, and no event about keys follows.
// Then all is closed, even if the next handler has not come back, as with a WebSocket.
func TestCleanupWaitsOnlyForVerdicts(t *testing.T) {
	nothingRuns(t)
	e := ending(t)
	inside, leave, done := make(chan struct{}), make(chan struct{}), make(chan error)
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		close(inside)
		<-leave
		return nil
	})
	go func() { done <- e.ServeHTTP(httptest.NewRecorder(), bearing("opaque"), next) }()
	<-e.asked
	e.end(t)
	if len(pooled()) == 0 {
		t.Error("all was closed while a request was waiting")
	}
	for source := range process.Shared().Pool.Sources() {
		if len(process.Shared().Events.Issuers(source)) > 0 {
			t.Error("an ended configuration still gets events about its keys")
		}
	}
	e.answers <- struct{}{}
	select {
	case <-inside:
	case err := <-done:
		t.Fatalf("refused: %v", err)
	}
	eventuallyEmpty(t)
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Requests that come to a handler after the end of its configuration get their verdicts, good and bad. They leave
// nothing open. Those that come at the same time share what is opened for them.
func TestLateRequestsGetTheirVerdicts(t *testing.T) {
	nothingRuns(t)
	e := ending(t)
	e.end(t)
	wantEmptyPool(t)
	stranger := tokentest.NewKey(t, "ES256", "stranger").WithKID("lease")
	for name, issuer := range map[string]string{
		"discovery": e.as.URL, "jwks": "https://jwks.example", "file": "https://file.example",
	} {
		token := e.token(t, issuer)
		if status, _ := serve(t, e.Handler, bearing(token)); status != http.StatusOK {
			t.Errorf("%s: status %d", name, status)
		}
		forged := &ended{key: stranger}
		if status, _ := serve(t, e.Handler, bearing(forged.token(t, issuer))); status != http.StatusUnauthorized {
			t.Errorf("%s: a forged token gets status %d", name, status)
		}
		eventuallyEmpty(t)
	}
	e.answers <- struct{}{}
	if status, _ := serve(t, e.Handler, bearing("opaque")); status != http.StatusOK {
		t.Errorf("introspection: status %d", status)
	}
	eventuallyEmpty(t)
}

// Two late requests at the same time share what the first has opened, and the question as well.
func TestLateRequestsShareWhatTheyOpen(t *testing.T) {
	nothingRuns(t)
	e := ending(t)
	e.end(t)
	results := make(chan int, 2)
	ask := func() {
		status, _ := serve(t, e.Handler, bearing("opaque"))
		results <- status
	}
	go ask()
	<-e.asked
	go ask()
	within(t, "both requests are waiting", func() bool { return e.leases.Holders() == 2 })
	e.answers <- struct{}{}
	e.answers <- struct{}{} // for the second question, which nobody should ask
	for range 2 {
		if status := <-results; status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	}
	eventuallyEmpty(t)
	if n := len(e.as.IntrospectionRequests()); n != 1 {
		t.Errorf("%d questions about one token", n)
	}
}

// Configurations with the same settings come and go while requests are under way and come late. Whoever takes something
// from the pool while somebody else gives it back gets things that work, and that work together.
func TestLeasesComeAndGo(t *testing.T) {
	nothingRuns(t)
	e := ending(t)
	e.as.Introspect(func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		return tokentest.IntrospectionAnswer{Claims: map[string]any{"active": true, "sub": "alice", "aud": "x"}}
	})
	e.end(t)
	ctx, _ := newContext(t)
	var requests sync.WaitGroup
	defer requests.Wait()
	for i := range 60 {
		h := parse(t, e.config)
		if err := h.Provision(ctx); err != nil {
			t.Fatal(err)
		}
		for j := range 4 {
			requests.Go(func() {
				if status, _ := serve(t, h, bearing(fmt.Sprintf("opaque-%d-%d", i, j))); status != http.StatusOK {
					t.Errorf("status %d", status)
				}
			})
		}
		if err := h.Cleanup(); err != nil {
			t.Error(err)
		}
	}
	requests.Wait()
	eventuallyEmpty(t)
}

// A late request whose key file is gone loses the keys of that file, but no others.
func TestLateRequestWithoutItsKeyFile(t *testing.T) {
	nothingRuns(t)
	e := ending(t)
	e.end(t)
	if err := os.Remove(e.file); err != nil {
		t.Fatal(err)
	}
	status, header := serve(t, e.Handler, bearing(e.token(t, "https://file.example")))
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", status, header.Get("Retry-After"))
	}
	if status, _ := serve(t, e.Handler, bearing(e.token(t, "https://jwks.example"))); status != http.StatusOK {
		t.Errorf("another issuer's token: status %d", status)
	}
	eventuallyEmpty(t)
}

// What requests do after the end of their configuration is counted as before, and once.
func TestMetricsCountForLateRequests(t *testing.T) {
	nothingRuns(t)
	e := ending(t)
	const issuer = "https://jwks.example"
	objects := process.Shared().Pool
	fetches := func() uint64 { return objects.Fetches(issuer).Fetches }
	before := fetches()
	hits, misses := objects.CacheLookups()
	held, err := e.leases.Hold()
	if err != nil {
		t.Fatal(err)
	}
	e.end(t)
	late := func() { // one fetch, and three look-ups
		for range 3 {
			if status, _ := serve(t, e.Handler, bearing(e.token(t, issuer))); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		}
	}
	late()
	held.LetGo()
	eventuallyEmpty(t)
	if n := fetches() - before; n != 1 {
		t.Errorf("%d fetches counted, want 1", n)
	}
	hitsAfter, missesAfter := objects.CacheLookups()
	if n := hitsAfter + missesAfter - hits - misses; n != 3 {
		t.Errorf("%d look-ups counted, want 3", n)
	}
	if held, err = e.leases.Hold(); err != nil { // opens it again
		t.Fatal(err)
	}
	late()
	held.LetGo()
	eventuallyEmpty(t)
	if n := fetches() - before; n != 2 {
		t.Errorf("%d fetches counted, want 2", n)
	}
}
