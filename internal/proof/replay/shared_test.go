package replay_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

// lending counts how often a store is borrowed and given back.
type lending struct {
	in             store.Store
	borrowed, back atomic.Int64
}

func (l *lending) borrow(context.Context) (store.Store, func(), error) {
	l.borrowed.Add(1)
	return l.in, func() { l.back.Add(1) }, nil
}

func sharedIn(t *testing.T, in store.Store) *replay.Shared {
	t.Helper()
	l := &lending{in: in}
	t.Cleanup(func() {
		if l.borrowed.Load() != l.back.Load() {
			t.Errorf("borrowed %d times, and given back %d times", l.borrowed.Load(), l.back.Load())
		}
	})
	return replay.NewShared(l.borrow)
}

func closing(t *testing.T, s store.Store) store.Store {
	t.Helper()
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openFile(t *testing.T) store.Store {
	t.Helper()
	f, err := store.OpenFile(filepath.Join(t.TempDir(), "store.db"), store.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return closing(t, f)
}

func openRedis(t *testing.T, server *redistest.Server) store.Store {
	t.Helper()
	s, err := redis.New(redis.Options{URL: server.URL(), Key: [32]byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	return closing(t, s)
}

// nodes are two that share one store, of each kind that there is.
func nodes(t *testing.T, check func(t *testing.T, a, b *replay.Shared)) {
	t.Run("memory", func(t *testing.T) {
		in := closing(t, store.NewMemory())
		check(t, sharedIn(t, in), sharedIn(t, in))
	})
	t.Run("file", func(t *testing.T) {
		in := openFile(t)
		check(t, sharedIn(t, in), sharedIn(t, in))
	})
	t.Run("redis", func(t *testing.T) {
		server := redistest.Start(t)
		check(t, sharedIn(t, openRedis(t, server)), sharedIn(t, openRedis(t, server)))
	})
}

func TestOnAllNodesAProofIsGoodOnce(t *testing.T) {
	nodes(t, func(t *testing.T, a, b *replay.Shared) {
		now := time.Now()
		for i, c := range []struct {
			node *replay.Shared
			key  int
			id   string
			left time.Duration
			want error
		}{
			{a, 1, "a", time.Minute, nil}, {a, 1, "a", time.Minute, replay.ErrUsed}, {b, 1, "a", time.Minute, replay.ErrUsed},
			{b, 1, "b", time.Minute, nil}, {a, 2, "a", time.Minute, nil}, {b, 2, "b", time.Hour, nil},
			{a, 2, "b", time.Minute, replay.ErrUsed}, {a, 1, "", time.Minute, nil}, {b, 1, "", time.Minute, replay.ErrUsed},
			// The last moment of a proof may be over when the store looks at its clock.
			{a, 3, "a", time.Millisecond, nil}, {b, 3, "a", time.Millisecond, replay.ErrUsed},
			{a, 4, "a", -time.Hour, nil}, {b, 4, "a", -time.Hour, replay.ErrUsed},
		} {
			if err := c.node.Use(t.Context(), keyOf(c.key), c.id, now, now.Add(c.left)); !errors.Is(err, c.want) {
				t.Errorf("call %d: %v, want %v", i, err, c.want)
			}
		}
	})
}

func TestOfManyCallersOnAllNodesOneUsesAProof(t *testing.T) {
	nodes(t, func(t *testing.T, a, b *replay.Shared) {
		for round := range 5 {
			var won atomic.Int32
			var all sync.WaitGroup
			for caller := range 64 {
				all.Go(func() {
					now := time.Now()
					node := []*replay.Shared{a, b}[caller%2]
					switch err := node.Use(t.Context(), keyOf(1), fmt.Sprint(round), now, now.Add(time.Minute)); {
					case err == nil:
						won.Add(1)
					case !errors.Is(err, replay.ErrUsed):
						t.Error(err)
					}
				})
			}
			all.Wait()
			if n := won.Load(); n != 1 {
				t.Errorf("%d callers used the proof", n)
			}
		}
	})
}

func TestAServerThatIsGoneLetsNoProofPass(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := sharedIn(t, openRedis(t, server))
	now := time.Now()
	use := func(id string) error { return s.Use(t.Context(), keyOf(1), id, now, now.Add(time.Hour)) }
	if err := use("before"); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	for _, id := range []string{"before", "meanwhile"} {
		if err := use(id); !errors.Is(err, replay.ErrUnavailable) || errors.Is(err, replay.ErrUsed) {
			t.Errorf("%s: %v", id, err)
		}
	}
	server.Restart()
	for end := time.Now().Add(30 * time.Second); ; {
		err := use("before")
		if errors.Is(err, replay.ErrUsed) {
			break
		}
		if err == nil || time.Now().After(end) {
			t.Fatalf("after a restart: %v", err)
		}
	}
}

// troubled is a store whose Swap does what a test wants.
type troubled struct {
	store.Store
	swap func(ctx context.Context) (bool, error)
}

func (t *troubled) Swap(ctx context.Context, _ string, _, _ []byte, _ time.Time) (bool, error) {
	return t.swap(ctx)
}

func silent(ctx context.Context) (bool, error) { <-ctx.Done(); return false, ctx.Err() }

func TestAnOutcomeThatIsNotKnownIsRefused(t *testing.T) {
	type lender = func(context.Context) (store.Store, func(), error)
	noStore := errors.New("there is no store")
	lend := func(swap func(context.Context) (bool, error)) lender {
		return func(context.Context) (store.Store, func(), error) { return &troubled{swap: swap}, func() {}, nil }
	}
	answer := func(first bool, err error) lender {
		return lend(func(context.Context) (bool, error) { return first, err })
	}
	lendNone := func(err error, wait bool) lender {
		return func(ctx context.Context) (store.Store, func(), error) {
			if wait {
				<-ctx.Done()
			}
			return nil, nil, cmp.Or(err, ctx.Err())
		}
	}
	for name, c := range map[string]struct {
		borrow lender
		cancel bool // while the store is asked
		want   error
	}{
		"an error":                            {answer(false, io.ErrUnexpectedEOF), false, io.ErrUnexpectedEOF},
		"a yes and an error":                  {answer(true, io.ErrUnexpectedEOF), false, io.ErrUnexpectedEOF},
		"closed":                              {answer(false, store.ErrClosed), false, store.ErrClosed},
		"no answer":                           {lend(silent), false, context.DeadlineExceeded},
		"the caller leaves":                   {lend(silent), true, context.Canceled},
		"no store":                            {lendNone(noStore, false), false, noStore},
		"not lent in time":                    {lendNone(nil, true), false, context.DeadlineExceeded},
		"the caller leaves before it is lent": {lendNone(noStore, true), true, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				begun, done := time.Now(), make(chan error, 1)
				go func() {
					done <- replay.NewShared(c.borrow).Use(ctx, keyOf(1), "the id of a proof", begun, begun.Add(time.Minute))
				}()
				if c.cancel {
					synctest.Wait()
					cancel()
				}
				err := <-done
				if !errors.Is(err, replay.ErrUnavailable) || !errors.Is(err, c.want) || errors.Is(err, replay.ErrUsed) {
					t.Errorf("%v, want %v", err, c.want)
				}
				if took := time.Since(begun); took > replay.Deadline {
					t.Errorf("it took %s", took)
				}
				if strings.Contains(err.Error(), "the id of a proof") {
					t.Errorf("the error has the id: %v", err)
				}
			})
		})
	}
}

// recorder notes what the store is asked.
type recorder struct {
	store.Store
	names, values []string
	ends          []time.Time
}

func (r *recorder) Swap(ctx context.Context, key string, old, fresh []byte, end time.Time) (bool, error) {
	r.names, r.values, r.ends = append(r.names, key), append(r.values, string(fresh)), append(r.ends, end)
	return r.Store.Swap(ctx, key, old, fresh, end)
}

// A store may take a value that is already there for its own, when it asks its server again.
func TestEachCallerHasAValueOfItsOwn(t *testing.T) {
	r := &recorder{Store: closing(t, store.NewMemory())}
	s, now := sharedIn(t, r), time.Now()
	for range 3 {
		_ = s.Use(t.Context(), keyOf(1), "a", now, now.Add(time.Minute))
	}
	if len(r.values) != 3 || r.values[0] == r.values[1] || r.values[1] == r.values[2] || len(r.values[0]) < 16 {
		t.Errorf("values %q", r.values)
	}
	for i, end := range r.ends {
		if r.names[i] != r.names[0] || end.Before(now.Add(time.Minute+replay.Deadline)) || end.After(now.Add(2*time.Minute)) {
			t.Errorf("call %d: %q until %s", i, r.names[i], end)
		}
	}
}

func TestACallerThatHasLeftAsksNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := &lending{}
	err := replay.NewShared(l.borrow).Use(ctx, keyOf(1), "a", start, start.Add(time.Minute))
	if !errors.Is(err, replay.ErrUnavailable) || !errors.Is(err, context.Canceled) || l.borrowed.Load() != 0 {
		t.Errorf("%v, borrowed %d times", err, l.borrowed.Load())
	}
}

func TestFewAskAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asking, most, busy atomic.Int64
		slow := func(ctx context.Context) (bool, error) {
			n := asking.Add(1)
			defer asking.Add(-1)
			for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
				continue
			}
			return silent(ctx)
		}
		s := sharedIn(t, &troubled{swap: slow})
		now := time.Now()
		var all sync.WaitGroup
		ask := func(key, n int) {
			all.Go(func() {
				err := s.Use(t.Context(), keyOf(key), fmt.Sprint(n), now, now.Add(time.Minute))
				if !errors.Is(err, replay.ErrUnavailable) {
					t.Error(err)
				}
				if time.Since(now) == 0 {
					busy.Add(1)
				}
			})
		}
		for n := range 1000 {
			ask(0, n)
		}
		synctest.Wait()
		if n := asking.Load(); n != replay.OfKey || busy.Load() != 1000-replay.OfKey {
			t.Errorf("of one key, %d ask, and %d were refused at once", n, busy.Load())
		}
		for n := range 1000 {
			ask(1+n, n)
		}
		synctest.Wait()
		if n := asking.Load(); n != replay.Asking || busy.Load() != 2000-replay.Asking {
			t.Errorf("%d ask, and %d were refused at once", n, busy.Load())
		}
		all.Wait()
		if most.Load() > replay.Asking {
			t.Errorf("%d asked at once", most.Load())
		}
		// All have left.
		if err := s.Use(t.Context(), keyOf(0), "a", now, now.Add(time.Minute)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("later: %v", err)
		}
	})
}

func TestTheStoreLearnsNeitherKeyNorID(t *testing.T) {
	key := keyOf(1)
	names := make(map[string]string)
	for _, id := range []string{"", "a", "b", "ab", "a\x00", strings.Repeat("a", 300)} {
		for _, k := range [][32]byte{key, keyOf(2)} {
			name := replay.NameOf(&k, id)
			if len(name) > 64 || bytes.Contains([]byte(name), k[:8]) || id != "" && len(id) > 2 && strings.Contains(name, id) {
				t.Errorf("the name of %q: %q", id, name)
			}
			if other, twice := names[name]; twice {
				t.Errorf("%q and %q have the same name", id, other)
			}
			names[name] = id
		}
	}
}
