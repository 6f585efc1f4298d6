package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

// Each refresh leaves a cut-off behind, so a session must not refresh all the time. Its token stays good meanwhile.
func TestAttackASessionThatRefreshesAllTheTimeHasToWait(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms())
	count := func() (n int, wait time.Duration) {
		for {
			next, err := h.Refresh(t.Context(), terms(), p.Refresh)
			if soon, is := errors.AsType[*session.TooSoonError](err); is {
				return n, soon.RetryAfter
			}
			if err != nil {
				t.Fatal(err)
			}
			if p, n = next, n+1; n > 1000 {
				t.Fatal("it never has to wait")
			}
		}
	}
	n, wait := count()
	if n != 30 || wait <= 0 || wait > time.Second {
		t.Errorf("%d at once, and then %v", n, wait)
	}
	h.clock.advance(wait)
	if n, _ := count(); n != 1 {
		t.Errorf("%d after the wait", n)
	}
	h.clock.advance(5 * time.Minute)
	if n, _ := count(); n != 30 {
		t.Errorf("%d after a rest", n)
	}
	h.clock.advance(-time.Hour) // who sets a clock back must not keep everybody waiting
	if n, _ := count(); n == 0 {
		t.Error("none after the clock went back")
	}
}
