package revocations

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// Book is an open store with the revocations in it. Configurations with the same settings share one.
type Book struct {
	*revoke.Ledger
	store store.Store
	// Where is the path of the file, or "memory".
	Where string
}

// kind names books in the pool.
const kind = "store"

// openBook opens the store, and reads it.
func openBook(settings *Store, where string, trouble func(error)) (*Book, error) {
	in, err := settings.open(where)
	if err != nil {
		return nil, err
	}
	ledger, err := revoke.Open(context.Background(), in, revoke.Options{Trouble: trouble})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", where, err), in.Close())
	}
	return &Book{Ledger: ledger, store: in, Where: where}, nil
}

// Destruct implements caddy.Destructor.
func (b *Book) Destruct() error {
	b.Close()
	return b.store.Close()
}

// isBroken reports whether the store has failed while it was open, or was damaged. Then it takes nothing any more.
func (b *Book) isBroken() bool {
	_, err := b.store.Get(context.Background(), "any")
	return err != nil && !errors.Is(err, store.ErrNotFound)
}

// bookIn finds the open book in a pool, or nil. A broken one still has a whole list.
func bookIn(p *pool.Pool, where string) (found *Book) {
	for book := range pool.All[*Book](p) {
		if book.Where == where && (found == nil || found.isBroken()) {
			found = book
		}
	}
	return found
}
