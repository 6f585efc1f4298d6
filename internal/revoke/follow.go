package revoke

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke/table"
	"github.com/caddyjwt/gateway/internal/store"
)

// follow takes over new records until the context ends.
func (l *Ledger) follow(ctx context.Context) {
	failing := false
	for ctx.Err() == nil {
		err := l.next(ctx, failing)
		if ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
			return
		}
		failing = err != nil
		l.troubles.report(following, err)
		if failing {
			l.rest(ctx)
		}
	}
}

// next takes over the next records. After an error it does not wait for one: what could not be read may be gone.
func (l *Ledger) next(ctx context.Context, failed bool) error {
	switch {
	case l.spread != nil:
		return l.nextShared(ctx, failed)
	case failed:
		return l.readAll(ctx)
	}
	if err := l.store.Wait(ctx, logName, l.position()); err != nil {
		return err
	}
	_, err := l.catchUp(ctx)
	return err
}

// readAll takes over all records that there are. Then the list is complete.
func (l *Ledger) readAll(ctx context.Context) error {
	err := l.readOn(ctx)
	if err == nil {
		l.list.Trust(time.Time{})
	}
	return err
}

// readOn takes over all records that there are.
func (l *Ledger) readOn(ctx context.Context) error {
	for {
		if read, err := l.catchUp(ctx); err != nil || read == 0 {
			return err
		}
	}
}

func (l *Ledger) position() store.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reached
}

// rest waits after an error, so that a store that fails at once does not keep a processor busy.
func (l *Ledger) rest(ctx context.Context) {
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
}

// catchUp reads the next records into the list. It returns how many there were.
func (l *Ledger) catchUp(ctx context.Context) (int, error) {
	records, err := l.readNext(ctx)
	if err != nil {
		return 0, err
	}
	if len(records) == 0 {
		l.unstick()
		return 0, nil
	}
	read := 0
	for ; read < len(records); read++ {
		var c change
		if c, err = decode(records[read].Data); err != nil {
			l.list.distrust()
			break
		}
		l.size.add(records[read].Expires)
		if l.spread != nil {
			l.spread.anchors.drop(&records[read], l.o.Now())
		}
		l.mu.Lock()
		l.lifts.note(l.list, c.entry, records[read].Position)
		l.mu.Unlock()
		l.list.take(c, l.o.Now())
	}
	reached := l.position()
	if read > 0 {
		reached = records[read-1].Position
	}
	l.arrive(reached, err)
	return read, err
}

func (l *Ledger) readNext(ctx context.Context) ([]store.Record, error) {
	if l.spread != nil {
		return l.readProven(ctx, l.position(), &l.spread.anchors)
	}
	return l.store.Read(ctx, logName, l.position(), batch)
}

// unstick notes that there is no record any more which cannot be taken over.
func (l *Ledger) unstick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stuck = nil
}

// arrive says until where all records are in the list, and why the next one is not.
func (l *Ledger) arrive(reached store.Position, stuck error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reached, l.stuck = reached, stuck
	close(l.moved)
	l.moved = make(chan struct{})
}

// note remembers an entry that takes back.
func (l lifts) note(in *List, e *Entry, at store.Position) {
	if e != nil && e.Lifted {
		l[in.hasher.target(&e.Target)] = lift{at, e.Expires}
	}
}

// take takes over what a record says. One that takes back counts even if it has expired: what it takes back may not
// have.
func (l *List) take(c change, now time.Time) {
	if e := c.entry; e != nil && (e.Lifted || now.Before(e.Expires)) {
		l.apply(e)
	}
	l.hold(c.held, now)
}

// sweep removes what has expired, from time to time.
func (l *Ledger) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		now := l.o.Now()
		now = earliest(now, l.opened.Add(now.Sub(l.opened)))
		l.list.sweep(now)
		l.forgetLifts(now)
		if err := l.store.Sweep(ctx, now); ctx.Err() == nil {
			l.troubles.report(sweeping, err)
		}
	}
}

// earliest is the time by which entries are forgotten: that of the wall clock or, if the clock was set forward since
// the ledger was opened, what it would show otherwise, by the monotonic clock. A clock that is set back again must not
// find that everything was forgotten in between. While a machine sleeps, entries are kept for longer.
func earliest(wall, steady time.Time) time.Time {
	wall, steady = wall.Round(0), steady.Round(0)
	if steady.Before(wall) {
		return steady
	}
	return wall
}

func (l *Ledger) forgetLifts(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.lifts, func(_ table.Hash, of lift) bool { return !now.Before(of.expires) })
}
