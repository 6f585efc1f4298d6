package revoke_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// server is what several processes share. It can be emptied, and it can go back to what it had before.
type server struct {
	mu     sync.Mutex
	state  *store.Memory
	epoch  string
	epochs int
	last   store.Position    // of the log
	values map[string][]byte // by key, as far as a ledger swaps them
}

func newServer() *server { return &server{state: store.NewMemory(), values: make(map[string][]byte)} }

// link is the store as one process has it. It can be cut.
type link struct {
	*server
	cut atomic.Bool
}

var errCut = errors.New("the server is out of reach")

func (l *link) now() (*store.Memory, error) {
	if l.cut.Load() {
		return nil, errCut
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state, nil
}

// ask runs a method on what the server has now.
func ask[T any](l *link, do func(*store.Memory) (T, error)) (T, error) {
	state, err := l.now()
	if err != nil {
		return *new(T), err
	}
	got, err := do(state)
	if errors.Is(err, store.ErrClosed) { // the server has another state now
		err = errCut
	}
	return got, err
}

func (l *link) Put(ctx context.Context, key string, value []byte, expires time.Time) error {
	return errors.New("a ledger does not put")
}

func (l *link) Get(ctx context.Context, key string) ([]byte, error) {
	return ask(l, func(s *store.Memory) ([]byte, error) { return s.Get(ctx, key) })
}

func (l *link) Take(ctx context.Context, key string) ([]byte, error) {
	return nil, errors.New("a ledger does not take")
}

func (l *link) Swap(ctx context.Context, key string, old, fresh []byte, expires time.Time) (bool, error) {
	return ask(l, func(s *store.Memory) (bool, error) {
		done, err := s.Swap(ctx, key, old, fresh, expires)
		if done && expires.IsZero() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.values[key] = fresh
		}
		return done, err
	})
}

func (l *link) Append(ctx context.Context, log string, record []byte, expires time.Time) (store.Position, error) {
	return ask(l, func(s *store.Memory) (store.Position, error) {
		at, err := s.Append(ctx, log, record, expires)
		if err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.last = at
		}
		return at, err
	})
}

func (l *link) Read(ctx context.Context, log string, after store.Position, limit int) ([]store.Record, error) {
	return ask(l, func(s *store.Memory) ([]store.Record, error) { return s.Read(ctx, log, after, limit) })
}

func (l *link) Wait(ctx context.Context, log string, after store.Position) error {
	_, err := ask(l, func(s *store.Memory) (int, error) { return 0, s.Wait(ctx, log, after) })
	return err
}

func (l *link) Sweep(ctx context.Context, now time.Time) error {
	_, err := ask(l, func(s *store.Memory) (int, error) { return 0, s.Sweep(ctx, now) })
	return err
}

func (l *link) Close() error { return nil }

func (l *link) ReadAnchored(ctx context.Context, log string, after, anchor store.Position, limit int) (
	records []store.Record, anchored []byte, err error,
) {
	records, err = ask(l, func(s *store.Memory) ([]store.Record, error) {
		if anchored, err = recordAt(ctx, s, log, anchor); err != nil {
			return nil, err
		}
		return s.Read(ctx, log, after, limit)
	})
	return records, anchored, err
}

// recordAt is the record at a position; nil for none.
func recordAt(ctx context.Context, s *store.Memory, log string, at store.Position) ([]byte, error) {
	before := at
	before.Lo--
	found, err := s.Read(ctx, log, before, 1)
	if len(found) == 1 && found[0].Position == at {
		return found[0].Data, err
	}
	return nil, err
}

func (l *link) Check(ctx context.Context, log string, anchor store.Position) (store.Condition, error) {
	return ask(l, func(s *store.Memory) (store.Condition, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		record, err := recordAt(ctx, s, log, anchor)
		return store.Condition{Epoch: l.epoch, Anchor: record, Last: l.last}, err
	})
}

func (l *link) Init(context.Context, string) (bool, error) {
	if l.cut.Load() {
		return false, errCut
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch != "" {
		return false, nil
	}
	l.epochs++
	l.epoch = fmt.Sprint("epoch ", l.epochs)
	return true, nil
}

func (l *link) Secret(purpose string) [32]byte { return sha256.Sum256([]byte(purpose)) }

// empty has the server forget everything.
func (s *server) empty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.state.Close()
	s.state, s.epoch, s.last = store.NewMemory(), "", store.Position{}
	clear(s.values)
}

// goBack has the server lose all but the first records, as a copy that was behind when it took over. What is appended
// next gets positions that lost records had.
func (s *server) goBack(t *testing.T, records int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.state.Read(t.Context(), logName, store.Position{}, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	fresh := store.NewMemory()
	s.last = store.Position{}
	for _, r := range all[:min(records, len(all))] {
		if s.last, err = fresh.Append(t.Context(), logName, r.Data, r.Expires); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range s.values {
		if value != nil {
			_, err = fresh.Swap(t.Context(), key, nil, value, time.Time{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = s.state.Close()
	s.state = fresh
}

// records is how many there are.
func (s *server) records(t *testing.T) int {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.state.Read(t.Context(), logName, store.Position{}, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// node is one of the processes that share a server.
type node struct {
	*revoke.Ledger
	link *link
}

// join opens a ledger at the server. The caller closes it.
func (s *server) join(t *testing.T, o revoke.Options) *node {
	t.Helper()
	n := &node{link: &link{server: s}}
	n.open(t, o)
	return n
}

func (n *node) open(t *testing.T, o revoke.Options) {
	t.Helper()
	var err error
	if n.Ledger, err = revoke.Open(t.Context(), n.link, o); err != nil {
		t.Fatal(err)
	}
}

// known reports whether it is known at this moment what is revoked.
func (n *node) known() error {
	_, err := n.List().Generation(time.Now())
	return err
}

// refuses reports whether tokens of a subject that were issued long ago are refused.
func (n *node) refuses(t *testing.T, sub string) bool {
	t.Helper()
	return revoked(n.List(), issued(t, m{"sub": sub, "iat": 1}))
}

// want reports subjects that are refused, or that are not, other than they should be. The node must know everything.
func (n *node) want(t *testing.T, refuses bool, subs ...string) {
	t.Helper()
	for _, sub := range subs {
		if n.refuses(t, sub) != refuses {
			t.Errorf("%s: refused %v", sub, !refuses)
		}
	}
	if err := n.known(); err != nil {
		t.Error(err)
	}
}
