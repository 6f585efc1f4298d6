package session_test

import (
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

// The iat of a session never goes back, or the cut-off of an old access token would reach the new one. And no refresh
// token lives longer for it than by the step.
func TestAClockThatGoesBack(t *testing.T) {
	const step = time.Hour
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms())
	h.clock.advance(time.Minute)
	p = refresh(t, h, terms(), p.Refresh)
	h.clock.advance(-step)
	for range 3 {
		next := refresh(t, h, terms(), p.Refresh)
		if next.IssuedAt.Sub(p.IssuedAt) != time.Millisecond || h.lives(p) || !h.lives(next) {
			t.Fatalf("issued %v after the pair before", next.IssuedAt.Sub(p.IssuedAt))
		}
		p = next
	}
	h.clock.advance(24 * time.Hour)
	refused(t, h, terms(), p.Refresh, session.ErrInvalid) // it counts from the clock that it was made by

	p = begin(t, h, terms())
	made := h.clock.now()
	h.clock.advance(-step)
	h.clock.advance(24*time.Hour + step)
	if h.clock.now().Sub(made) != 24*time.Hour {
		t.Fatal("the test is wrong")
	}
	refused(t, h, terms(), p.Refresh, session.ErrInvalid)
}

// When the clock is ahead and then right, a session that was refreshed meanwhile goes on, and the iat is right again
// once the clock has it.
func TestAClockThatWasAhead(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms())
	h.clock.advance(10 * time.Minute)
	p = refresh(t, h, terms(), p.Refresh)
	h.clock.advance(-10 * time.Minute)
	p = refresh(t, h, terms(), p.Refresh)
	h.clock.advance(11 * time.Minute)
	if p = refresh(t, h, terms(), p.Refresh); !h.clock.now().Add(-2 * time.Millisecond).Before(p.IssuedAt) {
		t.Errorf("issued %v before now", h.clock.now().Sub(p.IssuedAt))
	}
}

// Whoever refreshes all the time would get ahead of the clock, where cut-offs do not reach.
func TestAttackRefreshesDoNotOutrunTheClock(t *testing.T) {
	h := newHouse(t, store.NewMemory(), func(o *session.Options) { o.Now = nil })
	p := begin(t, h, terms())
	for range 25 {
		p = refresh(t, h, terms(), p.Refresh)
		if now := time.Now(); p.IssuedAt.UnixMilli() >= now.UnixMilli() {
			t.Fatalf("issued at %v, and it is %v", p.IssuedAt, now)
		}
	}
	h.cuts.revoke("sid", p.Session, time.Now(), time.Now().Add(time.Hour))
	refused(t, h, terms(), p.Refresh, session.ErrInvalid)
}
