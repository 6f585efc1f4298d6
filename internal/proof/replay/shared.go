package replay

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// Shared remembers which proofs were used in a store, for all nodes that share it. It is safe for concurrent use.
type Shared struct {
	borrow func(context.Context) (store.Store, func(), error)
	seed   maphash.Seed
	asking chan struct{}
	// byKey counts those that ask, by the hash of their key.
	byKey [maxAsking]atomic.Int32
}

const (
	// deadline is how long the store may take, with the time until it is lent.
	deadline = 2 * time.Second
	// maxAsking is how many ask the store at once.
	maxAsking = 256
	// maxOfKey is how many of them are of one key. Keys with the same hash share it.
	maxOfKey = maxAsking / 2
	// margin is how much longer than its proof an entry lives. The store judges its end by another look at a clock, later
	// than the one by which the proof was good. So it is longer than the deadline.
	margin = 10 * time.Second
	// domain begins what is hashed to a name in the store.
	domain = "a proof of DPoP that was used\n"
)

// errBusy is made in advance: a flood causes it.
var errBusy = fmt.Errorf("%w: too many wait for it", ErrUnavailable)

// NewShared makes a Shared. borrow lends the store: it may wait for it until the context has ended, and giveBack is
// called after use.
func NewShared(borrow func(context.Context) (in store.Store, giveBack func(), err error)) *Shared {
	return &Shared{borrow: borrow, seed: maphash.MakeSeed(), asking: make(chan struct{}, maxAsking)}
}

// Use records that a proof was used: see Memory.Use. Of all callers on all nodes, exactly one gets nil until then, and
// the others get ErrUsed. The error wraps ErrUnavailable if the store has not answered within 2 s, has failed, or is
// asked by too many at once, and the error of the context, too, if that has ended. Then it is not known whether the
// proof was recorded: the caller must not accept it, and it may count as used from now on. The store learns neither the
// key nor the id.
func (s *Shared) Use(ctx context.Context, key [32]byte, id string, now, until time.Time) error {
	if ctx.Err() != nil {
		return unavailable(ctx, ctx.Err())
	}
	ofKey := &s.byKey[maphash.Bytes(s.seed, key[:])%maxAsking]
	defer ofKey.Add(-1)
	if ofKey.Add(1) > maxOfKey {
		return errBusy
	}
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	default:
		return errBusy
	}
	limited, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	in, giveBack, err := s.borrow(limited)
	if err != nil {
		return unavailable(ctx, err)
	}
	defer giveBack()
	// The value tells this caller from all others, as Swap demands.
	value := make([]byte, 16)
	_, _ = rand.Read(value) // never fails
	end := until
	if now.After(end) {
		end = now
	}
	first, err := in.Swap(limited, nameOf(&key, id), nil, value, end.Add(margin))
	switch {
	case err != nil:
		return unavailable(ctx, err)
	case !first:
		return ErrUsed
	}
	return nil
}

// unavailable is the error for an outcome that is not known. It has that of the caller's context, if that has ended:
// then the store may not be to blame.
func unavailable(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil && !errors.Is(err, ended) {
		return fmt.Errorf("%w: %w: %w", ErrUnavailable, ended, err)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// nameOf is the name of a proof in the store.
func nameOf(key *[32]byte, id string) string {
	text := make([]byte, 0, len(domain)+len(key)+8+len(id))
	text = append(text, domain...)
	text = append(text, key[:]...)
	text = binary.BigEndian.AppendUint64(text, uint64(len(id)))
	text = append(text, id...)
	sum := sha256.Sum256(text)
	return "proof/" + string(sum[:])
}
