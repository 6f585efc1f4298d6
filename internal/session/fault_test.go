package session_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

var errFault = errors.New("no route to host")

// fault says which operation of the store and of the revocations fails.
type fault struct {
	at      int  // its number, from 1 on; 0 for none
	after   bool // it fails after it took effect
	forever bool // all later ones fail, too, before they take effect, as after a crash
}

// faults have operations fail.
type faults struct {
	mu   sync.Mutex
	n    int
	only string      // the kind of the operations that count; all if empty
	each func(n int) // called before the first of them with 1, after it with 2, and so on; nil for nothing
	fault
}

func (f *faults) reset() { f.set(fault{}) }

// run runs an operation.
func (f *faults) run(kind string, operation func()) error {
	f.mu.Lock()
	if f.only != "" && f.only != kind {
		f.mu.Unlock()
		operation()
		return nil
	}
	f.n++
	n := f.n
	f.mu.Unlock()
	f.call(2*n - 1)
	defer f.call(2 * n)
	hit := f.at != 0 && n == f.at
	if hit && !f.after || f.forever && f.at != 0 && n > f.at {
		return errFault
	}
	operation()
	if hit {
		return errFault
	}
	return nil
}

func (f *faults) call(moment int) {
	f.mu.Lock()
	each := f.each
	f.mu.Unlock()
	if each != nil {
		each(moment)
	}
}

// faultyStore is a store with faults.
type faultyStore struct {
	store.Store
	f *faults
}

func (s faultyStore) Get(ctx context.Context, key string) (value []byte, err error) {
	if fault := s.f.run("Get", func() { value, err = s.Store.Get(ctx, key) }); fault != nil {
		return nil, fault
	}
	return value, err
}

func (s faultyStore) Take(ctx context.Context, key string) (value []byte, err error) {
	if fault := s.f.run("Take", func() { value, err = s.Store.Take(ctx, key) }); fault != nil {
		return nil, fault
	}
	return value, err
}

func (s faultyStore) Swap(ctx context.Context, key string, old, fresh []byte, expires time.Time) (ok bool, err error) {
	if fault := s.f.run("Swap", func() { ok, err = s.Store.Swap(ctx, key, old, fresh, expires) }); fault != nil {
		return false, fault
	}
	return ok, err
}

// faultyCutoffs are revocations with faults.
type faultyCutoffs struct {
	*cutoffs
	f *faults
}

func (c faultyCutoffs) Cut(ctx context.Context, sid string, until, expires time.Time) (err error) {
	if fault := c.f.run("Cut", func() { err = c.cutoffs.Cut(ctx, sid, until, expires) }); fault != nil {
		return fault
	}
	return err
}

func (c faultyCutoffs) IsRevoked(ctx context.Context, q session.Query) (revoked bool, err error) {
	if fault := c.f.run("IsRevoked", func() { revoked, err = c.cutoffs.IsRevoked(ctx, q) }); fault != nil {
		return false, fault
	}
	return revoked, err
}

func newFaultyHouse(tb testing.TB, in store.Store, f *faults, change ...func(*session.Options)) *house {
	tb.Helper()
	h := newHouse(tb, in, change...)
	h.options.Store = faultyStore{in, f}
	h.options.Revocations = faultyCutoffs{h.cuts, f}
	h.Sessions = open(tb, h.options)
	return h
}

// everyFault runs a test with each operation failing: before and after it takes effect, alone and with all later ones.
// The test reports whether the fault came.
func everyFault(t *testing.T, test func(t *testing.T, f fault) bool) {
	t.Helper()
	for _, f := range []fault{{}, {after: true}, {forever: true}, {after: true, forever: true}} {
		for f.at = 1; ; f.at++ {
			came := test(t, f)
			if t.Failed() {
				t.Fatalf("operation %d, after its effect: %v, with all later ones: %v", f.at, f.after, f.forever)
			}
			if !came {
				break
			}
		}
		if f.at < 3 {
			t.Fatalf("only %d operations", f.at-1)
		}
	}
}

func (f *faults) set(to fault) { f.n, f.only, f.each, f.fault = 0, "", nil, to }

// came reports whether the operation with the fault was reached.
func (f *faults) came() bool { return f.n >= f.at }

// After whatever failure, the client tries again with the same token. It gets a pair, and no other access token lives.
// The one exception is that all stops right after the swap, without grace: then the session ends, as documented.
func TestARefreshThatFailsAnywhere(t *testing.T) {
	for name, agreed := range map[string]*session.Terms{"no grace": terms(), "grace": terms(grace)} {
		t.Run(name, func(t *testing.T) {
			everyFault(t, func(t *testing.T, fault fault) bool {
				var f faults
				h := newFaultyHouse(t, store.NewMemory(), &f)
				first := begin(t, h, agreed)
				h.clock.advance(24*time.Hour - time.Minute)
				first = refresh(t, h, agreed, first.Refresh)
				h.clock.advance(2 * time.Minute) // the access token lives, and the list has to be written
				f.set(fault)
				next, err := h.Refresh(t.Context(), agreed, first.Refresh, session.Proof{})
				came := f.came()
				f.reset()
				got := []*session.Pair{first}
				switch {
				case err == nil:
					got = append(got, next)
				case !errors.Is(err, session.ErrUnavailable) || !errors.Is(err, errFault):
					t.Errorf("%v", err)
				default:
					got = retry(t, h, agreed, first, fault.after && fault.forever)
				}
				h.onlyLastLives(t, got)
				return came
			})
		})
	}
}

// retry tries a refresh again that failed. It returns the pairs that the client has had.
func retry(t *testing.T, h *house, agreed *session.Terms, first *session.Pair, mayEnd bool) []*session.Pair {
	t.Helper()
	h.clock.advance(time.Second)
	next, err := h.Refresh(t.Context(), agreed, first.Refresh, session.Proof{})
	if errors.Is(err, session.ErrReused) && mayEnd && agreed.Grace == 0 {
		return []*session.Pair{first}
	}
	if err != nil {
		t.Errorf("the second time: %v", err)
		return nil
	}
	return []*session.Pair{first, next}
}

// onlyLastLives checks that of these pairs only the last one may live, and that it goes on if there are two.
func (h *house) onlyLastLives(t *testing.T, pairs []*session.Pair) {
	t.Helper()
	if len(pairs) == 0 {
		return
	}
	for _, p := range pairs[:max(1, len(pairs)-1)] {
		if h.lives(p) {
			t.Error("an old access token lives")
		}
	}
	if len(pairs) > 1 {
		last := pairs[len(pairs)-1]
		if !h.lives(last) {
			t.Error("the new access token does not live")
		}
		refresh(t, h, terms(), last.Refresh)
	}
}

// After whatever failure, a thief and the owner of a session have nothing of it when the old token comes once more, and
// the event came at most once.
func TestAReuseThatFailsAnywhereEndsTheSession(t *testing.T) {
	everyFault(t, func(t *testing.T, fault fault) bool {
		var f faults
		h := newFaultyHouse(t, store.NewMemory(), &f)
		first := begin(t, h, terms())
		h.clock.advance(time.Second)
		next := refresh(t, h, terms(), first.Refresh)
		f.set(fault)
		_, err := h.Refresh(t.Context(), terms(), first.Refresh, session.Proof{})
		came := f.came()
		f.reset()
		if !errors.Is(err, session.ErrReused) && !errors.Is(err, session.ErrUnavailable) {
			t.Error(err)
		}
		again, err := h.Refresh(t.Context(), terms(), first.Refresh, session.Proof{})
		if !errors.Is(err, session.ErrInvalid) {
			t.Errorf("%+v, %v", again, err)
		}
		if h.lives(next) || h.lives(first) {
			t.Error("an access token lives")
		}
		refused(t, h, terms(), next.Refresh, session.ErrInvalid)
		if h.events() > 1 {
			t.Errorf("events: %v", h.reused)
		}
		return came
	})
}

// The thief's token comes while all is down, and nobody tries again. If the cut-off is in force, nothing lives.
func TestACutoffAloneEndsAReusedSession(t *testing.T) {
	f := &faults{}
	h := newFaultyHouse(t, store.NewMemory(), f)
	first := begin(t, h, terms())
	next := refresh(t, h, terms(), first.Refresh)
	f.reset()
	f.only, f.at, f.forever = "Take", 1, true
	refused(t, h, terms(), first.Refresh, session.ErrUnavailable)
	f.reset()
	if h.lives(next) {
		t.Error("the access token lives")
	}
	refused(t, h, terms(), next.Refresh, session.ErrInvalid)

	first = begin(t, h, terms()) // and the other way round: the record is taken
	next = refresh(t, h, terms(), first.Refresh)
	f.reset()
	f.only, f.at, f.forever = "Cut", 1, true
	refused(t, h, terms(), first.Refresh, session.ErrReused)
	refused(t, h, terms(), first.Refresh, session.ErrInvalid)
	refused(t, h, terms(), next.Refresh, session.ErrInvalid)
}

// A logout that fails can be tried again, and ends the session then.
func TestALogoutThatFailsAnywhere(t *testing.T) {
	everyFault(t, func(t *testing.T, fault fault) bool {
		var f faults
		h := newFaultyHouse(t, store.NewMemory(), &f)
		p := begin(t, h, terms())
		h.clock.advance(time.Second)
		f.set(fault)
		err := h.End(t.Context(), terms(), p.Session, p.IssuedAt, p.Expires)
		came := f.came()
		f.reset()
		if err != nil {
			if !errors.Is(err, session.ErrUnavailable) {
				t.Error(err)
			}
			err = h.End(t.Context(), terms(), p.Session, p.IssuedAt, p.Expires)
		}
		if err != nil || h.lives(p) {
			t.Errorf("error %v, and the access token lives: %v", err, h.lives(p))
		}
		refused(t, h, terms(), p.Refresh, session.ErrInvalid)
		return came
	})
}

// A login that fails leaves no session that is not counted, and none that anybody has.
func TestALoginThatFailsAnywhere(t *testing.T) {
	everyFault(t, func(t *testing.T, fault fault) bool {
		var f faults
		h := newFaultyHouse(t, store.NewMemory(), &f, func(o *session.Options) { o.PerUser = 2 })
		old := []*session.Pair{begin(t, h, terms()), begin(t, h, terms())}
		f.set(fault)
		p, err := h.Begin(t.Context(), terms(), alice)
		came := f.came()
		f.reset()
		if err != nil {
			if !errors.Is(err, session.ErrUnavailable) || p != nil {
				t.Errorf("%+v, %v", p, err)
			}
			p = begin(t, h, terms())
		}
		newest := begin(t, h, terms())
		if good := h.good(t, append(old, p, newest)...); good > 2 {
			t.Errorf("%d sessions, want 2", good)
		}
		return came
	})
}

// good counts the sessions that can be refreshed.
func (h *house) good(t *testing.T, pairs ...*session.Pair) (n int) {
	t.Helper()
	for _, p := range pairs {
		switch _, err := h.Refresh(t.Context(), terms(), p.Refresh, session.Proof{}); {
		case err == nil:
			n++
		case !errors.Is(err, session.ErrInvalid):
			t.Error(err)
		}
	}
	return n
}
