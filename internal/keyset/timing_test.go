package keyset_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestRefreshInterval(t *testing.T) {
	for _, test := range []struct {
		name   string
		header http.Header
		want   time.Duration
	}{
		{"the server says nothing", http.Header{}, 12 * time.Minute},
		{"max-age", http.Header{"Cache-Control": {"public, max-age=3600"}}, 48 * time.Minute},
		{"max-age in capitals and quotes", http.Header{"Cache-Control": {`Max-Age="3600"`}}, 48 * time.Minute},
		{"two of them", http.Header{"Cache-Control": {"max-age=7200", "max-age=3600"}}, 48 * time.Minute},
		{"an answer that was in a cache", http.Header{"Cache-Control": {"max-age=3600"}, "Age": {"600"}}, 40 * time.Minute},
		{"max-age of zero", http.Header{"Cache-Control": {"max-age=0"}}, 48 * time.Second},
		{"a tiny max-age", http.Header{"Cache-Control": {"max-age=5"}}, 48 * time.Second},
		{"a huge max-age", http.Header{"Cache-Control": {"max-age=99999999999999999999999"}}, 24 * time.Hour * 8 / 10},
		{"a negative max-age", http.Header{"Cache-Control": {"max-age=-1"}}, 12 * time.Minute},
		{"a max-age that is a word", http.Header{"Cache-Control": {"max-age=long"}}, 12 * time.Minute},
		{"no-cache", http.Header{"Cache-Control": {"no-cache, no-store"}}, 12 * time.Minute},
		{"Expires", http.Header{"Date": {"Mon, 05 Jan 2026 10:00:00 GMT"}, "Expires": {"Mon, 05 Jan 2026 11:00:00 GMT"}},
			48 * time.Minute},
		{"Expires of an answer that was in a cache", http.Header{
			"Date": {"Mon, 05 Jan 2026 10:00:00 GMT"}, "Expires": {"Mon, 05 Jan 2026 11:00:00 GMT"}, "Age": {"600"},
		}, 40 * time.Minute},
		{"Expires in the past",
			http.Header{"Date": {"Mon, 05 Jan 2026 10:00:00 GMT"}, "Expires": {"Mon, 05 Jan 2026 09:00:00 GMT"}},
			48 * time.Second},
		{"Expires centuries ago", http.Header{
			"Date": {"Mon, 05 Jan 2026 10:00:00 GMT"}, "Expires": {"Mon, 01 Jan 1601 00:00:00 GMT"}, "Age": {"1"},
		}, 48 * time.Second},
		{"Expires of zero", http.Header{"Expires": {"0"}}, 12 * time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			timing := keyset.Timing{MaxStale: 100 * time.Hour}
			inBubble(t, timing, func(t *testing.T, s *server, source *keyset.Remote, events *observed) {
				s.header = test.header
				source.Start()
				time.Sleep(5 * test.want)
				synctest.Wait()
				intervals := s.intervals()
				if len(intervals) < 4 {
					t.Fatalf("intervals %v", intervals)
				}
				for _, interval := range intervals {
					if !near(interval, test.want) {
						t.Errorf("intervals %v, want about %v", intervals, test.want)
					}
				}
				if kinds := events.kinds(); !slices.Equal(kinds, []string{"ready"}) {
					t.Errorf("events %v", kinds)
				}
			})
		})
	}
}

func TestBackoff(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, events *observed) {
		s.err = errDown
		source.Start()
		time.Sleep(time.Hour)
		synctest.Wait()
		want := time.Second
		for _, interval := range s.intervals() {
			if !near(interval, want) {
				t.Errorf("intervals %v, want about %v", s.intervals(), want)
			}
			want = min(2*want, 5*time.Minute)
		}
		if want != 5*time.Minute {
			t.Errorf("intervals %v", s.intervals())
		}
		s.set(func(s *server) { s.err = nil })
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if kinds := events.kinds(); !slices.Equal(kinds, []string{"failing", "ready"}) ||
			events.last().Since < time.Hour-time.Minute {
			t.Errorf("events %v, the last %+v", kinds, events.last())
		}
	})
}

func TestRequestsShortenTheBackoffWhileThereAreNoKeys(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		s.err = errDown
		for range 600 { // a minute of requests
			if err := find(t, source, "one"); !errors.Is(err, keyset.ErrUnavailable) || !errors.Is(err, errDown) {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.fetches(); n < 50 || n > 61+7 {
			t.Errorf("%d fetches in a minute", n)
		}
		s.set(func(s *server) { s.err = nil })
		time.Sleep(time.Second)
		if err := find(t, source, "one"); err != nil {
			t.Errorf("a second after the server has come up: %v", err)
		}
	})
}

func TestKeysLastUntilTheyAreTooOld(t *testing.T) {
	timing := keyset.Timing{MaxStale: time.Hour}
	inBubble(t, timing, func(t *testing.T, s *server, source *keyset.Remote, events *observed) {
		if err := find(t, source, "one"); err != nil {
			t.Fatal(err)
		}
		s.set(func(s *server) { s.err = errDown })
		time.Sleep(59 * time.Minute)
		if err := find(t, source, "one"); err != nil {
			t.Errorf("before: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if source.Current() != nil {
			t.Error("there are keys that are too old")
		}
		unavailable, ok := errors.AsType[*keyset.UnavailableError](find(t, source, "one"))
		if !ok || unavailable.RetryAfter != time.Second || !errors.Is(unavailable, errDown) {
			t.Errorf("afterwards: %v", unavailable)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if kinds := events.kinds(); !slices.Equal(kinds, []string{"ready", "failing", "expired"}) {
			t.Errorf("events %v", kinds)
		}
		s.set(func(s *server) { s.err = nil })
		time.Sleep(time.Second) // since what may have been the last attempt
		if err := find(t, source, "one"); err != nil {
			t.Errorf("when the server is back: %v", err)
		}
		synctest.Wait()
		if kinds := events.kinds(); !slices.Equal(kinds, []string{"ready", "failing", "expired", "recovered"}) {
			t.Errorf("events %v", kinds)
		}
	})
}

// However long the server says that its keys are good, they are fetched again before our own bound, and early enough to
// survive an outage of some seconds.
func TestKeysAreFetchedAgainBeforeTheyAreTooOld(t *testing.T) {
	timing := keyset.Timing{MaxStale: 5 * time.Minute}
	inBubble(t, timing, func(t *testing.T, s *server, source *keyset.Remote, events *observed) {
		s.header.Set("Cache-Control", "max-age=86400")
		if err := find(t, source, "one"); err != nil {
			t.Fatal(err)
		}
		for range 360 { // an hour
			time.Sleep(10 * time.Second)
			down := time.Now().Second() >= 40 // for 20 seconds of every minute
			s.set(func(s *server) {
				if s.err = nil; down {
					s.err = errDown
				}
			})
			if source.Current() == nil {
				t.Fatal("there are no keys for a while")
			}
		}
		if n := s.fetches(); n < 12 || n > 60 {
			t.Errorf("%d fetches in an hour", n)
		}
		if slices.Contains(events.kinds(), "expired") {
			t.Errorf("events %v", events.kinds())
		}
	})
}

func TestCooldown(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		if err := find(t, source, "one"); err != nil {
			t.Fatal(err)
		}
		for i := range 600 { // a minute of unknown ids
			if err := find(t, source, fmt.Sprint("bogus ", i)); !unknown(err) {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.fetches(); n < 1+3+5 || n > 1+3+6 {
			t.Errorf("%d fetches in a minute, want about 1 + 3 + 5", n)
		}
		for _, interval := range s.intervals()[4:] { // after the first, and those saved up
			if interval < 9900*time.Millisecond { // what was not spent at once may follow sooner
				t.Errorf("intervals %v", s.intervals())
			}
		}
	})
}

func TestMissedKeysAreRemembered(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		_ = find(t, source, "one")
		if err := find(t, source, "two"); !errors.Is(err, keyset.ErrUnknownKey) {
			t.Fatal(err)
		}
		// Requests that have just had their answer do not wait for a refresh that is under way.
		s.set(func(s *server) { s.latency = time.Second })
		time.Sleep(9 * time.Second)
		start := time.Now()
		if err := find(t, source, "two"); !errors.Is(err, keyset.ErrUnknownKey) || time.Since(start) > 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(2 * time.Second)
		s.set(func(s *server) { s.body = tokentest.JWKS(tokentest.NewKey(t, "ES256", "two")) })
		if err := find(t, source, "two"); err != nil || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestUnknownKeysWhileFailing(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		_ = find(t, source, "one")
		s.set(func(s *server) { s.err = errDown })
		time.Sleep(time.Hour) // the backoff has grown to its limit
		before := s.fetches()
		for range 100 {
			if err := find(t, source, "two"); !errors.Is(err, keyset.ErrUnavailable) || errors.Is(err, keyset.ErrUnknownKey) {
				t.Fatal(err)
			}
			if err := find(t, source, "one"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.fetches() - before; n < 1 || n > 3 {
			t.Errorf("%d fetches in ten seconds", n)
		}
		s.set(func(s *server) { s.err, s.body = nil, tokentest.JWKS(tokentest.NewKey(t, "ES256", "two")) })
		time.Sleep(10 * time.Second)
		if err := find(t, source, "two"); err != nil {
			t.Errorf("ten seconds after the server has come back: %v", err)
		}
	})
}

func TestWaitingIsBounded(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		s.latency = 4 * time.Second
		start := time.Now()
		unavailable, ok := errors.AsType[*keyset.UnavailableError](find(t, source, "one"))
		if !ok || time.Since(start) != 2*time.Second {
			t.Fatalf("%v after %v", unavailable, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := source.Find(ctx, jose.ES256, "one"); !errors.Is(err, context.DeadlineExceeded) ||
			time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := find(t, source, "one"); err != nil || time.Since(start) != 4*time.Second || s.fetches() != 1 {
			t.Errorf("%v after %v and %d fetches", err, time.Since(start), s.fetches())
		}
		// When there are keys, a slow fetch delays only requests for other keys.
		s.set(func(s *server) { s.latency = time.Hour })
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := find(t, source, "two"); !errors.Is(err, keyset.ErrUnavailable) {
				t.Error(err)
			}
		})
		synctest.Wait()
		start = time.Now()
		if err := find(t, source, "one"); err != nil || time.Since(start) > 0 {
			t.Errorf("a good token: %v after %v", err, time.Since(start))
		}
		wg.Wait()
		time.Sleep(4 * time.Second)
		if !source.Stats().Failing {
			t.Error("the attempt has no end")
		}
	})
}

// A fetch that began before a request need not bring the key of that request.
func TestAFetchUnderWayMayBeTooEarly(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		s.latency = 500 * time.Millisecond
		source.Start()
		time.Sleep(100 * time.Millisecond)
		s.set(func(s *server) { s.body = tokentest.JWKS(tokentest.NewKey(t, "ES256", "two")) })
		if err := find(t, source, "two"); err != nil || s.fetches() != 2 {
			t.Errorf("%v after %d fetches", err, s.fetches())
		}
	})
}

func TestKeysWithoutIDAreAskedForAgain(t *testing.T) {
	inBubble(t, keyset.Timing{}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		s.body = tokentest.JWKS(tokentest.NewKey(t, "ES256", ""))
		for range 100 {
			if err := find(t, source, "whatever"); err != nil {
				t.Fatal(err)
			}
			if err := find(t, source, ""); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.fetches(); n > 2 {
			t.Errorf("%d fetches", n)
		}
		s.set(func(s *server) { s.latency = time.Hour })
		time.Sleep(11 * time.Second)
		if err := find(t, source, "whatever else"); err != nil {
			t.Errorf("while the server is slow: %v", err)
		}
	})
}
