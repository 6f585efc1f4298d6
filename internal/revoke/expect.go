package revoke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// Expect has the list refuse what it will when a configuration comes into force. Call it when gates of the
// configuration may get requests. Nothing is taken back: the configuration before may go on instead.
func (l *Ledger) Expect(ctx context.Context, owners *Owners) error {
	err := l.expect(ctx, owners)
	if l.postpones(err) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.pending = append(l.pending, func(ctx context.Context) error { return l.expect(ctx, owners) })
		l.list.lapse() // until then, tokens that live longer than they may could pass
		return nil
	}
	return err
}

func (l *Ledger) expect(ctx context.Context, owners *Owners) error {
	found, err := l.each(ctx, owners, l.expected())
	if err != nil {
		return err
	}
	l.list.changeBounds(func(name string, before bounds) bounds { return before.and(found[name]) }, found)
	return nil
}

// Bound notes how long tokens may live from now on. Call it when a configuration is in force, and entries are made for
// its owners. Owners that it does not have keep their bounds in the list: requests to gates of the configuration before
// may be under way.
func (l *Ledger) Bound(ctx context.Context, owners *Owners) error {
	err := l.bind(ctx, owners)
	if l.postpones(err) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.pending = append(l.pending, func(ctx context.Context) error { return l.bind(ctx, owners) })
		return nil
	}
	return err
}

func (l *Ledger) bind(ctx context.Context, owners *Owners) error {
	found, err := l.each(ctx, owners, l.bound)
	if err != nil {
		return err
	}
	l.list.changeBounds(func(name string, before bounds) bounds {
		if after, is := found[name]; is {
			return after
		}
		return before
	}, found)
	return nil
}

// each calls get for each owner, with the longest life that tokens have at some gate.
func (l *Ledger) each(
	ctx context.Context, owners *Owners, get func(context.Context, string, *Owner) (bounds, error),
) (map[string]bounds, error) {
	longest := make(map[string]*Owner)
	for _, owner := range owners.all() {
		if known := longest[owner.name()]; known == nil || owner.MaxLifetime > known.MaxLifetime {
			longest[owner.name()] = owner
		}
	}
	found := make(map[string]bounds)
	for name, owner := range longest {
		var err error
		if found[name], err = get(ctx, name, owner); err != nil {
			return nil, fmt.Errorf("max_lifetime of %s in the store: %w", name, err)
		}
	}
	return found, nil
}

// expected gives what bound would write. While a store.Shared cannot be read, what it had last is good enough: bounds
// change with the configuration, and hardly ever. After the first failure it is not asked again, because each question
// may take long.
func (l *Ledger) expected() func(context.Context, string, *Owner) (bounds, error) {
	var failed error
	return func(ctx context.Context, name string, owner *Owner) (before bounds, err error) {
		if err = failed; err == nil {
			_, before, err = l.stored(ctx, name)
		}
		if l.postpones(err) {
			failed = err
			if known, is := l.lastKnown(name); is {
				before, err = known, nil
			}
		}
		return before.with(owner.MaxLifetime, owner.Leeway, l.o.Now()), err
	}
}

func (l *Ledger) lastKnown(name string) (b bounds, is bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, is = l.known[name]
	return b, is
}

// bound notes in the store how long tokens of one owner may live.
func (l *Ledger) bound(ctx context.Context, name string, owner *Owner) (bounds, error) {
	after, err := l.update(ctx, name, func(before bounds) bounds {
		return before.with(owner.MaxLifetime, owner.Leeway, l.o.Now())
	})
	if err == nil {
		l.know(name, after)
	}
	return after, err
}

// update changes the bounds of one owner in the store. Another node may do the same, so change may be called again.
func (l *Ledger) update(ctx context.Context, name string, change func(before bounds) bounds) (bounds, error) {
	for {
		old, before, err := l.stored(ctx, name)
		if err != nil {
			return bounds{}, err
		}
		after := change(before)
		if after.equal(before) && (old != nil || after.equal(bounds{})) {
			return after, nil
		}
		text, err := json.Marshal(after)
		if err != nil {
			return bounds{}, err
		}
		if swapped, err := l.store.Swap(ctx, boundsKey+name, old, text, time.Time{}); err != nil || swapped {
			return after, err
		}
	}
}

// boundsKey begins the keys of bounds in the store.
const boundsKey = "max_lifetime/"

// stored are the bounds of one owner in the store, and their text; nil if there are none. Then a store.Shared may have
// lost them, and those that this process knows count.
func (l *Ledger) stored(ctx context.Context, name string) (text []byte, b bounds, err error) {
	text, err = l.store.Get(ctx, boundsKey+name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		b, _ = l.lastKnown(name)
		return nil, b, nil
	case err != nil:
		return nil, b, err
	}
	if err = json.Unmarshal(text, &b); err != nil {
		return nil, b, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	l.know(name, b)
	return text, b, nil
}

// know remembers the bounds that the store has.
func (l *Ledger) know(name string, b bounds) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[name] = b
}

// restoreBounds writes back what a store.Shared has lost of bounds. Those of several processes come together.
func (l *Ledger) restoreBounds(ctx context.Context) error {
	l.mu.Lock()
	known := maps.Clone(l.known)
	l.mu.Unlock()
	for name, ours := range known {
		_, err := l.update(ctx, name, func(theirs bounds) bounds {
			both := ours.and(theirs)
			l.know(name, both) // also if it cannot be written now
			return both
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// postpones reports whether an error is one of a store.Shared which is out of reach, so that what has failed can be
// done later.
func (l *Ledger) postpones(err error) bool {
	return err != nil && l.spread != nil && !errors.Is(err, ErrRecord) && !errors.Is(err, store.ErrClosed)
}

// settle does what was postponed, in the same order. The list is not trusted again before.
func (l *Ledger) settle(ctx context.Context) error {
	for {
		l.mu.Lock()
		var do func(context.Context) error
		if len(l.pending) > 0 {
			do = l.pending[0]
		}
		l.mu.Unlock()
		if do == nil {
			return nil
		}
		if err := do(ctx); err != nil {
			return err
		}
		l.mu.Lock()
		l.pending = l.pending[1:]
		l.mu.Unlock()
	}
}
