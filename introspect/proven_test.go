package introspect_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/introspect"
)

// TestStrangersDoNotSwitchTheServerOff: the server has no verdict about tokens that it does not know. Strangers ask
// about a dozen of those at once, and about one a second. Meanwhile two good tokens a second arrive that nobody has
// seen before.
func TestStrangersDoNotSwitchTheServerOff(t *testing.T) {
	for _, test := range []struct {
		status     int
		retryAfter string
	}{{400, ""}, {401, ""}, {403, ""}, {404, ""}, {429, ""}, {429, "30"}, {500, ""}, {500, "30"}, {501, ""}} {
		t.Run(fmt.Sprint(test.status, " ", test.retryAfter), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newCrowd(t, saying(test.status, test.retryAfter), nil)
				defer b.c.Close()
				b.flood(12)
				passed, asked := 0, 39
				for i := range asked {
					time.Sleep(500 * time.Millisecond)
					if i%2 == 1 { // at every full second: also at the very moment when a breaker would let somebody try
						b.flood(1)
					}
					if b.ask(fmt.Sprint("good", i)) {
						passed++
					}
				}
				t.Logf("%d of %d good tokens passed", passed, asked)
				if passed < asked {
					t.Errorf("%d of %d good tokens passed", passed, asked)
				}
			})
		})
	}
}

// TestStrangersDoNotDecideAboutKnownTokens: the server is slow or unavailable for tokens that it does not know. Those
// may open a breaker, but not that of tokens that were active before, nor of those that the caller has verified.
func TestStrangersDoNotDecideAboutKnownTokens(t *testing.T) {
	for name, others := range map[string]transport{
		"502": saying(502, ""), "503": saying(503, "30"), "504": saying(504, ""), "slow": stalling,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newCrowd(t, others, func(c *introspect.Config) { c.CacheTTL = introspect.Off })
				defer b.c.Close()
				if !b.ask("good") {
					t.Fatal("the good token is not active")
				}
				for i := range 20 {
					b.flood(30)
					time.Sleep(time.Second)
					if !b.ask("good") || !b.ask(fmt.Sprint("good-JWT", i), introspect.Verified()) {
						t.Errorf("after %d seconds, a good token is not active: %+v", i+1, b.c.Stats())
					}
				}
				b.flood(introspect.DefaultBreakerFailures)
				time.Sleep(introspect.DefaultTimeout)
				synctest.Wait() // the calls end at this very moment
				if s := b.c.Stats(); s.Breaker != introspect.BreakerOpen {
					t.Errorf("the breaker for strangers is %v", s.Breaker)
				}
				b.ask("good")
				if s := b.c.Stats(); s.Breaker != introspect.BreakerClosed {
					t.Errorf("the server has answered, and the breaker is %v", s.Breaker)
				}
			})
		})
	}
}

// TestFailuresAboutKnownTokensCountForAll, because strangers cannot cause them.
func TestFailuresAboutKnownTokensCountForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newCrowd(t, saying(503, "1"), nil)
		defer b.c.Close()
		for i := range introspect.DefaultBreakerFailures {
			r, err := b.c.Introspect(t.Context(), fmt.Sprint("jwt", i), introspect.Verified())
			wantCause(t, introspect.CauseUnavailable, r, err)
		}
		r, err := b.c.Introspect(t.Context(), "good-and-new")
		wantCause(t, introspect.CauseBreakerOpen, r, err)
		r, err = b.c.Introspect(t.Context(), "jwt", introspect.Verified())
		wantCause(t, introspect.CauseBreakerOpen, r, err)
		time.Sleep(introspect.DefaultBreakerWait)
		if !b.ask("good-jwt", introspect.Verified()) || !b.ask("good-and-new") {
			t.Errorf("the server is back, and %+v", b.c.Stats())
		}
	})
}

// TestStrangersLeaveRoomForKnownTokens: strangers take all slots and all places in the queue that they can get.
func TestStrangersLeaveRoomForKnownTokens(t *testing.T) {
	for slots, free := range map[int]int{2: 1, 3: 1, 4: 1, 5: 2, 8: 2, 64: 16} {
		synctest.Test(t, func(t *testing.T) {
			b := newCrowd(t, stalling, func(c *introspect.Config) { c.MaxInFlight, c.CacheTTL = slots, introspect.Off })
			defer b.c.Close()
			if !b.ask("good") {
				t.Fatal("the good token is not active")
			}
			b.flood(slots * 100)
			if s := b.c.Stats(); s.InFlight != slots-free || s.Waiting != 16*(slots-free) {
				t.Errorf("of %d slots strangers have %d, with %d waiting; want %d free", slots, s.InFlight, s.Waiting, free)
			}
			r, err := b.c.Introspect(t.Context(), "good-and-new")
			wantCause(t, introspect.CauseOverloaded, r, err)
			for range 20 {
				if !b.ask("good") {
					t.Errorf("a token that was active before is not: %+v", b.c.Stats())
				}
			}
		})
	}
}

// TestATokenWithoutVerdictIsNotAskedAboutAtOnce: a token that is sent again and again must not cause a question each
// time. The pause depends on whether the token was active before, and on what the server said.
func TestATokenWithoutVerdictIsNotAskedAboutAtOnce(t *testing.T) {
	const none = time.Duration(0)
	for _, test := range []struct {
		name   string
		others transport
		negTTL time.Duration
		known  bool
		want   time.Duration
	}{
		{"400", saying(400, ""), 0, false, 5 * time.Second},
		{"401", saying(401, ""), 0, false, 5 * time.Second},
		{"403", saying(403, ""), 0, false, 5 * time.Second},
		{"500", saying(500, ""), 0, false, 5 * time.Second},
		{"500 with a time to wait", saying(500, "60"), 0, false, 5 * time.Second},
		{"429", saying(429, ""), 0, false, 5 * time.Second},
		{"429 with a short time to wait", saying(429, "1"), 0, false, 5 * time.Second},
		{"429 with a time to wait", saying(429, "20"), 0, false, 20 * time.Second},
		{"429 with a long time to wait", saying(429, "3600"), 0, false, 30 * time.Second},
		{"a short negative_ttl", saying(401, ""), time.Second, false, time.Second},
		{"a long negative_ttl", saying(401, ""), introspect.MaxCacheTTL, false, 5 * time.Second},
		{"no negative_ttl", saying(401, ""), introspect.Off, false, none},
		{"no negative_ttl, 429", saying(429, "20"), introspect.Off, false, none},
		{"known, 401", saying(401, ""), 0, true, time.Second},
		{"known, 429", saying(429, "20"), 0, true, time.Second},
		{"known, 500", saying(500, "20"), 0, true, time.Second},
		{"known, with a short negative_ttl", saying(500, ""), time.Millisecond, true, time.Millisecond},
		{"a server that is down", saying(503, "20"), 0, false, none},
		{"nonsense", func(*http.Request) (*http.Response, error) { return response(200, "{"), nil }, 0, false, none},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				yes := func(*http.Request) (*http.Response, error) { return response(200, `{"active":true}`), nil }
				b := newCrowd(t, yes, func(c *introspect.Config) { c.CacheTTL, c.NegativeTTL = introspect.Off, test.negTTL })
				defer b.c.Close()
				if test.known && !b.ask("token") {
					t.Fatal("the token is not active")
				}
				b.others = test.others
				r, err := b.c.Introspect(t.Context(), "token")
				if r.Active || err == nil {
					t.Fatalf("a verdict: %+v", r)
				}
				b.others = yes
				if test.want > 0 {
					time.Sleep(test.want - 1)
					again, held := b.c.Introspect(t.Context(), "token")
					if again.Active || held == nil || held.Error() != err.Error() {
						t.Errorf("before its time: %+v, %v; want %v", again, held, err)
					}
					if !b.ask("token", introspect.MaxAge(0)) {
						t.Error("asked anew, the token is not active")
					}
					b.c.Forget("token")
					time.Sleep(1)
				}
				if !b.ask("token") {
					t.Error("after its time, the token is not active")
				}
			})
		})
	}
}

// The next caller gets the rest of the time.
func TestTheTimeToWaitRunsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newCrowd(t, saying(429, "20"), nil)
		defer b.c.Close()
		for _, seconds := range []int{20, 14, 8, 2, 20} {
			r, err := b.c.Introspect(t.Context(), "token")
			want := time.Duration(seconds) * time.Second
			if e := wantCause(t, introspect.CauseRateLimited, r, err); e.RetryAfter != want || e.Status != 429 {
				t.Errorf("%+v, want %v", e, want)
			}
			time.Sleep(6 * time.Second)
		}
		b.wantAsked("token", 2)
	})
}

// TestATokenIsKnownUntilItIsInactive: from then on, a revoked token is like any unknown one.
func TestATokenIsKnownUntilItIsInactive(t *testing.T) {
	for name, end := range map[string]func(*crowd){
		"inactive": func(b *crowd) {
			b.others = func(*http.Request) (*http.Response, error) { return response(200, `{"active":false}`), nil }
			b.ask("token")
		},
		"forgotten": func(b *crowd) { b.c.Forget("token") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				yes := func(*http.Request) (*http.Response, error) { return response(200, `{"active":true}`), nil }
				b := newCrowd(t, yes, func(c *introspect.Config) { c.CacheTTL, c.NegativeTTL = introspect.Off, introspect.Off })
				defer b.c.Close()
				if !b.ask("token") {
					t.Fatal("the token is not active")
				}
				end(b)
				b.others = saying(503, "1")
				b.flood(introspect.DefaultBreakerFailures)
				b.others = yes
				time.Sleep(time.Second)
				r, err := b.c.Introspect(t.Context(), "token")
				wantCause(t, introspect.CauseBreakerOpen, r, err)
			})
		})
	}
}

// TestTheMemoryOfKnownTokensIsBounded: a client that can have tokens issued can have many. Only the latest stay known.
func TestTheMemoryOfKnownTokensIsBounded(t *testing.T) {
	const max = introspect.MaxProven
	for tokens, want := range map[int]int{1: 1, max: max, 2 * max: 2 * max, 2*max + 1: max + 1, 7*max - 1: 2*max - 1} {
		if kept, latest := introspect.ProvenAfter(tokens); kept != want || latest < min(tokens, max) {
			t.Errorf("of %d tokens %d are kept, and the latest %d; want %d", tokens, kept, latest, want)
		}
	}
}

// TestKnownTokensOfAFailingServerAreNotAFlood: the credentials are wrong, or the server answers 500 to everything. A
// thousand requests a second with tokens in use cause one question a second for each token.
func TestKnownTokensOfAFailingServerAreNotAFlood(t *testing.T) {
	for _, status := range []int{401, 403, 429, 500} {
		synctest.Test(t, func(t *testing.T) {
			var calls atomic.Int64
			fails := false
			c := newClient(t, fakeConfig(func(*http.Request) (*http.Response, error) {
				if calls.Add(1); fails {
					return response(status, ""), nil
				}
				return response(200, `{"active":true}`), nil
			}))
			defer c.Close()
			ask := func() {
				for i := range 10 {
					c.Introspect(t.Context(), fmt.Sprint("token", i))
				}
			}
			ask()
			time.Sleep(introspect.DefaultCacheTTL)
			fails = true
			calls.Store(0)
			for range 1000 {
				ask()
				time.Sleep(10 * time.Millisecond)
			}
			if n := calls.Load(); n > 100 {
				t.Errorf("status %d: %d questions about 10 tokens in 10 seconds", status, n)
			}
		})
	}
}

// TestALateAnswerClosesNoBreaker: a question from before the server went down may be answered afterwards.
func TestALateAnswerClosesNoBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := make(chan struct{})
		c := newClient(t, fakeConfig(func(r *http.Request) (*http.Response, error) {
			r.ParseForm()
			if r.PostForm.Get("token") == "late" {
				<-late
				return response(200, `{"active":true}`), nil
			}
			return saying(503, "1")(r)
		}))
		defer c.Close()
		go c.Introspect(t.Context(), "late", introspect.Verified())
		synctest.Wait()
		for i := range introspect.DefaultBreakerFailures {
			r, err := c.Introspect(t.Context(), fmt.Sprint("jwt", i), introspect.Verified())
			wantCause(t, introspect.CauseUnavailable, r, err)
		}
		close(late)
		synctest.Wait()
		for _, options := range [][]introspect.Option{nil, {introspect.Verified()}} {
			r, err := c.Introspect(t.Context(), "another", options...)
			wantCause(t, introspect.CauseBreakerOpen, r, err)
		}
	})
}
