package nonce_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/proof/nonce"
	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

func TestManyCallersAskOnceForTheSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		answer := make(chan struct{})
		s := nonce.NewSource(func(ctx context.Context) ([32]byte, error) {
			asked.Add(1)
			select {
			case <-answer:
				return [32]byte{1}, nil
			case <-ctx.Done():
				return [32]byte{}, ctx.Err()
			}
		})
		leaving, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { // the first one leaves, and the question goes on
			if _, err := s.Issue(leaving, border, lifetime); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 64 {
			all.Go(func() {
				if text, err := s.Issue(t.Context(), border, lifetime); err != nil || len(text) != nonce.Size {
					t.Error(text, err)
				}
			})
		}
		synctest.Wait()
		leave()
		synctest.Wait()
		close(answer)
		all.Wait()
		for range 10 {
			time.Sleep(time.Hour)
			if _, err := s.Issue(t.Context(), time.Now(), lifetime); err != nil {
				t.Error(err)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestAnErrorIsKeptForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := errors.New("the store is away")
		asked := 0
		s := nonce.NewSource(func(context.Context) ([32]byte, error) {
			if asked++; asked < 3 {
				return [32]byte{}, failure
			}
			return [32]byte{1}, nil
		})
		for i, c := range []struct {
			after time.Duration
			asked int
			want  error
		}{
			{0, 1, failure}, {0, 1, failure}, {time.Second - 1, 1, failure}, {1, 2, failure}, {time.Second / 2, 2, failure},
			{time.Second, 3, nil}, {0, 3, nil}, {time.Hour, 3, nil},
		} {
			time.Sleep(c.after)
			state, err := s.Check(t.Context(), "", border, lifetime)
			if !errors.Is(err, c.want) || asked != c.asked || state != nonce.Unknown {
				t.Errorf("call %d: %v, asked %d times", i, err, asked)
			}
		}
	})
}

func TestAQuestionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := nonce.NewSource(func(ctx context.Context) ([32]byte, error) {
			<-ctx.Done()
			return [32]byte{}, ctx.Err()
		})
		begun := time.Now()
		if _, err := s.Issue(t.Context(), border, lifetime); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

func opened(t *testing.T, s store.Store, err error) store.Store {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Two nodes are two handles of one store, where there can be two.
func TestAllNodesOfAStoreHaveOneSecret(t *testing.T) {
	memory := opened(t, store.NewMemory(), nil)
	path := filepath.Join(t.TempDir(), "store.db")
	file, err := store.OpenFile(path, store.FileOptions{})
	opened(t, file, err)
	kinds := map[string][2]store.Store{"memory": {memory, memory}, "file": {file, file}}
	check := func(t *testing.T, nodes [2]store.Store) {
		var all sync.WaitGroup
		var secrets [64][32]byte
		for i := range secrets {
			all.Go(func() {
				var err error
				if secrets[i], err = nonce.SecretIn(t.Context(), nodes[i%2]); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for i, secret := range secrets {
			if secret != secrets[0] || secret == [32]byte{} {
				t.Errorf("caller %d has another secret, or none", i)
			}
		}
		source := func(in store.Store) *nonce.Source {
			return nonce.NewSource(func(ctx context.Context) ([32]byte, error) { return nonce.SecretIn(ctx, in) })
		}
		text, err := source(nodes[0]).Issue(t.Context(), border, lifetime)
		if err != nil {
			t.Fatal(err)
		}
		if state, err := source(nodes[1]).Check(t.Context(), text, border, lifetime); state != nonce.Fresh || err != nil {
			t.Errorf("the nonce of another node: %d, %v", state, err)
		}
	}
	for name, nodes := range kinds {
		t.Run(name, func(t *testing.T) { check(t, nodes) })
	}
	t.Run("redis", func(t *testing.T) {
		server := redistest.Start(t)
		var nodes [2]store.Store
		for i := range nodes {
			s, err := redis.New(redis.Options{URL: server.URL(), Key: [32]byte{1}})
			nodes[i] = opened(t, s, err)
		}
		check(t, nodes)
		before, _ := nonce.SecretIn(t.Context(), nodes[0])
		server.Flush()
		if after, err := nonce.SecretIn(t.Context(), nodes[1]); err != nil || after != before {
			t.Errorf("after the server was emptied, a node has another secret: %v", err)
		}
	})
	t.Run("over a restart", func(t *testing.T) {
		before, _ := nonce.SecretIn(t.Context(), file)
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := store.OpenFile(path, store.FileOptions{})
		opened(t, again, err)
		if after, err := nonce.SecretIn(t.Context(), again); err != nil || after != before {
			t.Errorf("another secret: %v", err)
		}
	})
}

// troubled is a store in which something fails, or comes in between.
type troubled struct {
	store.Store
	swapErr error
	lost    bool // somebody else is faster
	getErr  error
}

func (t *troubled) Swap(ctx context.Context, key string, old, fresh []byte, expires time.Time) (bool, error) {
	if t.swapErr != nil || t.lost {
		return false, t.swapErr
	}
	return t.Store.Swap(ctx, key, old, fresh, expires)
}

func (t *troubled) Get(ctx context.Context, key string) ([]byte, error) {
	if t.getErr != nil {
		return nil, t.getErr
	}
	return t.Store.Get(ctx, key)
}

func TestAStoreWithoutASecret(t *testing.T) {
	memory := opened(t, store.NewMemory(), nil)
	if err := memory.Put(t.Context(), nonce.NameInStore, []byte("short"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("it is away")
	for name, c := range map[string]struct {
		in   store.Store
		want error
	}{
		"damaged":              {memory, nil},
		"cannot be read":       {&troubled{Store: store.NewMemory(), getErr: failure}, failure},
		"cannot be written":    {&troubled{Store: store.NewMemory(), swapErr: failure}, failure},
		"made by one who left": {&troubled{Store: store.NewMemory(), lost: true}, store.ErrNotFound},
	} {
		key, err := nonce.SecretIn(t.Context(), c.in)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || key != [32]byte{} {
			t.Errorf("%s: %v", name, err)
		}
	}
}
