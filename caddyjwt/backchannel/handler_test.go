package backchannel

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

const issuer = "https://as.example"

// bench is a receiver whose store is a variable.
type bench struct {
	*Receiver
	key     *tokentest.Key
	logs    *observer.ObservedLogs
	logger  *zap.Logger
	trouble error // of the store

	mu      sync.Mutex
	ended   []logout.Logout
	results []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{key: tokentest.NewKey(t, "ES256", "e1")}
	core, logs := observer.New(zap.DebugLevel)
	b.logs, b.logger = logs, zap.New(core)
	b.Receiver = &Receiver{
		Plan: Plan{Path: "/bye", Clients: []string{"gateway"}},
		Settings: logout.Config{
			Issuer: issuer, Algorithms: jose.MakeAlgorithms(jose.ES256), Clients: []string{"gateway"},
			Seen:     func(context.Context, string) (bool, error) { return false, b.trouble },
			Remember: func(context.Context, string, time.Time) error { return b.trouble },
			Revoke: func(_ context.Context, l logout.Logout) error {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.ended = append(b.ended, l)
				return nil
			},
		},
		Count: func(result string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.results = append(b.results, result)
		},
	}
	key, err := jose.NewPublicKey("e1", b.key.Public(), b.Settings.Algorithms)
	if err != nil {
		t.Fatal(err)
	}
	open := func(*pool.Lease) (Open, error) {
		config := b.Settings
		if config.Keys, err = keyset.NewStatic(key); err != nil {
			return Open{}, err
		}
		receiver, err := logout.New(config)
		return Open{Receiver: receiver}, err
	}
	if b.Leases, err = pool.Begin(pool.New(nil), open, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Leases.End() })
	return b
}

// token is a good logout token, with changes.
func (b *bench) token(t *testing.T, changes ...any) string {
	now := time.Now()
	set := map[string]any{
		"iss": issuer, "aud": "gateway", "sid": "s1", "sub": "alice", "jti": "j", "iat": now.Unix(),
		"exp":    now.Add(time.Minute).Unix(),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	for i := 0; i < len(changes); i += 2 {
		if set[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
			delete(set, changes[i].(string))
		}
	}
	return b.key.Sign(t, set)
}

func request(token string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/bye", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// send sends a logout token to the receiver, and gives the status.
func (b *bench) send(token string) int {
	w := httptest.NewRecorder()
	b.serve(w, request(token), b.logger)
	return w.Code
}

// Strangers can send any number of bad requests, and a store that is down fails each of them. So there is a line for
// each kind a minute, and every ten seconds for trouble of ours. Each line says how many had none.
func TestLinesAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		minute := func(send func()) {
			for range 60 {
				send()
				send()
				time.Sleep(time.Second)
			}
		}
		minute(func() { b.send("x") })
		b.send("x")
		b.send(b.token(t, "aud", "somebody"))
		b.send(b.token(t, "sid", nil))
		if got := b.logs.FilterMessage("logout request refused").All(); len(got) != 3 ||
			got[1].ContextMap()["not_logged_before"] != int64(119) || got[2].ContextMap()["result"] != "invalid_audience" {
			t.Errorf("refused: %v", got)
		}
		if got := b.logs.FilterLevelExact(zap.InfoLevel).FilterMessageSnippet("names no session").Len(); got != 1 {
			t.Errorf("%d lines about a token without a session", got)
		}
		b.trouble = errors.New("the disk is gone")
		minute(func() {
			if status := b.send(b.token(t)); status != http.StatusBadRequest {
				t.Errorf("status %d", status)
			}
		})
		got := b.logs.FilterLevelExact(zap.ErrorLevel).All()
		if len(got) != 6 || got[5].ContextMap()["not_logged_before"] != int64(19) ||
			got[0].ContextMap()["cause"] != "the disk is gone" || got[0].ContextMap()["result"] != "store_failed" {
			t.Errorf("trouble: %v", got)
		}
		b.trouble = nil
		if status := b.send(b.token(t)); status != http.StatusOK || b.results[len(b.results)-1] != "ended" {
			t.Errorf("status %d, results %v", status, b.results)
		}
	})
}

// Each receiver belongs to the handlers that name it. A server may take requests before the app has started, and they
// get to the right one, whoever comes first.
func TestRequestsBeforeTheStart(t *testing.T) {
	var r Registry
	one, two := newBench(t), newBench(t)
	two.Clients = []string{"other"}
	for _, b := range []*bench{one, two} {
		if err := r.Add(b.Receiver); err != nil {
			t.Fatal(err)
		}
	}
	handler := &Handler{Path: "/bye", clients: []string{"gateway"}, registry: &r, logger: one.logger}
	r.handle(handler)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			w := httptest.NewRecorder()
			if err := handler.ServeHTTP(w, request(one.token(t)), nobody(t)); err != nil || w.Code != http.StatusOK {
				t.Errorf("%v, status %d: %s", err, w.Code, w.Body)
			}
		})
	}
	all.Wait()
	if len(one.ended) == 0 || len(two.ended) != 0 {
		t.Errorf("ended %v and %v", one.ended, two.ended)
	}
}

// nobody is a next handler that no request may reach.
func nobody(t *testing.T) caddyhttp.Handler {
	return caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error {
		t.Error("the request went on")
		return nil
	})
}

// A handler without exactly one receiver hands requests on: Finish refuses that configuration.
func TestHandlersThatMeanNobody(t *testing.T) {
	var r Registry
	one, two := newBench(t), newBench(t)
	two.Clients = []string{"other"}
	nowhere := &Handler{Path: "/ciao", registry: &r}
	r.handle(nowhere)
	if err := r.lost(nowhere); err == nil || !strings.Contains(err.Error(), "in the block of the issuer") {
		t.Errorf("without receivers: %v", err)
	}
	for _, b := range []*bench{one, two} {
		if err := r.Add(b.Receiver); err != nil {
			t.Fatal(err)
		}
	}
	both := &Handler{Path: "/bye", registry: &r}
	r.handle(both)
	for handler, want := range map[*Handler]string{nowhere: `there are "/bye"`, both: "differ in client_id"} {
		if err := r.lost(handler); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", handler.Path, err, want)
		}
		passed := false
		next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { passed = true; return nil })
		r := httptest.NewRequest(http.MethodPost, handler.Path, nil)
		if err := handler.ServeHTTP(httptest.NewRecorder(), r, next); err != nil || !passed {
			t.Errorf("%s: %v, passed is %t", handler.Path, err, passed)
		}
	}
}

// Gates that say the same share a receiver, in whatever order they name the clients.
func TestReceiversAreShared(t *testing.T) {
	var r Registry
	for _, clients := range [][]string{{"a", "b"}, {"b", "a"}, {"b", "a", "b"}} {
		plan, err := (&Logout{Path: "/bye", Clients: clients}).Compile(words.NewSettings())
		if err != nil {
			t.Fatal(err)
		}
		b := newBench(t)
		b.Plan = *plan
		if err := r.Add(b.Receiver); err != nil {
			t.Error(err)
		}
	}
	if len(r.receivers) != 1 {
		t.Errorf("%d receivers", len(r.receivers))
	}
}

// What an ended configuration had is opened again. If that fails, the server should try again.
func TestLateRequests(t *testing.T) {
	b := newBench(t)
	if err := b.Leases.End(); err != nil {
		t.Fatal(err)
	}
	if status := b.send(b.token(t)); status != http.StatusOK {
		t.Errorf("after the end: status %d", status)
	}
	b.Settings.Issuer = "" // it cannot be opened again
	if status := b.send(b.token(t)); status != http.StatusBadRequest || b.results[1] != "keys_unavailable" {
		t.Errorf("status %d, results %v", status, b.results)
	}
}
