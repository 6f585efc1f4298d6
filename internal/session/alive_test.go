package session_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

// aliveAre wants the sessions of alice in the shop to be those of these pairs.
func (h *house) aliveAre(t *testing.T, pairs ...*session.Pair) []session.Info {
	t.Helper()
	infos, err := h.List(t.Context(), terms(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, info := range infos {
		got = append(got, info.Session)
	}
	for _, pair := range pairs {
		want = append(want, pair.Session)
	}
	if !slices.Equal(got, want) {
		t.Errorf("alive are %q, want %q", got, want)
	}
	return infos
}

func TestTheListHasWhatIsAlive(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	h.aliveAre(t)
	first := begin(t, h, terms())
	h.clock.advance(time.Minute)
	second := begin(t, h, terms())
	other := terms(func(t *session.Terms) { t.App = "bank" })
	begin(t, h, other)
	if _, err := h.Begin(t.Context(), terms(), &session.Login{Subject: "bob"}); err != nil {
		t.Fatal(err)
	}
	h.clock.advance(time.Minute)
	next := refresh(t, h, terms(), first.Refresh)
	info := h.aliveAre(t, first, second)[0]
	want := session.Info{
		Session: first.Session, App: "shop", Subject: "alice", Created: first.IssuedAt, Refreshed: next.IssuedAt,
		Ends: h.clock.now().Truncate(time.Millisecond).Add(terms().RefreshLifetime).UTC(),
	}
	if info != want {
		t.Errorf("%+v, want %+v", info, want)
	}
	if err := h.End(t.Context(), terms(), second.Session, time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	h.aliveAre(t, first)
	h.clock.advance(terms().RefreshLifetime)
	h.aliveAre(t)
}

// What somebody has cut off could not be refreshed, although its record is still there.
func TestTheListLacksWhatIsCutOff(t *testing.T) {
	for kind, value := range map[string]string{"sub": "alice", "client": "app", "group": "staff"} {
		h := newHouse(t, store.NewMemory())
		begin(t, h, terms())
		h.clock.advance(time.Second)
		h.cuts.revoke(kind, value, h.clock.now(), h.clock.now().Add(time.Hour))
		h.aliveAre(t)
		h.clock.advance(time.Second)
		h.aliveAre(t, begin(t, h, terms()))
	}
}

// Whoever asks does not end anything, and is not the user.
func TestTheListAsksForNoUser(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	pair := begin(t, h, terms())
	h.aliveAre(t, pair)
	h.aliveAre(t, pair)
	refresh(t, h, terms(), pair.Refresh)
}

func TestAllSessionsOfASubjectEnd(t *testing.T) {
	for name, in := range map[string]store.Store{"memory": store.NewMemory(), "file": openFile(t)} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, in)
			var pairs []*session.Pair
			for range 3 {
				pairs = append(pairs, begin(t, h, terms()))
			}
			bob, err := h.Begin(t.Context(), terms(), &session.Login{Subject: "bob"})
			if err != nil {
				t.Fatal(err)
			}
			h.clock.advance(time.Second)
			ended, err := h.EndAll(t.Context(), terms(), "alice")
			if err != nil || len(ended) != 3 || ended[0].Session != pairs[0].Session {
				t.Errorf("%+v, %v", ended, err)
			}
			for _, pair := range pairs {
				if h.lives(pair) {
					t.Error("an access token lives")
				}
				refused(t, h, terms(), pair.Refresh, session.ErrInvalid)
			}
			if ended, err = h.EndAll(t.Context(), terms(), "alice"); len(ended) != 0 || err != nil {
				t.Errorf("once more: %+v, %v", ended, err)
			}
			refresh(t, h, terms(), bob.Refresh)
			h.clock.advance(time.Second)
			if again := begin(t, h, terms()); !h.lives(again) {
				t.Error("alice cannot sign in any more")
			}
		})
	}
}

// One that could not go on does not count, and is gone all the same.
func TestWhatWasCutOffBeforeDoesNotCountAsEnded(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	pair := begin(t, h, terms())
	h.clock.advance(time.Second)
	h.cuts.revoke("sub", "alice", h.clock.now(), h.clock.now().Add(time.Hour))
	if one, err := h.EndOne(t.Context(), terms(), pair.Session); one != nil || err != nil {
		t.Errorf("%+v, %v", one, err)
	}
	if _, err := h.store.Get(t.Context(), "session/"+pair.Session); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
}

// The terms are those of another app: whoever has only a sid does not know which.
func TestOneSessionEndsWhateverItsAppIs(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	pair := begin(t, h, terms())
	h.clock.advance(time.Second)
	one, err := h.EndOne(t.Context(), terms(func(t *session.Terms) { t.App = "bank" }), pair.Session)
	if err != nil || one == nil || one.Session != pair.Session || one.App != "shop" || h.lives(pair) {
		t.Errorf("%+v, %v", one, err)
	}
	refused(t, h, terms(), pair.Refresh, session.ErrInvalid)
	h.aliveAre(t)
	for range 2 {
		if one, err := h.EndOne(t.Context(), terms(), pair.Session); one != nil || err != nil {
			t.Errorf("once more: %+v, %v", one, err)
		}
	}
	if _, err := h.EndOne(t.Context(), terms(), pair.Refresh); !errors.Is(err, session.ErrMalformed) {
		t.Error(err)
	}
}

// A login is as far as its list when all sessions end. Its record comes later, and is of no use.
func TestALoginUnderWayEndsWithAllSessions(t *testing.T) {
	for moment := 1; ; moment++ {
		f := &faults{}
		h := newFaultyHouse(t, store.NewMemory(), f)
		h.ShardKey("alice", "shop") // the salt is known
		f.reset()
		done := false
		f.each = func(n int) {
			if n != moment {
				return
			}
			f.each, done = nil, true
			h.clock.advance(time.Second)
			if _, err := h.EndAll(t.Context(), terms(), "alice"); err != nil {
				t.Error(err)
			}
		}
		pair, err := h.Begin(t.Context(), terms(), alice)
		if f.each = nil; !done {
			return
		}
		if err != nil {
			continue
		}
		h.clock.advance(time.Second)
		listed, err := h.List(t.Context(), terms(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		next, err := h.Refresh(t.Context(), terms(), pair.Refresh, session.Proof{})
		if (err == nil) != (len(listed) == 1) {
			t.Errorf("moment %d: %d are listed, and a refresh gives %v, %v", moment, len(listed), next, err)
		}
		if err == nil && moment > 7 { // the list had it by then
			t.Errorf("moment %d: it goes on", moment)
		}
	}
}

// With an error some may go on, and then it can be repeated.
func TestEndingAllWithAStoreThatFails(t *testing.T) {
	everyFault(t, func(t *testing.T, fault fault) bool {
		f := &faults{}
		h := newFaultyHouse(t, store.NewMemory(), f)
		pairs := []*session.Pair{begin(t, h, terms()), begin(t, h, terms())}
		h.clock.advance(time.Second)
		f.set(fault)
		first, err := h.EndAll(t.Context(), terms(), "alice")
		came := f.came()
		f.reset()
		if err != nil && !errors.Is(err, session.ErrUnavailable) || !came && (err != nil || len(first) != 2) {
			t.Errorf("%d have ended: %v", len(first), err)
		}
		second, err := h.EndAll(t.Context(), terms(), "alice")
		if err != nil || len(first)+len(second) > 2 {
			t.Errorf("%d and %d have ended: %v", len(first), len(second), err)
		}
		for _, pair := range pairs {
			if h.lives(pair) {
				t.Error("an access token lives")
			}
			refused(t, h, terms(), pair.Refresh, session.ErrInvalid)
		}
		return came
	})
}

func TestListAndEndAllRefuseWhatCannotBeMeant(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	bad := terms(func(t *session.Terms) { t.App = "" })
	for _, of := range []struct {
		terms   *session.Terms
		subject string
	}{{bad, "alice"}, {terms(), ""}} {
		if _, err := h.List(t.Context(), of.terms, of.subject); !errors.Is(err, session.ErrTerms) {
			t.Error(err)
		}
		if _, err := h.EndAll(t.Context(), of.terms, of.subject); !errors.Is(err, session.ErrTerms) {
			t.Error(err)
		}
	}
	pair := begin(t, h, terms())
	if err := h.store.Put(t.Context(), "session/"+pair.Session, []byte("{}"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.List(t.Context(), terms(), "alice"); !errors.Is(err, session.ErrUnavailable) {
		t.Errorf("a damaged record: %v", err)
	}
	if ended, err := h.EndAll(t.Context(), terms(), "alice"); len(ended) != 0 || err != nil {
		t.Errorf("a damaged record: %+v, %v", ended, err)
	}
	h.aliveAre(t)
}
