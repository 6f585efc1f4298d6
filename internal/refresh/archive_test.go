package refresh_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/refresh"
)

// lasting is a loader with a document of an earlier process.
type lasting struct {
	loads
	old     string // empty for none
	loaded  time.Time
	unfit   error
	hangs   bool
	recalls int
}

func (l *lasting) Recall(ctx context.Context) (*string, time.Time, error) {
	l.mu.Lock()
	l.recalls++
	old, loaded, unfit, hangs, panics := l.old, l.loaded, l.unfit, l.hangs, l.panics
	l.mu.Unlock()
	switch {
	case panics:
		panic("the store has something new")
	case hangs:
		<-ctx.Done()
		return nil, time.Time{}, refresh.ErrNoAnswer
	case unfit != nil:
		return nil, time.Time{}, unfit
	case old == "":
		return nil, time.Time{}, refresh.ErrNoAnswer
	}
	return &old, loaded, nil
}

func (l *lasting) recalled() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.recalls
}

// at is one of the events that were reported.
func (r *reported) at(i int) refresh.Event[string] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[i]
}

// afterRestart runs a test in a bubble, with a document of an hour ago that can be used for two hours. The server is
// down.
func afterRestart(t *testing.T, test func(*testing.T, *lasting, *refresh.Document[string], *reported)) {
	t.Helper()
	timing := refresh.Timing{MaxStale: 2 * time.Hour}
	if err := timing.Defaults(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		loader := &lasting{loads: loads{err: errDown, answer: value("new")}, old: "old", loaded: time.Now().Add(-time.Hour)}
		events := new(reported)
		doc := refresh.New(timing, loader, refresh.Hooks[string]{Report: events.add})
		defer doc.Close()
		test(t, loader, doc, events)
	})
}

func TestTheOldDocumentIsUsedForTheTimeThatItHasLeft(t *testing.T) {
	afterRestart(t, func(t *testing.T, l *lasting, doc *refresh.Document[string], events *reported) {
		wantValue(t, doc, "nothing")
		if err := doc.Await(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("error %v", err)
		}
		wantValue(t, doc, "old")
		if stats := doc.Stats(); !stats.Failing || !stats.Fetched.Equal(l.loaded) {
			t.Errorf("%+v", stats)
		}
		events.want(t, refresh.Recalled, refresh.Failing)
		if e := events.at(0); *e.Now != "old" || !e.Loaded.Equal(l.loaded) {
			t.Errorf("%+v", e)
		}
		time.Sleep(time.Hour - time.Second)
		wantValue(t, doc, "old")
		time.Sleep(time.Second)
		wantValue(t, doc, "nothing")
		time.Sleep(10 * time.Minute)
		wantValue(t, doc, "nothing")
		events.want(t, refresh.Recalled, refresh.Failing, refresh.Expired)
		if n := l.recalled(); n != 1 {
			t.Errorf("recalled %d times", n)
		}
	})
}

func TestALoadEndsTheUseOfTheOldDocument(t *testing.T) {
	afterRestart(t, func(t *testing.T, l *lasting, doc *refresh.Document[string], events *reported) {
		doc.Start()
		time.Sleep(10 * time.Minute)
		wantValue(t, doc, "old")
		l.set(func(l *loads) { l.err = nil })
		time.Sleep(10 * time.Minute)
		wantValue(t, doc, "new")
		events.want(t, refresh.Recalled, refresh.Failing, refresh.Recovered, refresh.Changed)
		if e := events.at(3); *e.Before != "old" || *e.Now != "new" {
			t.Errorf("%+v", e)
		}
	})
}

func TestTheOldDocumentIsNotNeeded(t *testing.T) {
	afterRestart(t, func(t *testing.T, l *lasting, doc *refresh.Document[string], events *reported) {
		l.set(func(l *loads) { l.err = nil })
		if err := doc.Await(t.Context()); err != nil {
			t.Error(err)
		}
		l.set(func(l *loads) { l.err = errDown })
		time.Sleep(24 * time.Hour) // also when the value is too old: the store has none that is newer
		wantValue(t, doc, "nothing")
		events.want(t, refresh.Ready, refresh.Failing, refresh.Expired)
		if n := l.recalled(); n != 0 {
			t.Errorf("recalled %d times", n)
		}
	})
}

func TestOldDocumentsThatAreNotUsed(t *testing.T) {
	for name, change := range map[string]func(*lasting){
		"too old": func(l *lasting) { l.loaded = time.Now().Add(-2 * time.Hour) },
		"none":    func(l *lasting) { l.old = "" },
		"hangs":   func(l *lasting) { l.hangs = true },
		"unfit":   func(l *lasting) { l.unfit = errors.New("no usable key") },
		"panics":  func(l *lasting) { l.panics = true },
	} {
		t.Run(name, func(t *testing.T) {
			afterRestart(t, func(t *testing.T, l *lasting, doc *refresh.Document[string], events *reported) {
				change(l)
				began := time.Now()
				if err := doc.Await(t.Context()); err == nil {
					t.Error("no error")
				}
				if took := time.Since(began); took > 500*time.Millisecond {
					t.Errorf("it took %v longer than without an old document", took)
				}
				time.Sleep(time.Hour)
				wantValue(t, doc, "nothing")
				want := []refresh.Kind{refresh.Failing}
				if name == "unfit" || name == "panics" { // said once, not after each attempt
					want = []refresh.Kind{refresh.Unfit, refresh.Failing}
				}
				events.want(t, want...)
				if n := l.recalled(); n < 5 {
					t.Errorf("recalled %d times", n)
				}
			})
		})
	}
}

// The store may be opened after the first load has failed.
func TestTheOldDocumentIsThereLater(t *testing.T) {
	afterRestart(t, func(t *testing.T, l *lasting, doc *refresh.Document[string], events *reported) {
		old := l.old
		l.old = ""
		doc.Start()
		synctest.Wait()
		wantValue(t, doc, "nothing")
		l.set(func(*loads) { l.old = old })
		time.Sleep(2 * time.Second)
		wantValue(t, doc, "old")
		events.want(t, refresh.Failing, refresh.Recalled)
	})
}

// What is kept is kept after the load counts. Nobody waits for it, and it ends with the document.
func TestKeepingHoldsUpNobody(t *testing.T) {
	afterRestart(t, func(t *testing.T, l *lasting, doc *refresh.Document[string], _ *reported) {
		ended := make(chan error, 2)
		answer := value("new")
		answer.Keep = func(ctx context.Context) {
			wantValue(t, doc, "new")
			<-ctx.Done()
			ended <- context.Cause(ctx)
		}
		l.set(func(l *loads) { l.err, l.answer = nil, answer })
		began := time.Now()
		if err := doc.Await(t.Context()); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		time.Sleep(15*time.Minute - time.Since(began))
		doc.Close()
		if err := <-ended; err == nil {
			t.Error("it goes on")
		}
	})
}
