// Package lastgoodtest has what tests of kept answers need: a store whose content they can see and change.
package lastgoodtest

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/lastgood"
	"github.com/caddyjwt/gateway/internal/store"
)

// Box lends a store, as the configuration in force does. It is safe for concurrent use.
type Box struct {
	store.Store

	mu     sync.Mutex
	keys   map[string]time.Time // with the time when they expire
	absent bool
	err    error
	hangs  bool
	log    bytes.Buffer
}

// New makes a box around a store.
func New(in store.Store) *Box { return &Box{Store: in, keys: make(map[string]time.Time)} }

// Memory makes a box around an empty store in memory.
func Memory(tb testing.TB) *Box {
	tb.Helper()
	in := store.NewMemory()
	tb.Cleanup(func() { _ = in.Close() })
	return New(in)
}

// Shelf makes a shelf, as each process has one.
func (b *Box) Shelf() *lastgood.Shelf {
	return lastgood.New(b, slog.New(slog.NewTextHandler(writer{b}, nil)))
}

type writer struct{ b *Box }

func (w writer) Write(text []byte) (int, error) {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	return w.b.log.Write(text)
}

// Log is what the shelves have logged.
func (b *Box) Log() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.log.String()
}

// Remove takes the store away, as a configuration without one does. Restore brings it back.
func (b *Box) Remove() { b.set(func() { b.absent = true }) }

// Restore ends Remove, Fail and Hang.
func (b *Box) Restore() { b.set(func() { b.absent, b.err, b.hangs = false, nil, false }) }

// Fail makes every use of the store fail.
func (b *Box) Fail(err error) { b.set(func() { b.err = err }) }

// Hang makes every use of the store last until its context ends.
func (b *Box) Hang() { b.set(func() { b.hangs = true }) }

func (b *Box) set(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
}

// Lends implements lastgood.Lender.
func (b *Box) Lends() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.absent
}

// Borrow implements lastgood.Lender.
func (b *Box) Borrow(context.Context) (in store.Store, giveBack func(), err error) {
	if !b.Lends() {
		return nil, nil, errors.New("there is no store")
	}
	return b, func() {}, nil
}

// use returns the error that every use has now.
func (b *Box) use(ctx context.Context) error {
	b.mu.Lock()
	hangs, err := b.hangs, b.err
	b.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

// Get implements store.Store.
func (b *Box) Get(ctx context.Context, key string) ([]byte, error) {
	if err := b.use(ctx); err != nil {
		return nil, err
	}
	return b.Store.Get(ctx, key)
}

// Swap implements store.Store.
func (b *Box) Swap(ctx context.Context, key string, old, fresh []byte, expires time.Time) (bool, error) {
	if err := b.use(ctx); err != nil {
		return false, err
	}
	swapped, err := b.Store.Swap(ctx, key, old, fresh, expires)
	if swapped && !expires.IsZero() { // only now: whoever sees it may end the process
		b.set(func() { b.keys[key] = expires })
	}
	return swapped, err
}

// Kept are the keys under which something was kept, with the time when it expires.
func (b *Box) Kept() map[string]time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.keys)
}

// Edit changes everything that is kept.
func (b *Box) Edit(tb testing.TB, change func(value []byte) []byte) {
	tb.Helper()
	keys := slices.Sorted(maps.Keys(b.Kept()))
	if len(keys) == 0 {
		tb.Fatal("nothing is kept")
	}
	for _, key := range keys {
		value, err := b.Store.Get(context.Background(), key)
		if err == nil {
			err = b.Put(context.Background(), key, change(value), time.Time{})
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
}
