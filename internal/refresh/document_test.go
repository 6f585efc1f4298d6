package refresh_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/refresh"
	"github.com/caddyjwt/gateway/internal/setting"
)

var errDown = errors.New("connection refused")

// loads is a loader whose answers the test decides.
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

// inBubble runs a test in a bubble of its own time, with a document whose loader brings "one" until the test says
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

func TestAllWhoAskShareALoad(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], events *reported) {
		l.latency = time.Second
		wantValue(t, doc, "nothing")
		var wg sync.WaitGroup
		for range refresh.MaxWaiters {
			wg.Go(func() {
				if err := doc.Await(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if err := doc.Await(t.Context()); !errors.Is(err, refresh.ErrBusy) {
			t.Errorf("one more than may wait: %v", err)
		}
		wg.Wait()
		if l.count() != 1 {
			t.Errorf("%d loads", l.count())
		}
		wantValue(t, doc, "one")
		l.set(func(l *loads) { l.latency = 0 })
		time.Sleep(time.Second) // MinBackoff
		if err := doc.Await(t.Context()); err != nil {
			t.Errorf("the places of those who waited are not free: %v", err)
		}
		events.want(t, refresh.Ready)
	})
}

func TestWaitingIsBounded(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], _ *reported) {
		l.latency = 4 * time.Second
		start := time.Now()
		if err := doc.Await(t.Context()); !errors.Is(err, refresh.ErrSlow) || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := doc.Await(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := doc.Await(t.Context()); err != nil || time.Since(start) != 4*time.Second || l.count() != 1 {
			t.Errorf("%v after %v and %d loads", err, time.Since(start), l.count())
		}
	})
}

func TestFailingLoadsBackOff(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], events *reported) {
		l.err = errDown
		doc.Start()
		doc.Start()
		time.Sleep(time.Hour)
		synctest.Wait()
		want := time.Second
		for i := 1; i < len(l.began); i++ {
			if got := l.began[i].Sub(l.began[i-1]); got < want*9/10 || got > want*11/10 {
				t.Errorf("%v before load %d, want about %v", got, i+1, want)
			}
			want = min(2*want, 5*time.Minute)
		}
		if want != 5*time.Minute {
			t.Errorf("%d loads in an hour", len(l.began))
		}
		events.want(t, refresh.Failing)
		if stats := doc.Stats(); !stats.Failing || stats.Failures != stats.Loads || stats.Loads != uint64(len(l.began)) {
			t.Errorf("stats %+v", stats)
		}
		// Those who ask shorten it.
		before := l.count()
		for range 100 {
			if err := doc.Await(t.Context()); !errors.Is(err, errDown) {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := l.count() - before; n < 8 || n > 12 {
			t.Errorf("%d loads in ten seconds of requests", n)
		}
		l.set(func(l *loads) { l.err = nil })
		time.Sleep(6 * time.Minute)
		events.want(t, refresh.Failing, refresh.Ready)
		if since := events.events[1].Since; since < time.Hour {
			t.Errorf("it is said to have failed for %v", since)
		}
	})
}

func TestAValueLastsUntilItIsTooOld(t *testing.T) {
	timing := refresh.Timing{MaxStale: time.Hour}
	inBubble(t, timing, func(t *testing.T, l *loads, doc *refresh.Document[string], events *reported) {
		doc.Start()
		synctest.Wait()
		fetched := doc.Stats().Fetched
		l.set(func(l *loads) { l.err = errDown })
		time.Sleep(time.Hour - 1)
		wantValue(t, doc, "one")
		time.Sleep(1)
		wantValue(t, doc, "nothing")
		time.Sleep(time.Hour)
		events.want(t, refresh.Ready, refresh.Failing, refresh.Expired)
		if !doc.Stats().Fetched.Equal(fetched) {
			t.Error("a failure counts as fetched")
		}
		l.set(func(l *loads) { l.err, l.answer = nil, refresh.Outcome[string]{Life: -1} })
		time.Sleep(10 * time.Minute)
		wantValue(t, doc, "one")
		events.want(t, refresh.Ready, refresh.Failing, refresh.Expired, refresh.Recovered)
	})
}

func TestTheLifeThatTheServerGivesHolds(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], events *reported) {
		l.answer.Life = time.Hour
		doc.Start()
		synctest.Wait()
		l.set(func(l *loads) { l.answer = refresh.Outcome[string]{Life: -1} }) // unmodified, and no word of a life
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		if n := l.count(); n < 11 || n > 15 {
			t.Errorf("%d loads in ten hours", n)
		}
		if stats := doc.Stats(); stats.NotModified != stats.Loads-1 {
			t.Errorf("stats %+v", stats)
		}
		l.set(func(l *loads) { l.answer = value("two") }) // a new document, and no word of a life
		time.Sleep(2 * time.Hour)
		before := l.count()
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		if n := l.count() - before; n < 44 || n > 56 {
			t.Errorf("%d loads in ten hours, want one in twelve minutes", n)
		}
		wantValue(t, doc, "two")
	})
}

func TestTheOwnerDecidesWhatIsKept(t *testing.T) {
	timing := refresh.Timing{}
	if err := timing.Defaults(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		loader, events := &loads{answer: value("one")}, new(reported)
		doc := refresh.New(timing, loader, refresh.Hooks[string]{
			Accept: func(before, loaded *string) *string {
				if strings.Contains(*before, *loaded) {
					return before
				}
				both := *before + ", " + *loaded
				return &both
			},
			Report: events.add,
		})
		defer doc.Close()
		doc.Start()
		time.Sleep(time.Hour)
		events.want(t, refresh.Ready)
		loader.set(func(l *loads) { l.answer = value("two") })
		time.Sleep(14 * time.Minute)
		wantValue(t, doc, "one, two")
		events.want(t, refresh.Ready, refresh.Changed)
		if e := events.events[1]; *e.Before != "one" || *e.Now != "one, two" {
			t.Errorf("from %s to %s", *e.Before, *e.Now)
		}
	})
}

func TestNotModifiedNeedsAValue(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], events *reported) {
		l.answer = refresh.Outcome[string]{}
		if err := doc.Await(t.Context()); !errors.Is(err, refresh.ErrNoDocument) {
			t.Error(err)
		}
		events.want(t, refresh.Failing)
	})
}

func TestALoaderMayKeepTheDocumentItself(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], events *reported) {
		l.answer = refresh.Outcome[string]{Nothing: true, Life: -1}
		if err := doc.Await(t.Context()); err != nil {
			t.Error(err)
		}
		wantValue(t, doc, "nothing")
		l.set(func(l *loads) { l.err = errDown })
		time.Sleep(14 * time.Minute)
		l.set(func(l *loads) { l.err = nil })
		time.Sleep(14 * time.Minute)
		events.want(t, refresh.Failing, refresh.Recovered)
	})
}

func TestAPanicIsAFailure(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], events *reported) {
		doc.Start()
		synctest.Wait()
		l.set(func(l *loads) { l.panics = true })
		time.Sleep(14 * time.Minute)
		wantValue(t, doc, "one")
		events.want(t, refresh.Ready, refresh.Failing)
	})
}

func TestCloseEndsALoad(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], events *reported) {
		doc.Start()
		synctest.Wait()
		l.set(func(l *loads) { l.latency = time.Hour })
		time.Sleep(time.Second)
		waited := make(chan error, 1)
		go func() { waited <- doc.Await(t.Context()) }()
		synctest.Wait()
		start := time.Now()
		if err := doc.Close(); err != nil || !l.closed {
			t.Errorf("error %v, loader closed: %v", err, l.closed)
		}
		if err := <-waited; !errors.Is(err, refresh.ErrClosed) || time.Since(start) > 0 {
			t.Errorf("who waits gets %v after %v", err, time.Since(start))
		}
		wantValue(t, doc, "nothing")
		if err := doc.Await(t.Context()); !errors.Is(err, refresh.ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
		doc.Start()
		time.Sleep(24 * time.Hour)
		if l.count() != 2 {
			t.Errorf("%d loads", l.count())
		}
		events.want(t, refresh.Ready)
	})
}

func TestTimingIsChecked(t *testing.T) {
	for want, timing := range map[string]refresh.Timing{
		"MinRefresh": {MinRefresh: 25 * time.Hour}, // the default maximum is 24h
		"MinBackoff": {MinBackoff: time.Hour},
	} {
		if got := setting.Field(timing.Defaults()); got != want {
			t.Errorf("%+v: a mistake in %q, want %q", timing, got, want)
		}
	}
	for field := range reflect.TypeFor[refresh.Timing]().Fields() {
		var timing refresh.Timing
		reflect.ValueOf(&timing).Elem().FieldByName(field.Name).SetInt(-1)
		if got := setting.Field(timing.Defaults()); got != field.Name {
			t.Errorf("%s is negative: a mistake in %q", field.Name, got)
		}
		timing = refresh.Timing{}
		if err := timing.Defaults(); err != nil || reflect.ValueOf(timing).FieldByName(field.Name).Int() <= 0 {
			t.Errorf("%s has no default: %+v, error %v", field.Name, timing, err)
		}
	}
}

func TestEventsComeInOrderAndOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []int
		hold := make(chan struct{})
		q := refresh.NewQueue(func(n int) {
			<-hold
			got = append(got, n) // a data race if two come at a time
		})
		for n := range 70 {
			q.Add(n)
		}
		go q.Deliver()
		synctest.Wait()
		q.Deliver() // returns: somebody is at it
		q.Add(1000) // takes the place of the one that is being handled
		q.Add(1001)
		close(hold)
		synctest.Wait()
		if len(got) != 65 || got[0] != 0 || got[63] != 63 || got[64] != 1000 {
			t.Errorf("%d events: %v", len(got), got)
		}
	})
}
