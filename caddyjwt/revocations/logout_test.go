package revocations

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/revoke"
)

const issuer = "https://as.example"

// provisioned is what a configuration with a store in memory has, before it starts.
func provisioned(t *testing.T, desk *Desk, objects *pool.Pool) *Revocations {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	r := &Revocations{emit: func(string, map[string]any) {}}
	at, err := (Settings{Store: &Store{Kind: kindMemory}}).compile(words.NewSettings())
	if err != nil {
		t.Fatal(err)
	}
	r.prepare(at, desk, objects, ctx.Logger(new(caddyevents.App)))
	r.AddOwners([]revoke.Owner{{Issuer: issuer, MaxLifetime: time.Hour, Leeway: 5 * time.Second}})
	return r
}

// end ends sessions as a receiver of logouts does.
func end(r *Revocations, l logout.Logout) error {
	if seen, err := r.Seen(context.Background(), l.ID); err != nil || seen {
		return errors.Join(err, map[bool]error{true: errors.New("seen")}[seen])
	}
	if err := r.End(context.Background(), l); err != nil {
		return err
	}
	return r.Remember(context.Background(), l.ID, time.Now().Add(time.Minute))
}

// A request may come before the store is open: Caddy starts apps in any order. It fails, and nothing is lost.
func TestLogoutBeforeTheStoreIsOpen(t *testing.T) {
	r := provisioned(t, new(Desk), pool.New(nil))
	l := logout.Logout{Issuer: issuer, Session: "s1", ID: "j1", IssuedAt: time.Now()}
	if err := end(r, l); !errors.Is(err, errNotOpen) {
		t.Errorf("before the start: %v", err)
	}
	if err := r.End(t.Context(), l); !errors.Is(err, errNotOpen) {
		t.Errorf("End before the start: %v", err)
	}
	if err := r.Remember(t.Context(), "j1", time.Now()); !errors.Is(err, errNotOpen) {
		t.Errorf("Remember before the start: %v", err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	if err := end(r, l); err != nil || r.Len() != 1 {
		t.Errorf("after the start: %v, %d entries", err, r.Len())
	}
	if err := end(r, l); err == nil || err.Error() != "seen" {
		t.Errorf("again: %v", err)
	}
}

// A logout names a session, or a user. The cut-off is when it was issued, or now if the clock of the server is ahead.
func TestWhatALogoutRevokes(t *testing.T) {
	r := provisioned(t, new(Desk), pool.New(nil))
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	now := time.Now()
	for _, l := range []logout.Logout{
		{Issuer: issuer, Session: "s1", Subject: "alice", ID: "1", IssuedAt: now.Add(-time.Minute)},
		{Issuer: issuer, Subject: "bob", ID: "2", IssuedAt: now.Add(4 * time.Second)},
	} {
		if err := end(r, l); err != nil {
			t.Fatal(err)
		}
	}
	held, err := r.hold()
	if err != nil {
		t.Fatal(err)
	}
	defer held.LetGo()
	var shown []Shown
	for entry, err := range held.Value.Entries(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, Show(entry))
	}
	if len(shown) != 2 {
		t.Fatalf("%d entries", len(shown))
	}
	one, two := shown[0], shown[1]
	if one.By != "sid" || one.Value != "s1" || one.Author != "back-channel logout" ||
		one.NotAfter.Sub(now.Add(-time.Minute)).Abs() > time.Millisecond {
		t.Errorf("of a session: %+v", one)
	}
	if two.By != "sub" || two.Value != "bob" || two.NotAfter.After(time.Now()) {
		t.Errorf("of a user: %+v", two)
	}
	err = end(r, logout.Logout{Issuer: "https://else.example", Session: "s1", ID: "3", IssuedAt: now})
	if err == nil || !strings.Contains(err.Error(), "no gate accepts tokens") {
		t.Errorf("of another issuer: %v", err)
	}
}

// Where tokens live for seconds, those of the session may have expired when the logout comes. That is no trouble.
func TestLogoutOfTokensThatHaveExpired(t *testing.T) {
	r := &Revocations{desk: new(Desk)}
	r.AddOwners([]revoke.Owner{{Issuer: issuer, MaxLifetime: time.Second}})
	old := logout.Logout{Issuer: issuer, Session: "s1", ID: "1", IssuedAt: time.Now().Add(-100 * time.Second)}
	if err := r.End(t.Context(), old); err != nil {
		t.Error(err)
	}
}

// A request that has outlived its configuration writes to the store that gates ask now.
func TestLogoutAfterTheConfiguration(t *testing.T) {
	desk, objects := new(Desk), pool.New(nil)
	before, after := provisioned(t, desk, objects), provisioned(t, desk, pool.New(nil))
	for _, r := range []*Revocations{before, after} {
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		r.InForce()
	}
	l := logout.Logout{Issuer: issuer, Session: "s1", ID: "j1", IssuedAt: time.Now()}
	if err := before.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := end(before, l); err != nil || after.Len() != 1 {
		t.Errorf("%v, %d entries", err, after.Len())
	}
	if err := after.Stop(); err != nil {
		t.Fatal(err)
	}
	l.ID = "j2"
	if err := end(before, l); err != nil {
		t.Errorf("when nothing runs: %v", err)
	}
}
