package revoke

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// DefaultUnsynced is how long a list counts as complete without contact, unless Options say otherwise.
const DefaultUnsynced = 10 * time.Second

const (
	checkEvery = time.Second // at most, the time between two looks at a store.Shared
	checkPause = checkEvery / 4
)

// spread is what a ledger knows of a store that other processes write to, too. All but doubt is used by one goroutine
// at a time: the one that opens the ledger, and then the one that follows.
type spread struct {
	store   store.Shared
	name    [16]byte // of this process, at random
	epoch   string   // of the store when the list had all of it
	anchors anchors
	proven  anchor      // the newest one that a look has found
	checked time.Time   // the last look at the condition of the log
	doubt   atomic.Bool // somebody has seen that the store has lost records
}

// ErrNoEpoch means that a store was never initialised. One that was emptied looks the same.
var ErrNoEpoch = errors.New("the store is not initialised: it is new, or was emptied, or this Caddy has another " +
	"prefix than the others. If it is the right one, run \"caddy bearer-auth store init\" while all Caddys run that " +
	"use it")

// nextShared looks at the store, takes over what is new, and waits for more. It returns at least once a second.
func (l *Ledger) nextShared(ctx context.Context, failed bool) error {
	var err error
	if failed || l.o.Now().Sub(l.spread.checked) >= checkPause {
		err = l.sync(ctx)
	} else {
		err = l.readOn(ctx)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkEvery)
	defer cancel()
	if err := l.store.Wait(ctx, logName, l.position()); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// sync takes over what is new in a store that other processes write to, and trusts the list for a while. It notes what
// becomes of that.
func (l *Ledger) sync(ctx context.Context) error {
	began := l.o.Now()
	err := l.synchronise(ctx)
	if err == nil {
		err = l.trust(ctx, began)
	}
	if errors.Is(err, store.ErrCorrupt) || errors.Is(err, ErrRecord) {
		l.list.distrust() // what cannot be read may have been any revocation
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Trouble = err; err == nil {
		l.state.At = began
	}
	return err
}

func (l *Ledger) synchronise(ctx context.Context) error {
	s := l.spread
	condition, whole, err := s.look(ctx, l.o.Now())
	if err != nil {
		return err
	}
	lost := s.doubt.Swap(false) || !whole || condition.Epoch != s.epoch
	if lost {
		err = l.recover(ctx, condition.Epoch)
	} else {
		err = l.readOn(ctx)
	}
	switch {
	case err != nil:
		s.doubt.Store(s.doubt.Load() || lost)
		return err
	case condition.Epoch == "":
		return ErrNoEpoch
	}
	s.checked = l.o.Now()
	return nil
}

// look asks for the condition of the log, and reports whether it is known to have all that was read. What was read
// since the last look may have come from a copy that has taken over meanwhile. So the anchor of the last look has to be
// there, too.
func (s *spread) look(ctx context.Context, now time.Time) (condition store.Condition, whole bool, err error) {
	anchor, known := s.anchors.newest(now)
	if condition, err = s.store.Check(ctx, logName, anchor.at); err != nil {
		return condition, false, err
	}
	whole = known && anchor.holds(&condition)
	if before := s.proven; whole && before.at != anchor.at && now.Before(before.expires) {
		earlier, err := s.store.Check(ctx, logName, before.at)
		if err != nil {
			return condition, false, err
		}
		whole = before.holds(&earlier)
	}
	if whole {
		s.proven = anchor
	}
	return condition, whole, nil
}
