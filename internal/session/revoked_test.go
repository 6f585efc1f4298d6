package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

var kinds = map[string]func(*session.Pair) string{
	"sid":    func(p *session.Pair) string { return p.Session },
	"sub":    func(p *session.Pair) string { return p.Subject },
	"client": func(*session.Pair) string { return "app" },
	"group":  func(*session.Pair) string { return "staff" },
}

// A cut-off ends what began before it, however often that was refreshed, and nothing that began later.
func TestCutoffsOfAdmins(t *testing.T) {
	for kind, value := range kinds {
		t.Run(kind, func(t *testing.T) {
			h := newHouse(t, store.NewMemory())
			p := begin(t, h, terms())
			h.cuts.revoke(kind, value(p), h.clock.now().Add(-time.Minute), h.clock.now().Add(time.Hour)) // before the login
			for range 3 {
				h.clock.advance(time.Minute)
				p = refresh(t, h, terms(), p.Refresh)
			}
			h.cuts.revoke(kind, value(p), h.clock.now(), h.clock.now().Add(time.Hour)) // in the millisecond of the refresh
			refused(t, h, terms(), p.Refresh, session.ErrInvalid)
			h.clock.advance(time.Millisecond * 2)
			later := begin(t, h, terms())
			refresh(t, h, terms(), later.Refresh)
			if h.events() != 0 {
				t.Errorf("events: %v", h.reused)
			}
		})
	}
}

// Between two refreshes, and longer ago than the last access token: an admin's clock is behind, or another node hears
// of it late.
func TestCutoffsThatAreHeardOfLate(t *testing.T) {
	for kind, value := range kinds {
		h := newHouse(t, store.NewMemory())
		p := begin(t, h, terms())
		h.clock.advance(time.Minute)
		cut := h.clock.now()
		h.clock.advance(time.Second)
		p = refresh(t, h, terms(), p.Refresh)
		h.cuts.revoke(kind, value(p), cut, cut.Add(time.Hour))
		refused(t, h, terms(), p.Refresh, session.ErrInvalid)
	}
}

// The admin comes at each moment of a refresh at which the refresh asks somebody. Whatever the refresh answers, nothing
// of the session lives afterwards.
func TestAttackARefreshThatRacesWithACutoff(t *testing.T) {
	for kind, value := range kinds {
		for _, agreed := range []*session.Terms{terms(), terms(grace)} {
			for moment := 1; ; moment++ {
				f := &faults{}
				h := newFaultyHouse(t, store.NewMemory(), f)
				p := begin(t, h, agreed)
				h.clock.advance(time.Minute)
				f.reset()
				done := false
				f.each = func(n int) {
					h.clock.advance(10 * time.Millisecond)
					if n == moment {
						h.cuts.revoke(kind, value(p), h.clock.now(), h.clock.now().Add(time.Hour))
						h.clock.advance(10 * time.Millisecond)
						done = true
					}
				}
				next, err := h.Refresh(t.Context(), agreed, p.Refresh, session.Proof{})
				if f.each = nil; !done {
					break
				}
				last := p
				if err == nil {
					last = next
				} else if !errors.Is(err, session.ErrInvalid) {
					t.Fatal(err)
				}
				if h.lives(last) && (kind == "sid" || kind == "sub") {
					t.Errorf("%s at moment %d: the access token lives", kind, moment)
				}
				again, err := h.Refresh(t.Context(), agreed, last.Refresh, session.Proof{})
				if !errors.Is(err, session.ErrInvalid) {
					t.Errorf("%s at moment %d: %+v, %v", kind, moment, again, err)
				}
			}
		}
	}
}

// A session that is revoked ends for good, or nothing is decided.
func TestARevokedSessionWhoseEndFailsAnywhere(t *testing.T) {
	everyFault(t, func(t *testing.T, fault fault) bool {
		f := &faults{}
		h := newFaultyHouse(t, store.NewMemory(), f)
		p := begin(t, h, terms())
		h.clock.advance(time.Second)
		h.cuts.revoke("group", "staff", h.clock.now(), h.clock.now().Add(time.Hour))
		f.set(fault)
		next, err := h.Refresh(t.Context(), terms(), p.Refresh, session.Proof{})
		came := f.came()
		if !errors.Is(err, session.ErrInvalid) && !errors.Is(err, session.ErrUnavailable) {
			t.Errorf("%+v, %v", next, err)
		}
		f.reset()
		refused(t, h, terms(), p.Refresh, session.ErrInvalid)
		return came
	})
}

// Nothing is decided while it is not known what is revoked.
func TestRevocationsThatAreNotKnown(t *testing.T) {
	f := &faults{}
	h := newFaultyHouse(t, store.NewMemory(), f)
	p := begin(t, h, terms())
	f.reset()
	f.only, f.at, f.forever = "IsRevoked", 1, true
	refused(t, h, terms(), p.Refresh, session.ErrUnavailable)
	f.reset()
	refresh(t, h, terms(), p.Refresh)
}

func TestLogout(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p, other := begin(t, h, terms()), begin(t, h, terms())
	h.clock.advance(time.Second)
	next := refresh(t, h, terms(), p.Refresh)
	for range 2 { // once more is no error
		if err := h.End(t.Context(), terms(), p.Session, p.IssuedAt, p.Expires); err != nil {
			t.Fatal(err)
		}
		if h.lives(next) || !h.lives(other) {
			t.Errorf("the session lives: %v, and another one: %v", h.lives(next), h.lives(other))
		}
	}
	refused(t, h, terms(), next.Refresh, session.ErrInvalid)
	refresh(t, h, terms(), other.Refresh)
	if kept := h.cuts.expires["sid "+p.Session]; kept.Before(next.Expires.Add(time.Minute)) ||
		kept.Before(h.clock.now().Add(time.Hour).Truncate(time.Millisecond)) ||
		kept.After(h.clock.now().Add(2*time.Hour)) { // each logout leaves one
		t.Errorf("the cut-off is forgotten at %v", kept)
	}
	for _, sid := range []string{"", "x", p.Session + "A", p.Session[:23] + "\n", p.Refresh} {
		if err := h.End(t.Context(), terms(), sid, time.Time{}, time.Time{}); !errors.Is(err, session.ErrMalformed) {
			t.Errorf("%q: %v", sid, err)
		}
	}
}

// The clock of the node that ends a session is behind that of the node that refreshed it.
func TestALogoutReachesTokensFromAClockAhead(t *testing.T) {
	for name, known := range map[string]bool{"with the record": true, "without": false} {
		h := newHouse(t, store.NewMemory())
		p := begin(t, h, terms())
		h.clock.advance(time.Minute)
		p = refresh(t, h, terms(), p.Refresh)
		h.clock.advance(-2 * time.Minute)
		if !known {
			if _, err := h.store.Take(t.Context(), "session/"+p.Session); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.End(t.Context(), terms(), p.Session, p.IssuedAt, p.Expires); err != nil || h.lives(p) {
			t.Errorf("%s: error %v, and the access token lives: %v", name, err, h.lives(p))
		}
	}
}

// A logout comes at each moment of a refresh, and is over before the refresh goes on.
func TestAttackARefreshThatRacesWithALogout(t *testing.T) {
	for _, agreed := range []*session.Terms{terms(), terms(grace)} {
		for moment := 1; ; moment++ {
			f := &faults{}
			h := newFaultyHouse(t, store.NewMemory(), f)
			p := begin(t, h, agreed)
			h.clock.advance(time.Minute)
			f.reset()
			done := false
			f.each = func(n int) {
				if n == moment {
					f.each, done = nil, true
					if err := h.End(t.Context(), agreed, p.Session, p.IssuedAt, p.Expires); err != nil {
						t.Error(err)
					}
				}
			}
			next, err := h.Refresh(t.Context(), agreed, p.Refresh, session.Proof{})
			if f.each = nil; !done {
				if moment < 4 {
					t.Errorf("a refresh has %d moments", moment)
				}
				break
			}
			last := p
			if err == nil {
				last = next // it was swapped before, and comes to the client dead
			} else if !errors.Is(err, session.ErrInvalid) {
				t.Errorf("moment %d: %v", moment, err)
			}
			if h.lives(p) || h.lives(last) {
				t.Errorf("moment %d: an access token lives", moment)
			}
			refused(t, h, agreed, last.Refresh, session.ErrInvalid)
		}
	}
}

// The refresh is over in the middle of the logout: at each moment of it.
func TestAttackALogoutThatRacesWithARefresh(t *testing.T) {
	raceWithARefresh(t, func(h *house, _, p *session.Pair) {
		if err := h.End(t.Context(), terms(), p.Session, p.IssuedAt, p.Expires); err != nil {
			t.Error(err)
		}
	})
}

// The owner refreshes in the middle of the end of the session, which an old token has caused.
func TestAttackAReuseThatRacesWithARefresh(t *testing.T) {
	raceWithARefresh(t, func(h *house, old, _ *session.Pair) {
		refused(t, h, terms(), old.Refresh, session.ErrReused)
	})
}

// raceWithARefresh has another node refresh at each moment of what ends a session. Its clock is ahead.
func raceWithARefresh(t *testing.T, end func(h *house, old, present *session.Pair)) {
	t.Helper()
	for moment := 1; ; moment++ {
		f := &faults{}
		h := newFaultyHouse(t, store.NewMemory(), f)
		old := begin(t, h, terms())
		h.clock.advance(time.Minute)
		p := refresh(t, h, terms(), old.Refresh)
		h.clock.advance(time.Minute)
		f.reset()
		last, done := p, false
		f.each = func(n int) {
			if n == moment {
				f.each, done = nil, true
				h.clock.advance(time.Minute)
				if next, err := h.Refresh(t.Context(), terms(), p.Refresh, session.Proof{}); err == nil {
					last = next
				}
				h.clock.advance(-time.Minute)
			}
		}
		end(h, old, p)
		if f.each = nil; !done {
			return
		}
		if h.lives(last) || h.lives(p) || h.lives(old) {
			t.Errorf("moment %d: an access token lives", moment)
		}
		refused(t, h, terms(), last.Refresh, session.ErrInvalid)
	}
}
