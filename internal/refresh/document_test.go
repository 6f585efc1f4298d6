package refresh_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/refresh"
)

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
		// Requests shorten it.
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
		l.set(func(l *loads) { l.err = errDown })
		time.Sleep(2 * time.Hour)
		events.want(t, refresh.Ready, refresh.Failing, refresh.Expired, refresh.Recovered, refresh.Failing, refresh.Expired)
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

func TestStartLoadsOnce(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], _ *reported) {
		for range 3 {
			doc.Start()
			synctest.Wait()
		}
		if l.count() != 1 {
			t.Errorf("%d loads", l.count())
		}
	})
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], _ *reported) {
		doc.Close()
		doc.Start()
		synctest.Wait()
		if l.count() != 0 {
			t.Errorf("%d loads after the end", l.count())
		}
	})
}

func TestPreloadWaitsForTheFirstLoad(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], _ *reported) {
		l.set(func(l *loads) { l.latency = time.Second })
		doc.Preload(t.Context())
		wantValue(t, doc, "one")
		doc.Preload(t.Context())
		if l.count() != 1 {
			t.Errorf("%d loads", l.count())
		}
	})
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], _ *reported) {
		l.set(func(l *loads) { l.latency = time.Second })
		doc.Start()
		synctest.Wait()
		doc.Preload(t.Context()) // it waits for the load of somebody else
		wantValue(t, doc, "one")
		if l.count() != 1 {
			t.Errorf("%d loads", l.count())
		}
	})
}

func TestPreloadLeavesTheNextTryToTheTimer(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], _ *reported) {
		l.set(func(l *loads) { l.err = errDown })
		for range 3 {
			doc.Preload(t.Context())
		}
		if l.count() != 1 {
			t.Errorf("%d loads", l.count())
		}
		l.set(func(l *loads) { l.err = nil })
		time.Sleep(2 * time.Second)
		wantValue(t, doc, "one")
	})
}

func TestTheEndOfAPreloadIsNotTheEndOfTheLoad(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], _ *reported) {
		l.set(func(l *loads) { l.latency = time.Second })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		doc.Preload(ctx)
		if took := time.Since(began); took != 0 {
			t.Errorf("it waited for %v", took)
		}
		time.Sleep(2 * time.Second)
		wantValue(t, doc, "one")
		doc.Close()
		doc.Preload(t.Context())
		if l.count() != 1 {
			t.Errorf("%d loads", l.count())
		}
	})
}

// An operator wants what the server has now. A load under way may have been answered before that, so another one
// follows. All who ask meanwhile share it. Neither backoff nor what the server asks for counts.
func TestReloadIsALoadThatBeginsLater(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], _ *reported) {
		l.latency = time.Second
		doc.Start()
		synctest.Wait()
		l.set(func(l *loads) { l.answer = value("two") })
		start := time.Now()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := doc.Reload(t.Context()); err != nil || time.Since(start) != 2*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				wantValue(t, doc, "two")
			})
		}
		wg.Wait()
		if l.count() != 2 {
			t.Errorf("%d loads", l.count())
		}

		l.set(func(l *loads) { l.latency, l.err = 0, errDown })
		for n := range 3 {
			if err := doc.Reload(t.Context()); !errors.Is(err, errDown) || l.count() != 3+n {
				t.Errorf("%v after %d loads", err, l.count())
			}
		}
		wantValue(t, doc, "two")
		l.set(func(l *loads) { l.answer, l.err = value("three"), nil })
		if err := doc.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		wantValue(t, doc, "three")
	})
}

func TestReloadEndsWithItsContextAndWithTheDocument(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], _ *reported) {
		l.latency = 4 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := doc.Reload(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := doc.Reload(t.Context()); !errors.Is(err, refresh.ErrClosed) {
				t.Errorf("while it closes: %v", err)
			}
		})
		synctest.Wait()
		if err := doc.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if err := doc.Reload(t.Context()); !errors.Is(err, refresh.ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// How long loads take is counted by how they end. What an owner adds up, or begins to count later, stays exact.
func TestLoadsAreTimed(t *testing.T) {
	inBubble(t, refresh.Timing{}, func(t *testing.T, l *loads, doc *refresh.Document[string], _ *reported) {
		l.set(func(l *loads) { l.latency = 2 * time.Second })
		doc.Preload(t.Context())
		first := doc.Stats().Times
		l.set(func(l *loads) { l.latency, l.err = 4*time.Second, errDown })
		if err := doc.Reload(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("error %v", err)
		}
		times := doc.Stats().Times
		for _, c := range []struct {
			name         string
			times        refresh.Times
			good, failed float64
		}{
			{"the first", first, 2, 0}, {"both", times, 2, 4}, {"since the first", times.Since(first), 0, 4},
			{"those of two documents", first.Plus(times), 4, 4},
		} {
			if good, failed := c.times.Good.Seconds(), c.times.Failed.Seconds(); good != c.good || failed != c.failed {
				t.Errorf("%s: %v s and %v s, want %v and %v", c.name, good, failed, c.good, c.failed)
			}
		}
		if good, failed := times.Good.Number(), times.Failed.Number(); good != 1 || failed != 1 {
			t.Errorf("%d good and %d failed", good, failed)
		}
	})
}
