package refresh_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/refresh"
)

var errDown = errors.New("connection refused")

// loads is a loader whose answers the test chooses.
type loads struct {
	mu      sync.Mutex
	answer  refresh.Outcome[string]
	err     error
	panics  bool
	latency time.Duration
	began   []time.Time
	closed  bool
}

func (l *loads) Load(ctx context.Context) (refresh.Outcome[string], error) {
	l.mu.Lock()
	l.began = append(l.began, time.Now())
	answer, err, panics, latency := l.answer, l.err, l.panics, l.latency
	l.mu.Unlock()
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return answer, ctx.Err()
	}
	if panics {
		panic("the loader has met something new")
	}
	return answer, err
}

func (l *loads) Close() error {
	l.closed = true
	return nil
}

func (l *loads) set(change func(*loads)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

func (l *loads) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.began)
}

func value(text string) refresh.Outcome[string] {
	return refresh.Outcome[string]{Value: &text, Life: -1}
}

// reported collects events.
type reported struct {
	mu     sync.Mutex
	events []refresh.Event[string]
}

func (r *reported) add(e refresh.Event[string]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *reported) want(t *testing.T, want ...refresh.Kind) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	var got []refresh.Kind
	for _, e := range r.events {
		got = append(got, e.Kind)
	}
	if !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

// inBubble runs a test in a bubble with its own time. The loader of its document brings "one" until the test says
// otherwise.
func inBubble(
	t *testing.T, timing refresh.Timing, test func(*testing.T, *loads, *refresh.Document[string], *reported),
) {
	t.Helper()
	if err := timing.Defaults(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		loader, events := &loads{answer: value("one")}, new(reported)
		doc := refresh.New(timing, loader, refresh.Hooks[string]{Report: events.add})
		defer doc.Close()
		test(t, loader, doc, events)
	})
}

func wantValue(t *testing.T, doc *refresh.Document[string], want string) {
	t.Helper()
	got := "nothing"
	if v := doc.Current(); v != nil {
		got = *v
	}
	if got != want {
		t.Errorf("the document is %s, want %s", got, want)
	}
}
