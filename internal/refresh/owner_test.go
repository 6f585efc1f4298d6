package refresh_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/refresh"
)

// An owner, such as a key source, decides about loads while it holds the lock.
func TestWhatTheOwnerSeesOfLoads(t *testing.T) {
	timing := refresh.Timing{MinBackoff: 2 * time.Second, Cooldown: 10 * time.Second}
	inBubble(t, timing, func(t *testing.T, l *loads, doc *refresh.Document[string], _ *reported) {
		fly := func() *refresh.Flight {
			locked := doc.Lock()
			if locked.Flight() != nil {
				t.Error("a load is under way before there is one")
			}
			f := locked.Launch()
			if locked.Launch() != f || locked.Flight() != f || locked.Begun() != f.Number() {
				t.Errorf("load %d is under way, the document says %d", f.Number(), locked.Begun())
			}
			if err := locked.Join(); err != nil {
				t.Fatal(err)
			}
			locked.Unlock()
			if err := doc.Wait(t.Context(), f, time.Minute); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return f
		}
		began := time.Now()
		if f := fly(); f.Err() != nil || f.Number() != 1 {
			t.Errorf("load %d: %v", f.Number(), f.Err())
		}
		time.Sleep(time.Second)
		l.set(func(l *loads) { l.err = errDown })
		if f := fly(); !errors.Is(f.Err(), errDown) || f.Number() != 2 {
			t.Errorf("load %d: %v", f.Number(), f.Err())
		}
		failed := time.Now()

		locked := doc.Lock()
		defer locked.Unlock()
		if locked.LastGood() != 1 || !locked.LastGoodStart().Equal(began) || !locked.Failing() ||
			!errors.Is(locked.Err(), errDown) || locked.Closed() {
			t.Errorf("last good %d at %v, failing %v (%v), closed %v",
				locked.LastGood(), locked.LastGoodStart(), locked.Failing(), locked.Err(), locked.Closed())
		}
		if locked.MayReload(failed.Add(10*time.Second-1)) || !locked.MayReload(failed.Add(10*time.Second)) {
			t.Error("while loads fail, a request may cause one in the cooldown, no more and no less")
		}
		if locked.MayLoad(failed.Add(2*time.Second-1)) || !locked.MayLoad(failed.Add(2*time.Second)) {
			t.Error("without a value, a request may cause a load in the least backoff, no more and no less")
		}
		if got := locked.RetryAfter(); got != 10*time.Second {
			t.Errorf("try again after %v, want the cooldown", got)
		}
	})
}

// get is a loader by HTTP.
type get struct {
	refresh.Resource
	server scripted
}

func (g *get) Load(ctx context.Context) (refresh.Outcome[string], error) {
	_, life, err := g.Get(ctx, &g.server, "https://as.example.com", "", func([]byte) error { return nil })
	text := "one"
	return refresh.Outcome[string]{Value: &text, Life: life}, err
}

func (g *get) Close() error { return nil }

// A server that is asked too often says when to come back (RFC 6585 section 4, RFC 9110 section 15.6.4).
func TestServerThatWantsToBeLeftAlone(t *testing.T) {
	timing := refresh.Timing{MinBackoff: time.Second}
	if err := timing.Defaults(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		status int
		says   func() string
		wait   time.Duration
	}{
		"in seconds": {429, func() string { return "30" }, 30 * time.Second},
		"as a date": {503, func() string {
			return time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat)
		}, 20 * time.Second},
		"for longer than a minute":      {429, func() string { return "86400" }, time.Minute},
		"by a date that has passed":     {503, func() string { return "Mon, 05 Jan 1998 11:00:00 GMT" }, time.Second},
		"in words":                      {503, func() string { return "soon" }, time.Second},
		"with a status of another kind": {500, func() string { return "30" }, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				loader := &get{server: scripted{answers: []*fetch.Response{
					{Status: test.status, Header: http.Header{"Retry-After": {test.says()}}},
				}}}
				doc := refresh.New(timing, loader, refresh.Hooks[string]{})
				defer doc.Close()
				start := time.Now()
				if err := doc.Await(t.Context()); err == nil {
					t.Fatal("no error")
				}
				locked := doc.Lock()
				defer locked.Unlock()
				if got := locked.RetryAfter(); got != test.wait {
					t.Errorf("try again after %v, want %v", got, test.wait)
				}
				if locked.MayLoad(start.Add(test.wait-1)) || !locked.MayLoad(start.Add(test.wait)) {
					t.Errorf("a request may cause a load after %v, no earlier and no later", test.wait)
				}
				if locked.MayReload(start.Add(test.wait - 1)) {
					t.Error("the server was not left alone")
				}
			})
		})
	}
}

// A request may cause a load at the very moment when the timer is due. One load is enough, whichever comes first. Which
// one that is depends on chance, so the test repeats the moment.
func TestARequestAndTheTimerCauseOneLoad(t *testing.T) {
	var timing refresh.Timing
	if err := timing.Defaults(); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		synctest.Test(t, func(t *testing.T) {
			loader := &get{server: scripted{answers: []*fetch.Response{
				{Status: 429, Header: http.Header{"Retry-After": {"60"}}}, {Status: 200},
			}}}
			doc := refresh.New(timing, loader, refresh.Hooks[string]{})
			defer doc.Close()
			if err := doc.Await(t.Context()); err == nil {
				t.Fatal("no error")
			}
			time.Sleep(time.Minute)
			if doc.Current() == nil {
				_ = doc.Await(t.Context())
			}
			synctest.Wait()
			if loads := doc.Stats().Loads; doc.Current() == nil || loads != 2 {
				t.Fatalf("%d loads, want one at once and one after a minute", loads)
			}
		})
	}
}
