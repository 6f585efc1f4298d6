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
			next, err := h.Refresh(t.Context(), terms(), p.Refresh, session.Proof{})
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

// Shorter lifetimes hold for tokens from before, too, and a cut-off lasts as long as the access token that it is about.
func TestTermsThatBecomeShorterHoldAtOnce(t *testing.T) {
	long := func(t *session.Terms) { t.AccessLifetime, t.RefreshLifetime = time.Hour, 24*time.Hour }
	short := func(t *session.Terms) { t.AccessLifetime, t.RefreshLifetime = time.Minute, 5*time.Minute }
	h := newHouse(t, store.NewMemory())
	first, second := begin(t, h, terms(long)), begin(t, h, terms(long))
	h.clock.advance(4 * time.Minute)
	refresh(t, h, terms(short), first.Refresh)
	h.clock.advance(3 * time.Minute)
	refused(t, h, terms(short), second.Refresh, session.ErrInvalid)
	if err := h.End(t.Context(), terms(short), second.Session, second.IssuedAt, second.Expires); err != nil {
		t.Fatal(err)
	}
	if _, kept := h.cutOf(second); kept.Before(second.Expires) {
		t.Errorf("the cut-off is forgotten at %v, and the access token is good until %v", kept, second.Expires)
	}
}
