package tokenissuer

import (
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/orders"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/people"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/session"
)

// node is an issuer that runs, without a server. Nodes may share a storage.
type node struct {
	*issuer
	*running
	t    *testing.T
	stop func() error // of the store
}

func startNode(t *testing.T, storage string) *node {
	t.Helper()
	h := &Handler{
		Issuer: "https://as.example",
		Apps:   []applications.App{{Path: "/a/"}, {Path: "/b/", RefreshLifetime: caddy.Duration(time.Hour)}},
		Users:  []people.User{{Name: "alice", Hash: "$2a$04$X3ulqf/iGxnf1k6oMZ.RZeJUoqI9PX2PM4rS5lkIKJXduLGXGPrt6"}},
	}
	c, err := h.compile(words.NewSettings())
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}})
	if err != nil {
		t.Fatal(err)
	}
	r := new(revocations.Revocations)
	settings := revocations.Settings{Store: &revocations.Store{Kind: "memory"}}
	if err := r.Provision(ctx, settings, new(revocations.Desk), pool.New(nil)); err != nil {
		t.Fatal(err)
	}
	r.AddOwners(c.owners(c.longest()))
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	i := &issuer{compiled: c, revocations: r, vault: &certmagic.FileStorage{Path: storage}, logger: zap.NewNop(),
		emit: func(string, map[string]any) {}}
	if err := i.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = i.Close()
		_ = r.Stop()
	})
	return &node{i, i.running.Load(), t, r.Stop}
}

func (n *node) login() *session.Pair {
	n.t.Helper()
	holder, err := n.holder(n.t.Context(), "alice")
	if err != nil {
		n.t.Fatal(err)
	}
	pair, err := n.sessions.Begin(n.t.Context(), n.terms(n.apps[0], n.running),
		&session.Login{Subject: "alice", ClientID: "/a/", Mark: holder.Mark})
	if err != nil {
		n.t.Fatal(err)
	}
	return pair
}

func (n *node) refresh(pair *session.Pair) (*session.Pair, error) {
	return n.sessions.Refresh(n.t.Context(), n.terms(n.apps[0], n.running), pair.Refresh, session.Proof{})
}

// takes reports whether a gate takes the access token of a pair.
func (n *node) takes(pair *session.Pair) bool {
	n.t.Helper()
	r, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, "https://as.example/a/x", nil)
	if err != nil {
		n.t.Fatal(err)
	}
	r.RequestURI = "/a/x"
	r.Header.Set("Authorization", "Bearer "+pair.Access)
	_, err = n.gates["/a/"].Check(gate.Request{HTTP: r, Facts: gate.Direct(r)})
	return err == nil
}

// All stops between the keys and the cut-off. Sessions and tokens are out all the same, on each node that has read the
// storage, and after a restart.
func TestAResetThatStopsAfterTheKeysIsOne(t *testing.T) {
	storage := t.TempDir()
	here, there := startNode(t, storage), startNode(t, storage) // with stores of their own, so nothing is announced
	pairs := map[*node]*session.Pair{here: here.login(), there: there.login()}
	for n, pair := range pairs {
		if !n.takes(pair) {
			t.Fatal("the token of a session is not taken")
		}
	}
	if err := here.ring.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := there.ring.CatchUp(t.Context()); err != nil { // it does so every few seconds
		t.Fatal(err)
	}
	for n, pair := range pairs {
		if n.takes(pair) {
			t.Error("an access token is good")
		}
		if alive, err := n.sessions.List(t.Context(), n.terms(n.apps[0], n.running), "alice"); len(alive) > 0 || err != nil {
			t.Errorf("sessions are alive: %v, %v", alive, err)
		}
		if _, err := n.refresh(pair); !errors.Is(err, session.ErrInvalid) {
			t.Errorf("a refresh: %v", err)
		}
		for reset := time.Now(); time.Since(reset) < 3*time.Millisecond; { // an iat is a millisecond ago
			runtime.Gosched()
		}
		fresh := n.login()
		if _, err := n.refresh(fresh); err != nil || !startNode(t, storage).takes(fresh) {
			t.Errorf("a session from after the reset: %v", err)
		}
	}
}

// The cut-off cannot be written. What can be is out, and whoever has asked hears that it has to be repeated.
func TestAResetThatCannotBeAnnouncedIsAnError(t *testing.T) {
	n := startNode(t, t.TempDir())
	pair := n.login()
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	_, err := n.change(t.Context(), orders.Reset)
	if err == nil || !strings.Contains(err.Error(), "repeat it") || statusOf(err) != http.StatusServiceUnavailable {
		t.Error(err)
	}
	if n.takes(pair) {
		t.Error("an access token is good")
	}
}

// A cut-off of all tokens, from wherever it comes, has the keys read again before anything else is verified.
func TestACutOffOfAllTokensHasTheKeysReadAgain(t *testing.T) {
	storage := t.TempDir()
	here, there := startNode(t, storage), startNode(t, storage)
	if err := here.ring.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	former := there.login() // with a key that is no more
	if here.takes(former) || !there.takes(former) {
		t.Fatal("the two nodes have the same keys")
	}
	if err := there.backing.CutOffAll(t.Context(), there.name); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(10 * time.Second)
	for kid := here.ring.Keys()[0].KeyID; there.ring.Keys()[0].KeyID != kid; {
		select {
		case <-deadline:
			t.Fatal("the keys were not read again")
		case <-time.After(time.Millisecond):
		}
	}
	if there.takes(former) {
		t.Error("what was signed with a former key is good")
	}
}
