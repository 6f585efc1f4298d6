package session_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

// anywhere are the terms of every app.
func anywhere(app string) *session.Terms { return terms(func(t *session.Terms) { t.App = app }) }

// inShop are the terms of one app.
func inShop(app string) *session.Terms {
	if app != "shop" {
		return nil
	}
	return terms()
}

// all are the sessions of an issuer, each as subject and app, sorted.
func (h *house) all(t *testing.T, termsOf func(string) *session.Terms) (found []string) {
	t.Helper()
	for part, first := 0, true; part > 0 || first; first = false {
		some, err := h.All(t.Context(), termsOf, part)
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range some.Alive {
			found = append(found, one.Subject+" in "+one.App)
		}
		part = some.Next
	}
	slices.Sort(found)
	return found
}

func TestAllSessionsAreFound(t *testing.T) {
	h := newHouse(t, openFile(t))
	if found := h.all(t, anywhere); found != nil {
		t.Errorf("before the first login: %v", found)
	}
	var want []string
	login := func(subject, app string) *session.Pair {
		t.Helper()
		p, err := h.Begin(t.Context(), anywhere(app), &session.Login{Subject: subject})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, subject+" in "+app)
		return p
	}
	for i := range 200 {
		login(fmt.Sprint("user ", i), []string{"shop", "bank"}[i%2])
	}
	login("user 0", "bank")
	login("user 0", "shop")
	gone := login("gone", "shop")
	want = want[:len(want)-1]
	if err := h.End(t.Context(), terms(), gone.Session, time.Time{}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if found := h.all(t, anywhere); !slices.Equal(found, want) {
		t.Errorf("%d sessions are found, want %d:\n%v\n%v", len(found), len(want), found, want)
	}
	shop := h.all(t, inShop)
	if len(shop) != 101 || slices.ContainsFunc(shop, func(s string) bool { return !strings.HasSuffix(s, " in shop") }) {
		t.Errorf("in shop: %v", shop)
	}
	o := h.options
	o.Issuer = "https://other.example"
	other := &house{Sessions: open(t, o)}
	if found := other.all(t, anywhere); found != nil {
		t.Errorf("another issuer has %v", found)
	}
}

// The index names a session for as long as it is refreshed, and forgets it some time afterwards. A shard forgets when
// somebody in it logs in.
func TestTheIndexNamesASessionAsLongAsItLives(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	neighbour := &session.Login{Subject: h.neighbours("alice", 1)[0]}
	login := func() {
		t.Helper()
		if _, err := h.Begin(t.Context(), terms(), neighbour); err != nil {
			t.Fatal(err)
		}
	}
	p := begin(t, h, terms())
	for range 60 {
		h.clock.advance(20 * time.Hour)
		p = refresh(t, h, terms(), p.Refresh)
		login()
		if found := h.all(t, inShop); found[0] != "alice in shop" {
			t.Fatalf("%v", found)
		}
	}
	h.clock.advance(30 * 24 * time.Hour)
	login()
	text, err := h.store.Get(t.Context(), h.ShardKey("alice", "shop"))
	if err != nil || strings.Contains(string(text), "alice") || !strings.Contains(string(text), neighbour.Subject) {
		t.Errorf("%q, %v", text, err)
	}
}

// neighbours are other subjects in the shard of a subject.
func (h *house) neighbours(subject string, n int) (found []string) {
	shard := h.ShardKey(subject, "shop")
	for i := 0; len(found) < n; i++ {
		if other := fmt.Sprint("user ", i); h.ShardKey(other, "shop") == shard {
			found = append(found, other)
		}
	}
	return found
}

// A shard is full some day. Then who is in it may log in, and nobody else. When others are gone, there is room again.
func TestAShardIsFull(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	p := begin(t, h, terms())
	var late *session.Login
	for _, subject := range h.neighbours("alice", session.MaxNamed) {
		login := &session.Login{Subject: subject}
		_, err := h.Begin(t.Context(), terms(), login)
		switch {
		case late == nil && errors.Is(err, session.ErrUnavailable) && strings.Contains(err.Error(), "no more are possible"):
			late = login
		case err != nil:
			t.Fatal(err)
		}
	}
	if late == nil {
		t.Fatal("there is room for all")
	}
	begin(t, h, terms())
	refresh(t, h, terms(), p.Refresh)
	if found := h.all(t, anywhere); len(found) != session.MaxNamed+1 {
		t.Errorf("%d sessions", len(found))
	}
	h.clock.advance(40 * 24 * time.Hour)
	if _, err := h.Begin(t.Context(), terms(), late); err != nil {
		t.Error(err)
	}
}

// Who has logged out does not fill a shard.
func TestAttackAccountsThatLogOutDoNotFillAShard(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	for _, subject := range h.neighbours("alice", session.MaxNamed) {
		p, err := h.Begin(t.Context(), terms(), &session.Login{Subject: subject})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.End(t.Context(), terms(), p.Session, time.Time{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	begin(t, h, terms())
	if found := h.all(t, inShop); len(found) != 1 {
		t.Errorf("%v", found)
	}
}

// Nobody can know who shares a shard with somebody: two stores have two ways to share them out.
func TestAttackWhoSharesAShardIsAGuess(t *testing.T) {
	one, other := newHouse(t, store.NewMemory()), newHouse(t, store.NewMemory())
	apart := 0
	for _, subject := range one.neighbours("alice", 20) {
		if other.ShardKey(subject, "shop") != other.ShardKey("alice", "shop") {
			apart++
		}
	}
	if apart < 15 { // each stays together with a chance of 1 in 4096
		t.Errorf("%d of 20 are apart", apart)
	}
	again := open(t, one.options)
	if one.ShardKey("alice", "shop") != again.ShardKey("alice", "shop") {
		t.Error("two nodes with one store have different shards")
	}
}

// One damaged record hides no others.
func TestADamagedSessionHidesNoOthers(t *testing.T) {
	h := newHouse(t, store.NewMemory())
	for i := range 20 {
		p, err := h.Begin(t.Context(), terms(), &session.Login{Subject: fmt.Sprint("user ", i)})
		if err != nil {
			t.Fatal(err)
		}
		if i == 7 {
			key := "session/" + p.Session
			old, err := h.store.Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.store.Swap(t.Context(), key, old, []byte("{}"), time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	unreadable := 0
	if found := h.all(t, inShop); len(found) != 19 {
		t.Errorf("%d sessions", len(found))
	}
	for part, first := 0, true; part > 0 || first; first = false {
		some, err := h.All(t.Context(), inShop, part)
		if err != nil {
			t.Fatal(err)
		}
		unreadable, part = unreadable+some.Unreadable, some.Next
	}
	if unreadable != 1 {
		t.Errorf("%d are unreadable", unreadable)
	}
}

// Nobody logs in over an index that is damaged: it would lose others.
func TestADamagedIndex(t *testing.T) {
	for _, text := range []string{"", "\x02", "\x01\x80", "\x01\x01\x7fa", "\x01\x01\x01a", "\x01\x01\x01a\x02b",
		"\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01a\x01b", "{}"} {
		h := newHouse(t, store.NewMemory())
		if _, err := h.store.Swap(t.Context(), h.ShardKey("alice", "shop"), nil, []byte(text), time.Time{}); err != nil {
			t.Fatal(err)
		}
		_, err := h.Begin(t.Context(), terms(), alice)
		if !errors.Is(err, session.ErrUnavailable) || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%q: a login gives %v", text, err)
		}
		unreadable := 0
		for part, first := 0, true; part > 0 || first; first = false {
			some, err := h.All(t.Context(), anywhere, part)
			if err != nil {
				t.Fatal(err)
			}
			unreadable, part = unreadable+some.Unreadable, some.Next
		}
		if unreadable != 1 {
			t.Errorf("%q: %d are unreadable", text, unreadable)
		}
	}
	h := newHouse(t, store.NewMemory())
	for _, part := range []int{-1, 4096} {
		if _, err := h.All(t.Context(), anywhere, part); !errors.Is(err, session.ErrTerms) {
			t.Errorf("part %d: %v", part, err)
		}
	}
}
