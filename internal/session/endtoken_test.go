package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

// Any refresh token of a session ends it, with both of its tokens, and ends nothing else.
func TestARefreshTokenEndsItsSession(t *testing.T) {
	for name, agreed := range map[string]*session.Terms{"no grace": terms(), "grace": terms(grace)} {
		for _, used := range []bool{false, true} {
			h := newHouse(t, store.NewMemory())
			first, other := begin(t, h, agreed), begin(t, h, agreed)
			h.clock.advance(time.Second)
			last := refresh(t, h, agreed, first.Refresh)
			h.clock.advance(time.Second)
			token := last.Refresh
			if used {
				token = first.Refresh
			}
			for range 2 { // once more is no error
				if err := h.EndToken(t.Context(), agreed, token); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if h.lives(first) || h.lives(last) || !h.lives(other) {
				t.Errorf("%s: the session lives: %v, and another one: %v", name, h.lives(last), h.lives(other))
			}
			refused(t, h, agreed, last.Refresh, session.ErrInvalid)
			refused(t, h, agreed, first.Refresh, session.ErrInvalid)
			refresh(t, h, agreed, other.Refresh)
			if h.events() != 0 {
				t.Errorf("%s: a revocation is reported as a reuse: %v", name, h.reused)
			}
		}
	}
}

func TestARefreshTokenThatEndsNothing(t *testing.T) {
	in := store.NewMemory()
	h := newHouse(t, in)
	p := begin(t, h, terms())
	elsewhere := newHouse(t, in, func(o *session.Options) { o.Issuer = "https://other.example" })
	shop := terms(func(t *session.Terms) { t.App = "other" })
	none := terms(func(t *session.Terms) { t.App = "" })
	for name, c := range map[string]struct {
		at    *house
		terms *session.Terms
		token string
		want  error
	}{
		"of another app":              {h, shop, p.Refresh, session.ErrInvalid},
		"of another app than none":    {h, none, p.Refresh, session.ErrInvalid},
		"of another issuer":           {elsewhere, terms(), p.Refresh, nil},
		"of a session that never was": {h, terms(), flipped(p.Refresh[0]) + p.Refresh[1:], nil},
		"none":                        {h, terms(), "", session.ErrMalformed},
		"an access token":             {h, terms(), p.Access, session.ErrMalformed},
		"a sid":                       {h, terms(), p.Session, session.ErrMalformed},
		"too long":                    {h, terms(), p.Refresh + "A", session.ErrMalformed},
	} {
		if err := c.at.EndToken(t.Context(), c.terms, c.token); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if len(h.cuts.until)+len(elsewhere.cuts.until) != 0 {
			t.Fatalf("%s leaves a cut-off", name)
		}
	}
	h.clock.advance(time.Second)
	if !h.lives(p) {
		t.Error("the access token does not live")
	}
	refresh(t, h, terms(), p.Refresh)
}

// After whatever failure, nothing of the session lives once the client has tried again.
func TestARevocationOfARefreshTokenThatFailsAnywhere(t *testing.T) {
	everyFault(t, func(t *testing.T, fault fault) bool {
		var f faults
		h := newFaultyHouse(t, store.NewMemory(), &f)
		p := begin(t, h, terms())
		h.clock.advance(time.Second)
		f.set(fault)
		err := h.EndToken(t.Context(), terms(), p.Refresh)
		came := f.came()
		f.reset()
		if err == nil && h.lives(p) {
			t.Error("there is no error, and the access token lives")
		}
		if err != nil {
			if !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, errFault) {
				t.Error(err)
			}
			if err := h.EndToken(t.Context(), terms(), p.Refresh); err != nil {
				t.Errorf("the second time: %v", err)
			}
		}
		if h.lives(p) {
			t.Error("the access token lives")
		}
		refused(t, h, terms(), p.Refresh, session.ErrInvalid)
		return came
	})
}

// A refresh is over in the middle of the revocation: at each moment of it.
func TestAttackARevocationThatRacesWithARefresh(t *testing.T) {
	for name, used := range map[string]bool{"of the present token": false, "of a used one": true} {
		t.Run(name, func(t *testing.T) {
			raceWithARefresh(t, func(h *house, old, present *session.Pair) {
				token := present.Refresh
				if used {
					token = old.Refresh
				}
				if err := h.EndToken(t.Context(), terms(), token); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Whoever knows the sid of a session, which is in its access tokens, cannot end it with a token made from that.
func TestAttackASessionIsNotEndedByItsSID(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms())
	h.clock.advance(time.Second)
	for _, made := range []string{p.Session + p.Session + p.Session[:16], p.Session + p.Refresh[len(p.Session):]} {
		if err := h.EndToken(t.Context(), terms(), made); err != nil {
			t.Error(err)
		}
	}
	if !h.lives(p) {
		t.Error("the session has ended")
	}
	refresh(t, h, terms(), p.Refresh)
}
