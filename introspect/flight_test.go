package introspect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

func TestAThousandEqualQuestionsAreOneCall(t *testing.T) {
	release := make(chan struct{})
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		<-release
		answer(`{"active":true}`)(w, r)
	})
	var arrived atomic.Int64
	cfg := basicConfig(s.URL)
	cfg.Observer.Lookup = func(l introspect.Lookup) {
		if l == introspect.Miss || l == introspect.Shared {
			if arrived.Add(1) == 1000 {
				close(release)
			}
		}
	}
	c := newClient(t, cfg)
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if r, err := c.Introspect(t.Context(), testToken); err != nil || !r.Active {
				t.Errorf("the verdict is %+v, %v", r, err)
			}
		})
	}
	wg.Wait()
	if n := s.calls.Load(); n != 1 {
		t.Errorf("the server was asked %d times, want once", n)
	}
}

// TestAQuestionWithoutPauseIsOneCall: the call may end between looking into the cache and joining the call.
func TestAQuestionWithoutPauseIsOneCall(t *testing.T) {
	var calls atomic.Int64
	c := newClient(t, fakeConfig(counted(&calls, always(`{"active":true}`))))
	var wg sync.WaitGroup
	for i := range 200 {
		for range 20 {
			wg.Go(func() { c.Introspect(t.Context(), fmt.Sprint("token", i)) })
		}
		wg.Wait()
	}
	if n := calls.Load(); n != 200 {
		t.Errorf("%d calls for 200 tokens", n)
	}
}

func TestTheFirstCallerHangingUpChangesNothingForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		release := make(chan struct{})
		c := newClient(t, fakeConfig(func(r *http.Request) (*http.Response, error) {
			calls.Add(1)
			select {
			case <-release:
				return response(200, `{"active":true}`), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}))
		defer c.Close()
		first, hangUp := context.WithCancel(t.Context())
		firstErr := make(chan error)
		go func() {
			_, err := c.Introspect(first, testToken)
			firstErr <- err
		}()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if r, err := c.Introspect(t.Context(), testToken); err != nil || !r.Active {
					t.Errorf("the verdict is %+v, %v", r, err)
				}
			})
		}
		synctest.Wait()
		hangUp()
		if err := <-firstErr; !errors.Is(err, introspect.CauseCanceled) || !errors.Is(err, context.Canceled) {
			t.Errorf("the first caller gets %v", err)
		}
		close(release)
		wg.Wait()
		if calls.Load() != 1 {
			t.Errorf("%d calls, want 1", calls.Load())
		}
	})
}

func TestACallWithoutCallersStillFillsTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		c := newClient(t, fakeConfig(func(*http.Request) (*http.Response, error) {
			calls.Add(1)
			time.Sleep(time.Second)
			return response(200, `{"active":true}`), nil
		}))
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		r, err := c.Introspect(ctx, testToken)
		wantCause(t, introspect.CauseTimeout, r, err)
		time.Sleep(time.Second)
		r, err = c.Introspect(t.Context(), testToken)
		wantActive(t, true, r, err)
		if calls.Load() != 1 {
			t.Errorf("%d calls, want 1", calls.Load())
		}
	})
}

func TestACallerWhoHasLeftStartsNoCall(t *testing.T) {
	s := newServer(t, answer(`{"active":true}`))
	c := newClient(t, basicConfig(s.URL))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := c.Introspect(ctx, testToken)
	wantCause(t, introspect.CauseCanceled, r, err)
	if s.calls.Load() != 0 {
		t.Error("the server was asked")
	}
}

// TestMaxAgeDoesNotJoinAnOlderCall: a call under way may bring an answer that is older than the caller allows.
func TestMaxAgeDoesNotJoinAnOlderCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		c := newClient(t, fakeConfig(func(*http.Request) (*http.Response, error) {
			// The first answer is slow. By the time it arrives, the token has been revoked.
			if calls.Add(1) == 1 {
				time.Sleep(2 * time.Second)
				return response(200, `{"active":true}`), nil
			}
			return response(200, `{"active":false}`), nil
		}))
		defer c.Close()
		var wg sync.WaitGroup
		wg.Go(func() {
			r, err := c.Introspect(t.Context(), testToken)
			wantActive(t, true, r, err)
		})
		time.Sleep(time.Second)
		r, err := c.Introspect(t.Context(), testToken, introspect.MaxAge(time.Second))
		if err != nil || !r.Active || calls.Load() != 1 {
			t.Errorf("a call of the allowed age was not joined: %+v, %v", r, err)
		}
		wg.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		c := newClient(t, fakeConfig(func(*http.Request) (*http.Response, error) {
			if calls.Add(1) == 1 {
				time.Sleep(2 * time.Second)
				return response(200, `{"active":true}`), nil
			}
			return response(200, `{"active":false}`), nil
		}))
		defer c.Close()
		var wg sync.WaitGroup
		wg.Go(func() {
			r, err := c.Introspect(t.Context(), testToken)
			wantActive(t, true, r, err)
		})
		time.Sleep(time.Second)
		r, err := c.Introspect(t.Context(), testToken, introspect.MaxAge(time.Millisecond))
		wantActive(t, false, r, err)
		wg.Wait()
		// The slow answer came last, but it is the older one.
		r, err = c.Introspect(t.Context(), testToken)
		wantActive(t, false, r, err)
		if calls.Load() != 2 {
			t.Errorf("%d calls, want 2", calls.Load())
		}
	})
}

func TestCallsInFlightAreCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int64
		cfg := fakeConfig(func(r *http.Request) (*http.Response, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			select {
			case <-time.After(time.Second):
				return response(200, `{"active":true}`), nil
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		})
		cfg.MaxInFlight = 4
		c := newClient(t, cfg)
		defer c.Close()
		var good, overloaded atomic.Int64
		var wg sync.WaitGroup
		start := time.Now()
		for i := range 100 {
			wg.Go(func() {
				r, err := c.Introspect(t.Context(), fmt.Sprint("token", i))
				switch {
				case err == nil && r.Active:
					good.Add(1)
				case errors.Is(err, introspect.CauseOverloaded), errors.Is(err, introspect.CauseTimeout),
					errors.Is(err, introspect.CauseBreakerOpen): // the first ten timeouts open it for who gets a slot at that moment
					overloaded.Add(1)
				default:
					t.Errorf("the verdict is %+v, %v", r, err)
				}
			})
		}
		time.Sleep(time.Millisecond)
		if s := c.Stats(); s.InFlight != 3 || s.Waiting != 48 { // the fourth is for tokens that are known
			t.Errorf("stats are %+v; want 3 in flight, 48 waiting", s)
		}
		wg.Wait()
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("somebody waited %v", took)
		}
		// Three at a time, a second each, within three seconds. Those who start at the last
		// moment may or may not be in time.
		if good.Load() < 6 || good.Load() > 9 || good.Load()+overloaded.Load() != 100 {
			t.Errorf("%d answers and %d refusals", good.Load(), overloaded.Load())
		}
		if most.Load() != 3 {
			t.Errorf("%d calls at the same time, want 3", most.Load())
		}
		synctest.Wait()
		if s := c.Stats(); s.InFlight != 0 || s.Waiting != 0 {
			t.Errorf("stats are %+v after all calls ended", s)
		}
	})
}

func TestWaitingInVainIsOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := fakeConfig(func(r *http.Request) (*http.Response, error) { return stall(r.Context()) })
		cfg.MaxInFlight = 1
		c := newClient(t, cfg)
		defer c.Close()
		var wg sync.WaitGroup
		wg.Go(func() {
			r, err := c.Introspect(t.Context(), "first")
			wantCause(t, introspect.CauseTimeout, r, err)
		})
		synctest.Wait()
		wg.Go(func() {
			r, err := c.Introspect(t.Context(), "second")
			if !errors.Is(err, introspect.CauseOverloaded) && !errors.Is(err, introspect.CauseTimeout) || r.Active {
				t.Errorf("the verdict is %+v, %v", r, err)
			}
		})
		wg.Wait()
	})
}

func TestNobodyWaitsForAFunctionThatDoesNotReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		cfg := fakeConfig(func(*http.Request) (*http.Response, error) { <-release; return nil, errors.New("late") })
		c := newClient(t, cfg)
		defer c.Close()
		start := time.Now()
		r, err := c.Introspect(t.Context(), testToken)
		wantCause(t, introspect.CauseTimeout, r, err)
		if took := time.Since(start); took != introspect.DefaultTimeout {
			t.Errorf("waited %v", took)
		}
		close(release)
	})
}

func TestCloseEndsTheCallsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, fakeConfig(func(r *http.Request) (*http.Response, error) { return stall(r.Context()) }))
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				r, err := c.Introspect(t.Context(), fmt.Sprint("token", i))
				if wantCause(t, introspect.CauseUnavailable, r, err); !errors.Is(err, introspect.ErrClosed) {
					t.Errorf("the error is %v", err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		c.Close()
		wg.Wait()
		if time.Since(start) != 0 {
			t.Errorf("it took %v", time.Since(start))
		}
	})
}
