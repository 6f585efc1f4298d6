package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

func TestAPairSaysWhatTheLoginAndTheTermsSay(t *testing.T) {
	var said []session.Access
	h := newHouse(t, store.NewMemory())
	h.options.Sign = func(_ context.Context, a *session.Access) (string, error) {
		said = append(said, *a)
		return "signed", nil
	}
	h.Sessions = open(t, h.options)
	p := begin(t, h, terms())
	h.clock.advance(time.Minute)
	next := refresh(t, h, terms(), p.Refresh)
	for i, pair := range []*session.Pair{p, next} {
		a := said[i]
		if a.Issuer != issuer || a.Subject != "alice" || a.ClientID != "app" || a.Group != "staff" || a.App != "shop" ||
			string(a.Claims) != `{"role":"<admin>"}` || a.Session != pair.Session || !a.IssuedAt.Equal(pair.IssuedAt) ||
			!a.Expires.Equal(pair.Expires) || pair.Access != "signed" || pair.Subject != "alice" {
			t.Errorf("pair %d: %+v says %+v", i, pair, a)
		}
		want := pair.IssuedAt.Add(5 * time.Minute).Truncate(time.Second)
		if !pair.Expires.Equal(want) || pair.IssuedAt.UnixMicro()%1000 != 0 {
			t.Errorf("pair %d: issued %v, expires %v, want %v", i, pair.IssuedAt, pair.Expires, want)
		}
		if sid, err := session.SIDOf(pair.Refresh); err != nil || sid != p.Session || len(sid) != 24 {
			t.Errorf("pair %d: session %q, %v, want %q", i, sid, err, p.Session)
		}
	}
	if next.Refresh == p.Refresh || len(next.Refresh) != 64 || next.IssuedAt.Sub(p.IssuedAt) != time.Minute {
		t.Errorf("first %+v, then %+v", p, next)
	}
}

// What was handed out before is out, and what was handed out last is good.
func TestARefreshTokenIsTakenOnce(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms())
	for range 20 {
		h.clock.advance(time.Minute)
		next := refresh(t, h, terms(), p.Refresh)
		if h.lives(p) || !h.lives(next) {
			t.Fatalf("the old access token lives: %v, and the new one: %v", h.lives(p), h.lives(next))
		}
		p = next
	}
	if h.events() != 0 {
		t.Errorf("events: %v", h.reused)
	}
}

// RFC 9700 section 4.14.2.
func TestAttackATokenThatComesAgainEndsItsSession(t *testing.T) {
	for name, stolen := range map[string]int{"the first": 0, "the last but one": 2} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, store.NewMemory())
			other := begin(t, h, terms())
			pairs := []*session.Pair{begin(t, h, terms())}
			for i := range 3 {
				h.clock.advance(time.Second)
				pairs = append(pairs, refresh(t, h, terms(), pairs[i].Refresh))
			}
			refused(t, h, terms(), pairs[stolen].Refresh, session.ErrReused)
			for _, p := range pairs {
				if h.lives(p) {
					t.Errorf("%+v lives", p)
				}
				refused(t, h, terms(), p.Refresh, session.ErrInvalid)
			}
			if want := pairs[0].Session + " alice shop"; h.events() != 1 || h.reused[0] != want {
				t.Errorf("events: %q, want %q", h.reused, want)
			}
			if !h.lives(other) {
				t.Error("another session of the user has ended")
			}
			refresh(t, h, terms(), other.Refresh)
		})
	}
}

// A secret that never was a token is as bad as one that was: whoever has the handle has had a token.
func TestAttackGuessedSecretsEndTheSession(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms(grace))
	refused(t, h, terms(grace), p.Refresh[:63]+flipped(p.Refresh[63]), session.ErrReused)
	refused(t, h, terms(grace), p.Refresh, session.ErrInvalid)
}

func flipped(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

func TestAttackATokenOfAnotherAppDoesNothing(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms())
	bank := terms(func(t *session.Terms) { t.App = "bank" })
	refused(t, h, bank, p.Refresh, session.ErrInvalid)
	next := refresh(t, h, terms(), p.Refresh)
	refused(t, h, bank, p.Refresh, session.ErrInvalid) // also one that was used
	refresh(t, h, terms(), next.Refresh)
	if h.events() != 0 {
		t.Errorf("events: %v", h.reused)
	}
}

// Issuers that share a store have users of their own, who may have the same names.
func TestAttackATokenOfAnotherIssuerDoesNothing(t *testing.T) {
	shared := store.NewMemory()
	h := newHouse(t, shared)
	other := newHouse(t, shared, func(o *session.Options) { o.Issuer, o.PerUser = "https://other.example", 1 })
	p, theirs := begin(t, h, terms()), begin(t, other, terms())
	refused(t, other, terms(), p.Refresh, session.ErrInvalid)
	refused(t, h, terms(), theirs.Refresh, session.ErrInvalid)
	begin(t, other, terms()) // it ends the other session of their user, and none of ours
	refused(t, other, terms(), theirs.Refresh, session.ErrInvalid)
	next := refresh(t, h, terms(), p.Refresh)
	refused(t, other, terms(), p.Refresh, session.ErrInvalid) // also one that was used
	refresh(t, h, terms(), next.Refresh)
	if h.events()+other.events() != 0 {
		t.Errorf("events: %v, %v", h.reused, other.reused)
	}
}

func TestWhatIsNoTokenByItsFormEndsNothing(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms())
	for _, text := range []string{
		"", "x", p.Refresh[:63], p.Refresh + "A", p.Refresh + "=", p.Refresh[:63] + "=", p.Refresh[:63] + "\n",
		p.Refresh[:60] + "\r\n\r\n", p.Refresh[:63] + "+", p.Refresh[:63] + "/", " " + p.Refresh[1:], p.Access,
		strings.Repeat("\x00", 64), strings.Repeat("é", 32),
	} {
		refused(t, h, terms(), text, session.ErrMalformed)
		if _, err := session.SIDOf(text); !errors.Is(err, session.ErrMalformed) {
			t.Errorf("%q: %v", text, err)
		}
	}
	refused(t, h, terms(), flipped(p.Refresh[0])+p.Refresh[1:], session.ErrInvalid) // another handle
	refresh(t, h, terms(), p.Refresh)
}

func TestRefreshTokensExpire(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms())
	h.clock.advance(24*time.Hour - time.Millisecond)
	p = refresh(t, h, terms(), p.Refresh)
	h.clock.advance(24 * time.Hour)
	refused(t, h, terms(), p.Refresh, session.ErrInvalid)
	h.clock.advance(-24 * time.Hour) // it is gone, and does not come back
	refused(t, h, terms(), p.Refresh, session.ErrInvalid)
}

func TestASessionEndsAtItsAbsoluteEnd(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	short := terms(func(t *session.Terms) { t.Absolute = 36 * time.Hour })
	p := begin(t, h, short)
	for range 2 {
		h.clock.advance(17 * time.Hour)
		p = refresh(t, h, short, p.Refresh)
	}
	other := begin(t, h, terms())
	for range 2 {
		h.clock.advance(20 * time.Hour)
		other = refresh(t, h, terms(), other.Refresh)
	}
	refused(t, h, short, p.Refresh, session.ErrInvalid)
	refused(t, h, short, other.Refresh, session.ErrInvalid) // the bound came after the login

	p = begin(t, h, terms(func(t *session.Terms) { t.Absolute = time.Hour }))
	h.clock.advance(time.Hour)
	refused(t, h, terms(), p.Refresh, session.ErrInvalid) // and this one was given with it
}

// A user who was removed has no sessions, and nothing is decided while that is not known.
func TestSubjectsThatAreGone(t *testing.T) {
	there, trouble := true, error(nil)
	asked := terms(func(t *session.Terms) {
		t.Holder = func(_ context.Context, subject string) (*session.Holder, error) {
			if there && subject == "alice" {
				return new(session.Holder), trouble
			}
			return nil, trouble
		}
	})
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, asked)
	trouble = errors.New("no route to host")
	refused(t, h, asked, p.Refresh, session.ErrUnavailable)
	trouble = nil
	p = refresh(t, h, asked, p.Refresh)
	there = false
	refused(t, h, asked, p.Refresh, session.ErrInvalid)
	if _, err := h.Begin(t.Context(), asked, alice); !errors.Is(err, session.ErrInvalid) {
		t.Error(err)
	}
	there = true
	refused(t, h, asked, p.Refresh, session.ErrInvalid) // the session is not there any more
}

func TestASignerThatFailsChangesNothing(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms())
	good := h.options.Sign
	for _, bad := range []func(context.Context, *session.Access) (string, error){
		func(context.Context, *session.Access) (string, error) { return "", errors.New("no key") },
		func(context.Context, *session.Access) (string, error) { return "", nil },
	} {
		h.options.Sign = bad
		h.Sessions = open(t, h.options)
		refused(t, h, terms(), p.Refresh, session.ErrUnavailable)
		if _, err := h.Begin(t.Context(), terms(), alice); !errors.Is(err, session.ErrUnavailable) {
			t.Error(err)
		}
		if !h.lives(p) {
			t.Error("the access token was cut off")
		}
	}
	h.options.Sign = good
	h.Sessions = open(t, h.options)
	refresh(t, h, terms(), p.Refresh)
}

// A client that leaves in time changes nothing. One that leaves later does not stop what was begun.
func TestClientsThatLeave(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms(grace))
	ctx, leave := context.WithCancel(t.Context())
	sign := h.options.Sign
	h.options.Sign = func(ctx context.Context, a *session.Access) (string, error) { leave(); return sign(ctx, a) }
	h.Sessions = open(t, h.options)
	_, err := h.Refresh(ctx, terms(grace), p.Refresh, session.Proof{})
	if !errors.Is(err, session.ErrUnavailable) || !h.lives(p) {
		t.Fatalf("error %v, and the access token lives: %v", err, h.lives(p))
	}
	next := refresh(t, h, terms(grace), p.Refresh)
	ctx, leave = context.WithCancel(t.Context())
	leave()
	if err := h.End(ctx, terms(), next.Session, next.IssuedAt, next.Expires); err != nil || h.lives(next) {
		t.Errorf("error %v, and the access token lives: %v", err, h.lives(next))
	}
}

// A client leaves at each moment of a refresh. Either nothing has changed, or the refresh is done.
func TestAClientThatLeavesInTheMiddle(t *testing.T) {
	for moment := 1; ; moment++ {
		f := &faults{}
		h := newFaultyHouse(t, store.NewMemory(), f)
		p := begin(t, h, terms())
		h.clock.advance(time.Minute)
		f.reset()
		ctx, leave := context.WithCancel(t.Context())
		f.each = func(n int) {
			if n == moment {
				leave()
			}
		}
		next, err := h.Refresh(ctx, terms(), p.Refresh, session.Proof{})
		if f.each = nil; ctx.Err() == nil {
			leave()
			return
		}
		switch {
		case err == nil && h.lives(next) && !h.lives(p):
			refresh(t, h, terms(), next.Refresh)
		case err != nil && h.lives(p):
			refresh(t, h, terms(), p.Refresh)
		default:
			t.Errorf("moment %d: %v, and the old access token lives: %v", moment, err, h.lives(p))
		}
	}
}

func TestUnusableOptionsTermsAndLogins(t *testing.T) {
	good := newHouse(t, store.NewMemory())
	for name, change := range map[string]func(*session.Options){
		"no store":       func(o *session.Options) { o.Store = nil },
		"no issuer":      func(o *session.Options) { o.Issuer = "" },
		"no signer":      func(o *session.Options) { o.Sign = nil },
		"no revocations": func(o *session.Options) { o.Revocations = nil },
		"per user":       func(o *session.Options) { o.PerUser = session.MaxPerUser + 1 },
		"leeway":         func(o *session.Options) { o.Leeway = -1 },
	} {
		o := good.options
		change(&o)
		if _, err := session.New(o); !errors.Is(err, session.ErrTerms) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*session.Terms){
		"no app":   func(t *session.Terms) { t.App = "" },
		"app":      func(t *session.Terms) { t.App = "\xff" },
		"access":   func(t *session.Terms) { t.AccessLifetime = time.Second - 1 },
		"refresh":  func(t *session.Terms) { t.RefreshLifetime = 0 },
		"grace":    func(t *session.Terms) { t.Grace = 6 * time.Minute },
		"absolute": func(t *session.Terms) { t.Absolute = -1 },
	} {
		bad := terms(change)
		_, err := good.Begin(t.Context(), bad, alice)
		_, also := good.Refresh(t.Context(), bad, "", session.Proof{})
		end := good.End(t.Context(), bad, "", time.Time{}, time.Time{})
		for _, err := range []error{err, also, end} {
			if !errors.Is(err, session.ErrTerms) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for name, login := range map[string]*session.Login{
		"no subject":  {},
		"not UTF-8":   {Subject: "al\xffice"},
		"long":        {Subject: "alice", Group: strings.Repeat("x", 1025)},
		"no JSON":     {Subject: "alice", Claims: []byte(`{`)},
		"an array":    {Subject: "alice", Claims: []byte(`[]`)},
		"only space":  {Subject: "alice", Claims: []byte(` `)},
		"many claims": {Subject: "alice", Claims: []byte(`{"a":"` + strings.Repeat("x", session.MaxClaims) + `"}`)},
		"odd claims":  {Subject: "alice", Claims: []byte("{\"a\":\"\xff\"}")},
	} {
		if _, err := good.Begin(t.Context(), terms(), login); !errors.Is(err, session.ErrTerms) {
			t.Errorf("%s: %v", name, err)
		}
	}
	most := &session.Login{Subject: strings.Repeat("x", 1024),
		Claims: []byte(`{"a":"` + strings.Repeat("<", session.MaxClaims-8) + `"}`)}
	p, err := good.Begin(t.Context(), terms(), most)
	if err != nil {
		t.Fatal(err)
	}
	refresh(t, good, terms(), p.Refresh)
}

// What the store has of a session is small, and no token is in it.
func TestTheStoreHasNoTokens(t *testing.T) {
	for name, agreed := range map[string]*session.Terms{"without grace": terms(), "with grace": terms(grace)} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, store.NewMemory())
			first := begin(t, h, agreed)
			next := refresh(t, h, agreed, first.Refresh)
			text, err := h.store.Get(t.Context(), "session/"+next.Session)
			if err != nil || !json.Valid(text) {
				t.Fatalf("%s, %v", text, err)
			}
			if most := 330; agreed.Grace == 0 && len(text) > most {
				t.Errorf("%d bytes, want at most %d: %s", len(text), most, text)
			}
			for _, secret := range []string{first.Access, next.Access, first.Refresh, next.Refresh, next.Refresh[:20],
				next.Refresh[24:]} {
				if strings.Contains(string(text), secret) {
					t.Errorf("%s has %s", text, secret)
				}
			}
		})
	}
}
