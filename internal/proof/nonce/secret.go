package nonce

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

const (
	patience = 5 * time.Second // with one question for the secret
	pause    = time.Second     // after a question that has failed
)

// secret is asked for once, and again if that fails.
type secret struct {
	from func(context.Context) ([32]byte, error)
	got  atomic.Pointer[[32]byte]

	mu     sync.Mutex
	asking *question // the last one
}

// question is one that many callers wait for.
type question struct {
	answered chan struct{} // closed when the rest is there
	err      error
	at       time.Time
}

// get returns the secret. The error of a question counts for a second.
func (s *secret) get(ctx context.Context) (*[32]byte, error) {
	if key := s.got.Load(); key != nil {
		return key, nil
	}
	q := s.ask(ctx)
	select {
	case <-q.answered:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if q.err != nil {
		return nil, q.err
	}
	return s.got.Load(), nil
}

// ask returns the question that is under way, the last one if that has failed a moment ago, or a new one. It outlives
// its caller: others may wait for it.
func (s *secret) ask(ctx context.Context) *question {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q := s.asking; q != nil {
		select {
		case <-q.answered:
			if q.err == nil || time.Since(q.at) < pause {
				return q
			}
		default:
			return q
		}
	}
	q := &question{answered: make(chan struct{})}
	s.asking = q
	go func() {
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		defer close(q.answered)
		key, err := s.from(limited)
		if err == nil {
			s.got.Store(&key)
		}
		q.err, q.at = err, time.Now()
	}()
	return q
}

// nameInStore is where SecretIn keeps a secret.
const nameInStore = "proof nonces/secret"

// SecretIn returns the secret of a store. All nodes that share the store get the same one, and it never ends. A
// store.Shared has one that outlives its data. Another store gets a random one, if it has none. The error is that of
// the store, or says that what is there is no secret.
func SecretIn(ctx context.Context, in store.Store) (key [32]byte, err error) {
	if shared, ok := in.(store.Shared); ok {
		return shared.Secret("nonces for proofs"), nil
	}
	kept, err := in.Get(ctx, nameInStore)
	if errors.Is(err, store.ErrNotFound) {
		fresh := make([]byte, len(key))
		_, _ = rand.Read(fresh) // never fails
		if first, err := in.Swap(ctx, nameInStore, nil, fresh, time.Time{}); err != nil {
			return key, fmt.Errorf("keeping a secret for nonces: %w", err)
		} else if first {
			return [32]byte(fresh), nil
		}
		kept, err = in.Get(ctx, nameInStore)
	}
	switch {
	case err != nil:
		return key, fmt.Errorf("the secret for nonces: %w", err)
	case len(kept) != len(key):
		return key, fmt.Errorf("the secret for nonces: the store has one of %d bytes, and not of %d", len(kept), len(key))
	}
	return [32]byte(kept), nil
}
