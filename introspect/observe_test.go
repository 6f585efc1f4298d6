package introspect_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

func TestTheObserverHearsOfEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lookups := map[introspect.Lookup]int{}
		calls := map[string]int{}
		text := `{"active":true}`
		cfg := fakeConfig(func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return response(200, text), nil
		})
		cfg.Observer = introspect.Observer{
			Lookup: func(l introspect.Lookup) { lookups[l]++ },
			Call: func(active bool, err *introspect.NoVerdictError, took time.Duration) {
				if took != time.Second {
					t.Errorf("a call took %v", took)
				}
				time.Sleep(time.Millisecond) // nobody gets the verdict before the observer has it
				switch {
				case err != nil:
					calls[err.Cause.String()]++
				default:
					calls[fmt.Sprint(active)]++
				}
			},
		}
		c := newClient(t, cfg)
		ask := func(token string) { c.Introspect(t.Context(), token) }
		ask("a")
		ask("a")
		text = `{"active":false}`
		ask("b")
		ask("b")
		text = `{`
		ask("c")
		c.Close()
		ask("a")
		wantLookups := map[introspect.Lookup]int{
			introspect.Miss:        3,
			introspect.Hit:         1,
			introspect.NegativeHit: 1,
			introspect.Rejected:    1,
		}
		if !maps.Equal(lookups, wantLookups) {
			t.Errorf("lookups are %v, want %v", lookups, wantLookups)
		}
		if want := map[string]int{"true": 1, "false": 1, "protocol": 1}; !maps.Equal(calls, want) {
			t.Errorf("calls are %v, want %v", calls, want)
		}
	})
}

func TestNamesForLabels(t *testing.T) {
	got := fmt.Sprint(introspect.Hit, introspect.NegativeHit, introspect.Shared,
		introspect.Miss, introspect.Rejected, introspect.Lookup(0),
		introspect.BreakerClosed, introspect.BreakerOpen, introspect.BreakerHalfOpen, introspect.BreakerState(9))
	if want := "hit negative_hit shared miss rejected unknown closed open half_open unknown"; got != want {
		t.Errorf("the names are %q, want %q", got, want)
	}
}

// TestManyClientsLeaveNothingBehind: clients come and go with every reload.
func TestManyClientsLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails when a goroutine stays
		for range 100 {
			c, err := introspect.New(fakeConfig(func(r *http.Request) (*http.Response, error) {
				r.ParseForm()
				if r.PostForm.Get("token") == "stall" {
					return stall(r.Context())
				}
				return response(200, `{"active":true}`), nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			r, err := c.Introspect(t.Context(), testToken)
			wantActive(t, true, r, err)
			go c.Introspect(t.Context(), "stall")
			synctest.Wait()
			c.Close()
		}
	})
}

// Whoever waits for a call is observed with the context of the question: also those who share it, and those who leave.
// An answer from the cache is no wait.
func TestTheObserverHearsOfWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type name struct{}
		var mu sync.Mutex
		waits := map[string]string{}
		cfg := fakeConfig(func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second)
			return response(200, `{"active":true}`), nil
		})
		cfg.Observer.Wait = func(ctx context.Context) func(bool, *introspect.NoVerdictError) {
			who, named := ctx.Value(name{}).(string)
			if !named {
				return nil
			}
			return func(active bool, err *introspect.NoVerdictError) {
				mu.Lock()
				defer mu.Unlock()
				waits[who] = fmt.Sprint(active)
				if err != nil {
					waits[who] = err.Cause.String()
				}
			}
		}
		c := newClient(t, cfg)
		ask := func(who string, patience time.Duration) {
			ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), name{}, who), patience)
			defer cancel()
			c.Introspect(ctx, "a")
		}
		go ask("shares", time.Minute)
		go ask("leaves", time.Millisecond)
		go c.Introspect(t.Context(), "a")
		ask("first", time.Minute)
		synctest.Wait()
		ask("cached", time.Minute)
		if want := map[string]string{"first": "true", "shares": "true", "leaves": "timeout"}; !maps.Equal(waits, want) {
			t.Errorf("waits %v, want %v", waits, want)
		}
	})
}
