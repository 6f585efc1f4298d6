package introspect_test

import (
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

// TestAFloodOfInventedTokensIsBounded sends 100,000 random tokens, all inactive.
func TestAFloodOfInventedTokensIsBounded(t *testing.T) {
	flood, known := 100_000, 100
	if testing.Short() {
		flood = 10_000
	}
	var calls, now, most atomic.Int64
	cfg := fakeConfig(func(r *http.Request) (*http.Response, error) {
		calls.Add(1)
		defer now.Add(-1)
		for n := now.Add(1); ; {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		r.ParseForm()
		if r.PostForm.Get("token")[0] == 'k' {
			return response(200, expiring(time.Hour)), nil
		}
		return response(200, `{"active":false}`), nil
	})
	cfg.CacheTTL, cfg.NegativeEntries, cfg.Timeout = introspect.MaxCacheTTL, 1000, introspect.MaxTimeout
	c := newClient(t, cfg)
	for i := range known {
		r, err := c.Introspect(t.Context(), fmt.Sprint("known", i))
		wantActive(t, true, r, err)
	}
	var wg sync.WaitGroup
	for worker := range 200 {
		wg.Go(func() {
			for i := range flood / 200 {
				r, err := c.Introspect(t.Context(), fmt.Sprintf("random-%d-%d", worker, i))
				if r.Active || err != nil && !errors.Is(err, introspect.CauseOverloaded) {
					t.Errorf("the verdict is %+v, %v", r, err)
				}
			}
		})
	}
	wg.Wait()
	if most.Load() > introspect.DefaultMaxInFlight {
		t.Errorf("%d calls at the same time", most.Load())
	}
	before := calls.Load()
	for i := range known {
		r, err := c.Introspect(t.Context(), fmt.Sprint("known", i))
		wantActive(t, true, r, err)
	}
	if calls.Load() != before {
		t.Errorf("%d of %d known tokens had to be asked about again", calls.Load()-before, known)
	}
	if s := c.Stats(); s.CacheEntries != known || s.NegativeEntries > 2*cfg.NegativeEntries {
		t.Errorf("the caches have %+v", s)
	}
}

// TestAFloodAtADeadServerIsBounded: the breaker opens, and the server is left alone.
func TestAFloodAtADeadServerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		good := true
		c := newClient(t, fakeConfig(func(r *http.Request) (*http.Response, error) {
			if good {
				return response(200, `{"active":true}`), nil
			}
			calls.Add(1)
			return stall(r.Context())
		}))
		defer c.Close()
		r, err := c.Introspect(t.Context(), testToken)
		wantActive(t, true, r, err)
		good = false
		start := time.Now()
		var wg sync.WaitGroup
		for worker := range 1000 {
			wg.Go(func() {
				for i := range 100 {
					if r, err := c.Introspect(t.Context(), fmt.Sprintf("random-%d-%d", worker, i)); err == nil {
						t.Errorf("a verdict: %+v", r)
					}
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > 2*introspect.DefaultTimeout {
			t.Errorf("100,000 questions took %v", took)
		}
		if n := calls.Load(); n > introspect.DefaultMaxInFlight+introspect.DefaultBreakerFailures {
			t.Errorf("the dead server was asked %d times", n)
		}
		r, err = c.Introspect(t.Context(), testToken) // what is cached keeps working
		wantActive(t, true, r, err)
	})
}
