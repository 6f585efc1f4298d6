package session_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

const issuer = "https://gate.example"

// clock is a clock that stands, until a test sets it. It begins now, because stores have clocks of their own.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// cutoffs are Revocations in memory: by kind and value, the latest moment and the latest end.
type cutoffs struct {
	mu      sync.Mutex
	until   map[string]time.Time
	expires map[string]time.Time
	asking  func() // called before each answer; nil for nothing
}

func newCutoffs() *cutoffs {
	return &cutoffs{until: make(map[string]time.Time), expires: make(map[string]time.Time)}
}

// revoke is what an admin does, with whatever has this name.
func (c *cutoffs) revoke(kind, value string, until, expires time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := kind + " " + value
	if until.After(c.until[name]) {
		c.until[name] = until
	}
	if expires.After(c.expires[name]) {
		c.expires[name] = expires
	}
}

func (c *cutoffs) Cut(_ context.Context, sid string, until, expires time.Time) error {
	c.revoke("sid", sid, until, expires)
	return nil
}

func (c *cutoffs) IsRevoked(_ context.Context, q session.Query) (bool, error) {
	if c.asking != nil {
		c.asking()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, value := range map[string]string{
		"sid": q.Session, "sub": q.Subject, "client": q.Client, "group": q.Group,
	} {
		until, there := c.until[name+" "+value]
		if value != "" && there && q.IssuedAt.UnixMilli() <= until.UnixMilli() {
			return true, nil
		}
	}
	return false, nil
}

// house is sessions with all that they need.
type house struct {
	*session.Sessions
	clock   *clock
	cuts    *cutoffs
	store   store.Store
	options session.Options

	mu     sync.Mutex
	signed int
	reused []string
}

func newHouse(tb testing.TB, in store.Store, change ...func(*session.Options)) *house {
	tb.Helper()
	h := &house{clock: newClock(), cuts: newCutoffs(), store: in}
	h.options = session.Options{
		Store: in, Issuer: issuer, Sign: h.sign, Revocations: h.cuts, Now: h.clock.now,
		Reused: func(sid, subject, app string) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.reused = append(h.reused, sid+" "+subject+" "+app)
		},
	}
	for _, c := range change {
		c(&h.options)
	}
	h.Sessions = open(tb, h.options)
	return h
}

func open(tb testing.TB, o session.Options) *session.Sessions {
	tb.Helper()
	s, err := session.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// sign makes a text that says who it is for, and is never the same.
func (h *house) sign(_ context.Context, a *session.Access) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.signed++
	return fmt.Sprintf("access %d %s %d %s", h.signed, a.Session, a.IssuedAt.UnixMilli(), a.Claims), nil
}

func (h *house) events() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.reused)
}

// lives reports whether the access token of a pair is good.
func (h *house) lives(p *session.Pair) bool {
	revoked, _ := h.cuts.IsRevoked(context.Background(), session.Query{
		Subject: p.Subject, Session: p.Session, IssuedAt: p.IssuedAt,
	})
	return !revoked && h.clock.now().Before(p.Expires)
}

func terms(changes ...func(*session.Terms)) *session.Terms {
	t := &session.Terms{App: "shop", AccessLifetime: 5 * time.Minute, RefreshLifetime: 24 * time.Hour}
	for _, change := range changes {
		change(t)
	}
	return t
}

func grace(t *session.Terms) { t.Grace = 10 * time.Second }

var alice = &session.Login{Subject: "alice", ClientID: "app", Group: "staff", Claims: []byte(`{"role": "<admin>"}`)}

func begin(tb testing.TB, h *house, t *session.Terms) *session.Pair {
	tb.Helper()
	p, err := h.Begin(tb.Context(), t, alice)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func refresh(tb testing.TB, h *house, t *session.Terms, token string) *session.Pair {
	tb.Helper()
	p, err := h.Refresh(tb.Context(), t, token, session.Proof{})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// refused wants an error that is another one, and has no token.
func refused(tb testing.TB, h *house, t *session.Terms, token string, want error) {
	tb.Helper()
	p, err := h.Refresh(tb.Context(), t, token, session.Proof{})
	if !errors.Is(err, want) || p != nil {
		tb.Fatalf("the pair %v and the error %v, want %v", p, err, want)
	}
	if token != "" && strings.Contains(err.Error(), token) {
		tb.Errorf("the error has the token: %v", err)
	}
}

func openFile(tb testing.TB) store.Store {
	tb.Helper()
	f, err := store.OpenFile(filepath.Join(tb.TempDir(), "store.db"), store.FileOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	return f
}
