package introspect_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

// counted is a transport that counts its requests and answers with what text returns.
func counted(calls *atomic.Int64, text func() string) transport {
	return func(*http.Request) (*http.Response, error) {
		calls.Add(1)
		return response(200, text()), nil
	}
}

func always(text string) func() string { return func() string { return text } }

// callsAt asks at each of the times from the start and reports which questions reached the server.
func callsAt(t *testing.T, text func() string, change func(*introspect.Config), times ...time.Duration) string {
	t.Helper()
	var asked []string
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		cfg := fakeConfig(counted(&calls, text))
		if change != nil {
			change(&cfg)
		}
		c := newClient(t, cfg)
		defer c.Close()
		start := time.Now()
		for _, at := range times {
			time.Sleep(at - time.Since(start))
			before := calls.Load()
			if _, err := c.Introspect(t.Context(), testToken); err != nil {
				t.Fatal(err)
			}
			if calls.Load() > before {
				asked = append(asked, at.String())
			}
		}
	})
	return strings.Join(asked, " ")
}

func TestAnswersAreUsedForTheirTimeToLive(t *testing.T) {
	const s = time.Second
	exp := func(in time.Duration) func() string { return func() string { return expiring(in) } }
	for _, test := range []struct {
		name   string
		text   func() string
		change func(*introspect.Config)
		times  []time.Duration
		want   string
	}{
		{"active answers for 30 seconds", always(`{"active":true}`), nil,
			[]time.Duration{0, s, 30*s - 1, 30 * s, 59 * s, 61 * s}, "0s 30s 1m1s"},
		{"inactive answers for 5 seconds", always(`{"active":false}`), nil,
			[]time.Duration{0, s, 5*s - 1, 5 * s, 6 * s}, "0s 5s"},
		{"as long as configured", always(`{"active":true}`), func(c *introspect.Config) { c.CacheTTL = 2 * time.Minute },
			[]time.Duration{0, 119 * s, 120 * s}, "0s 2m0s"},
		{"not past exp", exp(10 * s), nil,
			[]time.Duration{0, 9 * s, 10 * s, 11 * s, 20 * s}, "0s 10s 20s"},
		{"not at all when exp is over", always(`{"active":true,"exp":1}`), nil,
			[]time.Duration{0, 0, 0, s}, "0s 0s 0s 1s"},
		{"not at all when exp is now", exp(0), nil,
			[]time.Duration{0, 0, 0}, "0s 0s 0s"},
		{"exp does not lengthen it", exp(time.Hour), nil,
			[]time.Duration{0, 29 * s, 30 * s}, "0s 30s"},
		{"active answers not at all when off", always(`{"active":true}`),
			func(c *introspect.Config) { c.CacheTTL = introspect.Off },
			[]time.Duration{0, 0, s}, "0s 0s 1s"},
		{"inactive answers not at all when off", always(`{"active":false}`),
			func(c *introspect.Config) { c.NegativeTTL = introspect.Off },
			[]time.Duration{0, 0, s}, "0s 0s 1s"},
		{"inactive answers still when the other cache is off", always(`{"active":false}`),
			func(c *introspect.Config) { c.CacheTTL = introspect.Off },
			[]time.Duration{0, 0, s}, "0s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := callsAt(t, test.text, test.change, test.times...); got != test.want {
				t.Errorf("the server was asked at %s, want %s", got, test.want)
			}
		})
	}
}

func TestACachedAnswerNeverOutlivesExp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := expiring(2 * time.Second)
		texts := []string{first, `{"active":false}`}
		cfg := fakeConfig(func(*http.Request) (*http.Response, error) {
			text := texts[0]
			texts = texts[1:]
			return response(200, text), nil
		})
		cfg.CacheTTL = time.Minute
		c := newClient(t, cfg)
		defer c.Close()
		r, err := c.Introspect(t.Context(), testToken)
		wantActive(t, true, r, err)
		time.Sleep(2 * time.Second)
		r, err = c.Introspect(t.Context(), testToken)
		wantActive(t, false, r, err)
	})
}

// TestExpIsComparedWithTheWallClock sets the clock of the machine forward, past "exp". The time to live is not over,
// but the answer must not be used any more.
func TestExpIsComparedWithTheWallClock(t *testing.T) {
	var calls atomic.Int64
	var skew atomic.Int64
	cfg := fakeConfig(counted(&calls, always(expiring(time.Minute))))
	cfg.Now = func() time.Time {
		now := time.Now()
		if skew.Load() != 0 {
			// When the wall clock is set, its reading changes while the monotonic one goes on. A test cannot make such a time,
			// so here both readings lack the monotonic one.
			now = now.Round(0).Add(time.Duration(skew.Load()))
		}
		return now
	}
	c := newClient(t, cfg)
	for range 2 {
		if _, err := c.Introspect(t.Context(), testToken); err != nil {
			t.Fatal(err)
		}
	}
	skew.Store(int64(time.Hour))
	if _, err := c.Introspect(t.Context(), testToken); err != nil || calls.Load() != 2 {
		t.Errorf("%d calls, want 2; %v", calls.Load(), err)
	}
	// Nor does a clock that was set back make an old answer young.
	skew.Store(-int64(time.Hour))
	if _, err := c.Introspect(t.Context(), testToken); err != nil || calls.Load() != 3 {
		t.Errorf("%d calls, want 3; %v", calls.Load(), err)
	}
}

func TestAShorterMaxAgeNeverUsesAnOlderAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		text := `{"active":true}`
		c := newClient(t, fakeConfig(counted(&calls, func() string { return text })))
		defer c.Close()
		ask := func(want int64, opts ...introspect.Option) introspect.Result {
			t.Helper()
			r, err := c.Introspect(t.Context(), testToken, opts...)
			if err != nil || calls.Load() != want {
				t.Fatalf("%d calls, want %d; %v", calls.Load(), want, err)
			}
			return r
		}
		start := time.Now()
		ask(1)
		time.Sleep(4 * time.Second)
		if r := ask(1, introspect.MaxAge(4*time.Second)); !r.FetchedAt.Equal(start) {
			t.Errorf("FetchedAt is %v, want %v", r.FetchedAt, start)
		}
		time.Sleep(time.Nanosecond)
		if r := ask(2, introspect.MaxAge(4*time.Second)); !r.FetchedAt.Equal(time.Now()) {
			t.Errorf("FetchedAt is %v, want now", r.FetchedAt)
		}
		ask(2, introspect.MaxAge(time.Hour)) // the refreshed answer serves all
		ask(3, introspect.MaxAge(0))
		ask(4, introspect.MaxAge(-1))
		ask(5, introspect.MaxAge(time.Hour), introspect.MaxAge(0)) // the stricter one counts
		ask(6, introspect.MaxAge(0), introspect.MaxAge(time.Hour))
		time.Sleep(31 * time.Second)
		ask(7, introspect.MaxAge(time.Hour)) // it does not lengthen the time to live
		text = `{"active":false}`
		ask(8, introspect.MaxAge(0))
		if r := ask(8); r.Active {
			t.Error("the active answer was used after an inactive one")
		}
		time.Sleep(2 * time.Second)
		ask(9, introspect.MaxAge(time.Second)) // inactive answers age as well
		text = `{"active":true}`
		ask(10, introspect.MaxAge(0))
		if r := ask(10); !r.Active {
			t.Error("the inactive answer was used after an active one")
		}
	})
}

func TestAResultCannotBeChanged(t *testing.T) {
	c := newClient(t,
		fakeConfig(func(*http.Request) (*http.Response, error) { return response(200, expiring(time.Hour)), nil }))
	r, err := c.Introspect(t.Context(), testToken)
	wantActive(t, true, r, err)
	want := r
	r.Active, r.ExpiresAt, r.Answer, r.Value = false, time.Time{}, "", "x"
	if again, err := c.Introspect(t.Context(), testToken); err != nil || again != want {
		t.Errorf("the cached result became %+v", again)
	}
}

// TestTheSameTokenAtTwoServersIsTwoTokens fails for a cache that forgets whose answer it has.
func TestTheSameTokenAtTwoServersIsTwoTokens(t *testing.T) {
	good, bad := newServer(t, answer(`{"active":true}`)), newServer(t, answer(`{"active":false}`))
	a, b := newClient(t, basicConfig(good.URL)), newClient(t, basicConfig(bad.URL))
	for range 2 {
		r, err := a.Introspect(t.Context(), testToken)
		wantActive(t, true, r, err)
		r, err = b.Introspect(t.Context(), testToken)
		wantActive(t, false, r, err)
	}
}

func TestNoVerdictIsNotRemembered(t *testing.T) {
	for name, bad := range map[string]http.HandlerFunc{
		"refused":       reply(401, "application/json", `{"active":false}`),
		"rate limited":  reply(429, "application/json", `{"active":false}`),
		"broken":        reply(500, "application/json", `{"active":false}`),
		"string active": answer(`{"active":"false"}`),
		"no answer":     answer(`{}`),
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, bad)
			cfg := basicConfig(s.URL)
			cfg.NegativeTTL = introspect.Off // or it is not asked about again for a moment
			c := newClient(t, cfg)
			if r, err := c.Introspect(t.Context(), testToken); err == nil {
				t.Fatalf("a verdict: %+v", r)
			}
			s.set(answer(`{"active":true}`))
			r, err := c.Introspect(t.Context(), testToken)
			wantActive(t, true, r, err)
		})
	}
}

// TestNoStaleAnswers: trouble at the server is no reason to use an answer whose time is over.
func TestNoStaleAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := 200
		c := newClient(t,
			fakeConfig(func(*http.Request) (*http.Response, error) { return response(status, `{"active":true}`), nil }))
		defer c.Close()
		r, err := c.Introspect(t.Context(), testToken)
		wantActive(t, true, r, err)
		status = 500
		time.Sleep(29 * time.Second)
		r, err = c.Introspect(t.Context(), testToken)
		wantActive(t, true, r, err)
		time.Sleep(time.Second)
		r, err = c.Introspect(t.Context(), testToken)
		wantCause(t, introspect.CauseUnavailable, r, err)
	})
}

func TestTheCacheIsBoundedInBytes(t *testing.T) {
	long := `{"active":true,"x":"` + strings.Repeat("x", 20_000) + `"}`
	cfg := fakeConfig(func(*http.Request) (*http.Response, error) { return response(200, long), nil })
	cfg.CacheBytes = 1 << 20
	c := newClient(t, cfg)
	for i := range 200 {
		if _, err := c.Introspect(t.Context(), fmt.Sprint("token", i)); err != nil {
			t.Fatal(err)
		}
	}
	// The store evicts on goroutines of its own; wait for them within reason.
	for range 1000 {
		if s := c.Stats(); s.CacheBytes <= cfg.CacheBytes && s.CacheEntries < 20 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("the cache has %+v, want at most %d bytes", c.Stats(), cfg.CacheBytes)
}

func TestAClosedClientForgetsItsAnswers(t *testing.T) {
	s := newServer(t, answer(`{"active":true}`))
	c := newClient(t, basicConfig(s.URL))
	r, err := c.Introspect(t.Context(), testToken)
	wantActive(t, true, r, err)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	r, err = c.Introspect(t.Context(), testToken)
	if wantCause(t, introspect.CauseUnavailable, r, err); !errors.Is(err, introspect.ErrClosed) {
		t.Errorf("the error is %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func TestAForgottenTokenIsAskedAboutAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		c := newClient(t, fakeConfig(func(*http.Request) (*http.Response, error) {
			calls.Add(1)
			time.Sleep(time.Second)
			return response(200, `{"active":true}`), nil
		}))
		defer c.Close()
		ask := func() {
			if _, err := c.Introspect(t.Context(), testToken); err != nil {
				t.Error(err)
			}
		}
		ask()
		c.Forget(testToken)
		ask()
		if calls.Load() != 2 {
			t.Errorf("%d calls, want 2", calls.Load())
		}
		c.Forget(testToken)
		go ask()
		synctest.Wait()
		c.Forget(testToken) // while the call is under way
		time.Sleep(2 * time.Second)
		ask()
		if calls.Load() != 4 {
			t.Errorf("%d calls, want 4", calls.Load())
		}
		go func() { _, _ = c.Introspect(t.Context(), "another token") }()
		synctest.Wait()
		c.ForgetAll() // while the call about another token is under way
		ask()
		if _, err := c.Introspect(t.Context(), "another token"); err != nil || calls.Load() != 7 {
			t.Errorf("%d calls, want 7: %v", calls.Load(), err)
		}
		if s := c.Stats(); s.CacheEntries != 2 || s.InFlight != 0 {
			t.Errorf("%+v", s)
		}
	})
}
