package introspect_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

// breakerTest is a client whose server answers with a status that the test changes.
type breakerTest struct {
	*testing.T
	c      *introspect.Client
	status atomic.Int64
	text   string
	delay  time.Duration
	header http.Header
	calls  atomic.Int64
	tokens int
}

func newBreakerTest(t *testing.T, change func(*introspect.Config)) *breakerTest {
	// A 503 with a time to wait is not retried.
	b := &breakerTest{T: t, text: `{"active":true}`, header: http.Header{"Retry-After": {"1"}}}
	b.status.Store(200)
	cfg := fakeConfig(func(*http.Request) (*http.Response, error) {
		b.calls.Add(1)
		time.Sleep(b.delay)
		r := response(int(b.status.Load()), b.text)
		for name, values := range b.header {
			r.Header[name] = values
		}
		return r, nil
	})
	cfg.BreakerFailures = 3
	if change != nil {
		change(&cfg)
	}
	b.c = newClient(t, cfg)
	return b
}

// ask asks about a token that was not seen before.
func (b *breakerTest) ask() (introspect.Result, error) {
	b.tokens++
	return b.c.Introspect(b.Context(), fmt.Sprint("token", b.tokens))
}

func (b *breakerTest) fail(times int, want introspect.Cause) {
	b.Helper()
	for range times {
		r, err := b.ask()
		wantCause(b.T, want, r, err)
	}
}

func (b *breakerTest) wantCalls(want int64) {
	b.Helper()
	if got := b.calls.Swap(0); got != want {
		b.Errorf("the server was asked %d times, want %d", got, want)
	}
}

func TestTheBreakerOpensProbesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b *breakerTest
		var states []introspect.BreakerState
		look := func() { states = append(states, b.c.Stats().Breaker) }
		b = newBreakerTest(t, func(c *introspect.Config) {
			asking := c.HTTPClient.Transport
			c.HTTPClient.Transport = transport(func(r *http.Request) (*http.Response, error) {
				look()
				return asking.RoundTrip(r)
			})
		})
		defer b.c.Close()
		r, err := b.c.Introspect(t.Context(), testToken)
		wantActive(t, true, r, err)
		b.wantCalls(1)

		b.status.Store(503)
		b.fail(3, introspect.CauseUnavailable)
		b.wantCalls(3)
		b.fail(50, introspect.CauseBreakerOpen)
		b.wantCalls(0)
		look()
		r, err = b.c.Introspect(t.Context(), testToken) // what is cached keeps working
		wantActive(t, true, r, err)

		time.Sleep(5*time.Second - 1)
		r, err = b.ask()
		if e := wantCause(t, introspect.CauseBreakerOpen, r, err); e.RetryAfter != time.Second {
			t.Errorf("RetryAfter is %v", e.RetryAfter)
		}
		time.Sleep(1)
		b.fail(1, introspect.CauseUnavailable) // the probe fails
		b.fail(50, introspect.CauseBreakerOpen)
		b.wantCalls(1)
		look()

		time.Sleep(5 * time.Second)
		b.status.Store(200)
		for range 5 {
			r, err = b.ask()
			wantActive(t, true, r, err)
		}
		b.wantCalls(5)
		want := []introspect.BreakerState{introspect.BreakerClosed, introspect.BreakerOpen, introspect.BreakerHalfOpen,
			introspect.BreakerOpen, introspect.BreakerHalfOpen, introspect.BreakerClosed}
		if states = slices.Compact(states); !slices.Equal(states, want) {
			t.Errorf("the states were %v, want %v", states, want)
		}
	})
}

func TestOneCallProbesAHalfOpenBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreakerTest(t, nil)
		defer b.c.Close()
		b.status.Store(503)
		b.fail(3, introspect.CauseUnavailable)
		time.Sleep(5 * time.Second)
		b.calls.Store(0)
		b.delay = time.Second
		b.header.Del("Retry-After") // it would be repeated, were it not the probe
		errs := make(chan error)
		for i := range 20 {
			go func() {
				_, err := b.c.Introspect(t.Context(), fmt.Sprint("many", i))
				errs <- err
			}()
		}
		causes := map[introspect.Cause]int{}
		for range 20 {
			var e *introspect.NoVerdictError
			if errors.As(<-errs, &e) {
				causes[e.Cause]++
			}
		}
		b.wantCalls(1)
		if causes[introspect.CauseUnavailable] != 1 || causes[introspect.CauseBreakerOpen] != 19 {
			t.Errorf("the causes are %v", causes)
		}
	})
}

func TestOnlyFailuresInARowOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreakerTest(t, nil)
		defer b.c.Close()
		for range 10 {
			b.status.Store(503)
			b.fail(2, introspect.CauseUnavailable)
			b.status.Store(200)
			r, err := b.ask()
			wantActive(t, true, r, err)
		}
		b.wantCalls(30)
	})
}

func TestWhatCountsAsAFailureOfTheServer(t *testing.T) {
	for _, test := range []struct {
		name   string
		status int
		text   string
		cause  introspect.Cause
		opens  bool
	}{
		{"a gateway without a server behind it", 502, "", introspect.CauseUnavailable, true},
		{"unavailable", 503, "", introspect.CauseUnavailable, true},
		{"a gateway whose server is late", 504, "", introspect.CauseUnavailable, true},
		// These answers may depend on the token. A stranger must not switch the server off for everybody.
		{"broken", 500, "", introspect.CauseUnavailable, false},
		{"not built", 501, "", introspect.CauseUnavailable, false},
		{"a status of somebody's own", 599, "", introspect.CauseUnavailable, false},
		{"rate limited", 429, "", introspect.CauseRateLimited, false},
		{"credentials refused", 401, "", introspect.CauseRefused, false},
		{"forbidden", 403, "", introspect.CauseRefused, false},
		{"not found", 404, "", introspect.CauseProtocol, false},
		{"a redirect", 302, "", introspect.CauseProtocol, false},
		{"bad request", 400, "", introspect.CauseProtocol, false},
		{"nonsense", 200, "{", introspect.CauseProtocol, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreakerTest(t, nil)
				defer b.c.Close()
				b.status.Store(int64(test.status))
				b.text = test.text
				b.fail(3, test.cause)
				if open := b.c.Stats().Breaker == introspect.BreakerOpen; open != test.opens {
					t.Errorf("open is %v, want %v", open, test.opens)
				}
			})
		})
	}
}

func TestAnAnswerThatBreaksTheProtocolClosesTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreakerTest(t, nil)
		defer b.c.Close()
		b.status.Store(503)
		b.fail(3, introspect.CauseUnavailable)
		time.Sleep(5 * time.Second)
		b.status.Store(200)
		b.text = "{"
		b.fail(1, introspect.CauseProtocol)
		b.text = `{"active":true}`
		r, err := b.ask()
		wantActive(t, true, r, err)
	})
}

func TestTheBreakerHonoursRetryAfterWithinBounds(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"1": 5 * time.Second, "20": 20 * time.Second, "3600": 30 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBreakerTest(t, nil)
			defer b.c.Close()
			b.status.Store(503)
			b.header.Set("Retry-After", value)
			b.fail(3, introspect.CauseUnavailable)
			b.status.Store(200)
			time.Sleep(want - 1)
			b.fail(1, introspect.CauseBreakerOpen)
			time.Sleep(1)
			r, err := b.ask()
			wantActive(t, true, r, err)
		})
	}
}

func TestOwnOverloadDoesNotOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		cfg := fakeConfig(func(*http.Request) (*http.Response, error) {
			<-block
			return response(200, `{"active":true}`), nil
		})
		cfg.MaxInFlight, cfg.BreakerFailures = 1, 3
		c := newClient(t, cfg)
		defer c.Close()
		done := make(chan error)
		for i := range 100 {
			go func() {
				_, err := c.Introspect(t.Context(), fmt.Sprint("token", i))
				done <- err
			}()
		}
		for range 83 { // all but one in flight and 16 waiting
			if err := <-done; !errors.Is(err, introspect.CauseOverloaded) {
				t.Errorf("the error is %v", err)
			}
		}
		if s := c.Stats(); s.Breaker != introspect.BreakerClosed {
			t.Errorf("the breaker is %v", s.Breaker)
		}
		close(block)
		for range 17 {
			if err := <-done; err != nil {
				t.Errorf("the error is %v", err)
			}
		}
	})
}

// TestAProbeThatNeverComesBackIsNotTheLast: a function that ignores its context must not keep the breaker half open
// forever.
func TestAProbeThatNeverComesBackIsNotTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		calls := 0
		cfg := fakeConfig(func(*http.Request) (*http.Response, error) {
			switch calls++; calls {
			case 1:
				return nil, errors.New("nobody there")
			case 2:
				<-stuck
				return nil, errors.New("late")
			}
			return response(200, `{"active":true}`), nil
		})
		cfg.MaxInFlight, cfg.BreakerFailures = 1, 1
		c := newClient(t, cfg)
		defer c.Close()
		r, err := c.Introspect(t.Context(), "a")
		wantCause(t, introspect.CauseUnavailable, r, err)
		time.Sleep(introspect.DefaultBreakerWait)
		r, err = c.Introspect(t.Context(), "b") // the probe is stuck
		wantCause(t, introspect.CauseTimeout, r, err)
		r, err = c.Introspect(t.Context(), "c") // the next one finds no free slot, and learns nothing
		wantCause(t, introspect.CauseOverloaded, r, err)
		synctest.Wait()
		if s := c.Stats(); s.Breaker != introspect.BreakerOpen || s.InFlight != 1 {
			t.Errorf("stats are %+v", s)
		}
		close(stuck)
		synctest.Wait()
		r, err = c.Introspect(t.Context(), "d")
		wantActive(t, true, r, err)
		if s := c.Stats(); s.Breaker != introspect.BreakerClosed {
			t.Errorf("stats are %+v", s)
		}
	})
}

// TestLateFailuresDoNotLengthenTheWait: calls that were under way when the breaker opened fail one after the other.
func TestLateFailuresDoNotLengthenTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		cfg := fakeConfig(func(*http.Request) (*http.Response, error) {
			n++
			time.Sleep(time.Duration(n) * 100 * time.Millisecond)
			return nil, errors.New("nobody there")
		})
		cfg.BreakerFailures = 3
		c := newClient(t, cfg)
		defer c.Close()
		for i := range 20 {
			go c.Introspect(t.Context(), fmt.Sprint("token", i))
			synctest.Wait()
		}
		time.Sleep(300*time.Millisecond + introspect.DefaultBreakerWait - 1)
		r, err := c.Introspect(t.Context(), "early")
		wantCause(t, introspect.CauseBreakerOpen, r, err)
		time.Sleep(1)
		go c.Introspect(t.Context(), "probe")
		synctest.Wait()
		if s := c.Stats(); s.Breaker != introspect.BreakerHalfOpen {
			t.Errorf("stats are %+v", s)
		}
		time.Sleep(time.Minute) // for the calls to end
	})
}
