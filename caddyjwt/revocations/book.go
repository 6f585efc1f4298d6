package revocations

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
)

// Book is an open store with the revocations in it. Configurations with the same settings share one.
type Book struct {
	*revoke.Ledger
	store store.Store
	place *place
}

// kind names books in the pool.
const kind = "store"

// openBook opens the store, and reads it. It waits for a server that several Caddys share no longer than for one answer
// that does not come: then the store is open, and not in sync. trouble gets one error when the store fails while nobody
// waits for it, and nil when it works again.
func openBook(at *place, desk *Desk) (*Book, error) {
	in, err := at.open(&desk.Calls)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", at.kind, err)
	}
	changes := &changes{tell: func(err error) {
		if desk.Trouble != nil {
			desk.Trouble(at.where, err)
		}
	}}
	options := revoke.Options{Trouble: changes.note, MaxUnsynced: at.maxUnsynced}
	ledger, err := revoke.Open(context.Background(), in, options)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", at.where, err), in.Close())
	}
	return &Book{Ledger: ledger, store: in, place: at}, nil
}

// changes tells of trouble when it begins, when it becomes trouble of another kind, and when it ends, and not each time
// in between: a store that is out of reach fails every second.
type changes struct {
	mu   sync.Mutex
	kind string
	told time.Time
	tell func(error)
}

// quiet is how long one kind of trouble may follow another without a word.
const quiet = 10 * time.Second

func (c *changes) note(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := kindOf(err)
	if kind == c.kind || kind != "" && c.kind != "" && time.Since(c.told) < quiet {
		return
	}
	c.kind, c.told = kind, time.Now()
	c.tell(err)
}

// kindOf is what has to be done about an error; empty for nothing.
func kindOf(err error) string {
	if err == nil {
		return ""
	}
	for _, kind := range []error{
		revoke.ErrNoEpoch, revoke.ErrRecord, store.ErrCorrupt, redis.ErrRefused, redis.ErrFewReplicas, redis.ErrOutOfReach,
	} {
		if errors.Is(err, kind) {
			return kind.Error()
		}
	}
	return "other"
}

// Destruct implements caddy.Destructor.
func (b *Book) Destruct() error {
	b.Close()
	return b.store.Close()
}

// isBroken reports whether the store has failed while it was open, or was damaged. Then it takes nothing any more. A
// store.Shared is never broken: it connects again by itself.
func (b *Book) isBroken() bool {
	if _, shared := b.store.(store.Shared); shared {
		return false
	}
	_, err := b.store.Get(context.Background(), "any")
	return err != nil && !errors.Is(err, store.ErrNotFound)
}

// bookIn finds the open book of a place in a pool, or nil. A broken one still has a whole list.
func bookIn(p *pool.Pool, at *place) (found *Book) {
	for book := range pool.All[*Book](p) {
		if book.place.id == at.id && (found == nil || found.isBroken()) {
			found = book
		}
	}
	return found
}
