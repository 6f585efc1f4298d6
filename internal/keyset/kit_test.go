package keyset_test

import (
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/keyset"
)

// remote makes a source that is closed when the test ends.
func remote(tb testing.TB, options keyset.RemoteOptions) *keyset.Remote {
	tb.Helper()
	source, err := keyset.NewRemote(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { source.Close() })
	return source
}

// within asks again and again until the answer is yes. It fails the test after far more time than is needed, even on a
// busy machine.
func within(tb testing.TB, what string, yes func() bool) {
	tb.Helper()
	const patience = time.Minute
	for deadline := time.Now().Add(patience); !yes(); {
		if time.Now().After(deadline) {
			tb.Fatalf("not within %v: %s", patience, what)
		}
		<-time.After(time.Millisecond)
	}
}

// observed collects the events of a source.
type observed struct {
	mu     sync.Mutex
	events []keyset.Event
}

func (o *observed) add(event keyset.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, event)
}

func (o *observed) kinds() (kinds []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, event := range o.events {
		kinds = append(kinds, event.Kind.String())
	}
	return kinds
}

func (o *observed) last() keyset.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.events) == 0 {
		return keyset.Event{}
	}
	return o.events[len(o.events)-1]
}
