package revoke

import (
	"context"
	"errors"
	"time"
)

// Sync is how a list stands with its store.
type Sync struct {
	// Shared reports whether other processes use the store, too. If not, the list is always in sync.
	Shared bool
	// At is when the list was last known to be complete; zero for never.
	At time.Time
	// Trouble is why it is not known now; nil if it is.
	Trouble error
}

// ErrNotShared means that no other process uses the store, so there is nothing to initialise.
var ErrNotShared = errors.New("only a store that several processes share has to be initialised")

// Sync is how the list stands with the store.
func (l *Ledger) Sync() Sync {
	now := l.o.Now()
	if l.spread == nil {
		return Sync{At: now}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	state := l.state
	state.Shared = true
	if _, err := l.list.Generation(now); state.Trouble == nil {
		state.Trouble = err
	}
	return state
}

// trust says that the list had all entries at a moment, unless something is still to be done.
func (l *Ledger) trust(ctx context.Context, began time.Time) error {
	if err := l.settle(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pending) == 0 { // otherwise soon
		l.list.Trust(began.Add(l.o.MaxUnsynced))
	}
	return nil
}

// Init gives a store.Shared an epoch, if it has none, and reports whether it did.
func (l *Ledger) Init(ctx context.Context) (made bool, err error) {
	if l.spread == nil {
		return false, ErrNotShared
	}
	return l.spread.store.Init(ctx, logName)
}
