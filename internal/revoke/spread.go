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
	condition, whole, err := s.look(ctx, l.position(), l.o.Now())
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

// look asks for the condition of the log, and reports whether it is known to have all that was read until a position.
func (s *spread) look(ctx context.Context, reached store.Position, now time.Time) (
	condition store.Condition, whole bool, err error,
) {
	anchor, known := s.anchors.newest(now)
	if condition, err = s.store.Check(ctx, logName, anchor.at); err != nil {
		return condition, false, err
	}
	switch {
	case !known || !anchor.holds(condition.Anchor) || condition.Last.Compare(reached) < 0:
		return condition, false, nil
	case anchor.at != reached && now.Sub(s.checked) > longUnseen: // it may have gone back, and be as far as before again
		return condition, false, nil
	}
	return condition, true, nil
}

// longUnseen is after which time without a look the newest record that was read must be there, even if it has expired.
const longUnseen = 3 * checkEvery

// errTorn means that records which were read one after the other are not from one log.
var errTorn = errors.New("the store lost revocations while they were read; they are read again, and those that this " +
	"Caddy knows are written back")

// readProven reads the records after a position, if the log has the newest one that is known. If not, a copy has taken
// over meanwhile that lacks what came between. While the log has the newest record, it has all before it.
func (l *Ledger) readProven(ctx context.Context, after store.Position, known *anchors) ([]store.Record, error) {
	anchor, isKnown := known.newest(l.o.Now())
	records, anchored, err := l.spread.store.ReadAnchored(ctx, logName, after, anchor.at, batch)
	if err != nil || len(records) == 0 || isKnown && anchor.holds(anchored) {
		return records, err
	}
	l.spread.doubt.Store(true)
	return nil, errTorn
}
