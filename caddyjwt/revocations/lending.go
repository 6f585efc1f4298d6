package revocations

import (
	"context"
	"errors"
	"slices"

	"github.com/caddyjwt/gateway/internal/store"
)

// lending is what a Desk knows of stores that are not in force yet. It has the lock of the desk.
type lending struct {
	expected []*Revocations
	changed  chan struct{} // closed when one of them comes into force, or never will; nil while nobody waits
}

// begins takes a configuration out of those that are expected.
func (l *lending) begins(r *Revocations) {
	l.expected = slices.DeleteFunc(l.expected, func(other *Revocations) bool { return other == r })
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// expect notes a configuration with a store that is loading. Its context ends if it never comes into force.
func (d *Desk) expect(ctx context.Context, r *Revocations) {
	d.mu.Lock()
	d.lending.expected = append(d.lending.expected, r)
	d.mu.Unlock()
	context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.lending.begins(r)
	})
}

// Lends implements lastgood.Lender.
func (d *Desk) Lends() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.inForce)+len(d.lending.expected) > 0
}

// Borrow implements lastgood.Lender: it lends the store of the configuration that came into force last. While there is
// none, and one is loading, it waits for that.
func (d *Desk) Borrow(ctx context.Context) (in store.Store, giveBack func(), err error) {
	for {
		current, changed, err := d.lender()
		switch {
		case err != nil:
			return nil, nil, err
		case current != nil:
			held, err := current.hold()
			if err != nil {
				return nil, nil, err
			}
			return held.Value.store, held.LetGo, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// HasStore reports whether the configuration names a store. One that is only implied is for the issuer that needs it.
func (r *Revocations) HasStore() bool { return r.place != nil && !r.implied }

// KeepsStore reports whether what is in that store is still there after a restart.
func (r *Revocations) KeepsStore() bool { return r.HasStore() && r.place.kind != kindMemory }

// Lend lends the store of this configuration, and no other: what is in another store would not be found again. While it
// is not open yet, a configuration before may have it open. Otherwise Lend waits. Call giveBack after use.
func (r *Revocations) Lend(ctx context.Context) (in store.Store, giveBack func(), err error) {
	if r.leases.Load() == nil {
		if before := bookIn(r.pool, r.place); before != nil {
			return before.store, func() {}, nil
		}
		select {
		case <-r.opened:
		case <-ctx.Done():
			return nil, nil, errors.Join(errNotOpen, ctx.Err())
		}
	}
	held, err := r.hold()
	if err != nil {
		return nil, nil, err
	}
	return held.Value.store, held.LetGo, nil
}

// lender returns whose store can be lent now, or else what is closed when that may have changed.
func (d *Desk) lender() (current *Revocations, changed <-chan struct{}, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case len(d.inForce) > 0:
		return d.inForce[len(d.inForce)-1], nil, nil
	case len(d.lending.expected) == 0:
		return nil, nil, ErrNoStore
	case d.lending.changed == nil:
		d.lending.changed = make(chan struct{})
	}
	return nil, d.lending.changed, nil
}
