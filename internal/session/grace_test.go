package session_test

import (
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

func TestTheGraceGivesTheSamePairAgain(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	first := begin(t, h, terms(grace))
	next := refresh(t, h, terms(grace), first.Refresh)
	for range 3 {
		h.clock.advance(3 * time.Second)
		if again := refresh(t, h, terms(grace), first.Refresh); *again != *next {
			t.Fatalf("%+v, want %+v", again, next)
		}
	}
	if !h.lives(next) || h.lives(first) || h.signed != 2 {
		t.Error("not exactly the new access token lives")
	}
	h.clock.advance(time.Second)
	refused(t, h, terms(grace), first.Refresh, session.ErrReused)
}

func TestTheUseOfTheNewTokenEndsTheGrace(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	first := begin(t, h, terms(grace))
	second := refresh(t, h, terms(grace), first.Refresh)
	third := refresh(t, h, terms(grace), second.Refresh)
	if again := refresh(t, h, terms(grace), second.Refresh); *again != *third {
		t.Errorf("%+v, want %+v", again, third)
	}
	refused(t, h, terms(grace), first.Refresh, session.ErrReused)
	refused(t, h, terms(grace), third.Refresh, session.ErrInvalid)
}

// Terms without grace hold at once, also for what was refreshed with grace.
func TestGraceThatWasTakenAway(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	first := begin(t, h, terms(grace))
	refresh(t, h, terms(grace), first.Refresh)
	refused(t, h, terms(), first.Refresh, session.ErrReused)
}

// Nobody gets a pair of a session that was ended meanwhile.
func TestTheGraceEndsWithTheSession(t *testing.T) {
	for name, end := range map[string]func(*house, *session.Pair){
		"logout": func(h *house, p *session.Pair) {
			if err := h.End(t.Context(), terms(), p.Session, p.IssuedAt, p.Expires); err != nil {
				t.Error(err)
			}
		},
		"user":  func(h *house, p *session.Pair) { h.cuts.revoke("sub", p.Subject, h.clock.now(), h.clock.now()) },
		"admin": func(h *house, p *session.Pair) { h.cuts.revoke("sid", p.Session, h.clock.now(), h.clock.now()) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, store.NewMemory())
			first := begin(t, h, terms(grace))
			h.clock.advance(time.Second)
			next := refresh(t, h, terms(grace), first.Refresh)
			end(h, next)
			refused(t, h, terms(grace), first.Refresh, session.ErrInvalid)
			refused(t, h, terms(grace), next.Refresh, session.ErrInvalid)
			if h.lives(next) {
				t.Error("the access token lives")
			}
		})
	}
}
