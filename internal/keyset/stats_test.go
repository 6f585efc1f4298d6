package keyset_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/keyset"
)

// Stats say when the next attempt is due, and it happens at that time. They say why the last attempt failed until there
// is another.
func TestStatsSayWhatComesNextAndWhatFailed(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		s.header = http.Header{"Cache-Control": {"max-age=3600"}}
		if stats := source.Stats(); !stats.Next.IsZero() || stats.Err != nil {
			t.Errorf("before the first attempt: next %v, error %v", stats.Next, stats.Err)
		}
		source.Start()
		synctest.Wait()
		if names := source.Current().Names(); !slices.Equal(names, []string{"one"}) {
			t.Errorf("names %q", names)
		}
		for attempt, down := range []bool{true, false} {
			s.set(func(s *server) {
				s.err = nil
				if down {
					s.err = errDown
				}
			})
			next := source.Stats().Next
			if !next.After(time.Now()) {
				t.Fatalf("attempt %d: next %v, it is %v", attempt, next, time.Now())
			}
			time.Sleep(time.Until(next) - 1)
			synctest.Wait()
			if n := s.fetches(); n != attempt+1 {
				t.Errorf("attempt %d came before it was due", attempt)
			}
			time.Sleep(1)
			synctest.Wait()
			if n := s.fetches(); n != attempt+2 {
				t.Errorf("attempt %d did not come when it was due", attempt)
			}
			if err := source.Stats().Err; errors.Is(err, errDown) != down {
				t.Errorf("attempt %d: error %v", attempt, err)
			}
		}
		s.set(func(s *server) { s.latency = time.Second })
		time.Sleep(time.Until(source.Stats().Next))
		synctest.Wait()
		if stats := source.Stats(); !stats.Next.IsZero() {
			t.Errorf("while an attempt is under way: next %v", stats.Next)
		}
	})
}

// Keys are missing when they were to be fetched, and there are none. Nobody misses them before.
func TestStatsSayWhetherKeysAreMissing(t *testing.T) {
	inBubble(t, keyset.Timing{MaxStale: time.Hour}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		missing := func(when string, want bool) {
			t.Helper()
			synctest.Wait()
			if stats := source.Stats(); stats.Missing != want {
				t.Errorf("%s: missing %v, with %d keys", when, !want, stats.Keys)
			}
		}
		missing("before anybody needs them", false)
		s.set(func(s *server) { s.err = errDown })
		source.Start()
		missing("when the first fetch has failed", true)
		s.set(func(s *server) { s.err = nil })
		time.Sleep(time.Minute)
		missing("when one has succeeded", false)
		s.set(func(s *server) { s.err = errDown })
		time.Sleep(50 * time.Minute)
		missing("while others fail", false)
		time.Sleep(time.Hour)
		missing("when the keys are too old", true)
	})
}
