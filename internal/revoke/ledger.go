package revoke

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke/table"
	"github.com/caddyjwt/gateway/internal/store"
)

// logName is the log of a store that has the entries.
const logName = "revocations"

const (
	batch      = 1000        // records read at once
	sweepEvery = time.Minute // how often expired entries are removed
	pause      = time.Second // after an error of the store
)

// Options of a Ledger. The zero value has the defaults.
type Options struct {
	// Limit is how many entries there may be. Default: MaxEntries.
	Limit int
	// Trouble is called when the store fails while nobody waits for it, and with nil when it works again. Default:
	// nobody is told.
	Trouble func(error)
	// MaxUnsynced is how long the list counts as complete after the last contact with a store.Shared. Default:
	// DefaultUnsynced.
	MaxUnsynced time.Duration
	// Now is the clock. Default: time.Now.
	Now func() time.Time
}

// Ledger keeps a List the same as the log of a store. Whatever is written goes to the store first, and comes into the
// list from there, in the order of the log. So all nodes that share a store get to the same list.
type Ledger struct {
	list  *List
	store store.Store
	o     Options
	size  logSize

	spread *spread // nil for a store of its own
	opened time.Time

	mu      sync.Mutex
	reached store.Position // all records until here are in the list
	stuck   error          // why the record after reached cannot be taken over; usually nil
	moved   chan struct{}  // closed when one of them changes
	lifts   lifts
	state   Sync
	pending []func(context.Context) error // what was postponed
	known   map[string]bounds             // those of the store by the name of their owner, as they were last read

	troubles troubles
	cancel   context.CancelFunc
	closed   <-chan struct{}
	workers  sync.WaitGroup
}

// lifts are the last records that have taken a target back. Older ones about it are not in force.
type lifts map[table.Hash]lift

type lift struct {
	at      store.Position
	expires time.Time
}

// Open reads all entries of a store into a new list, and follows the store until Close. The caller closes the store
// after that. An error means that the entries are not known; then there is no ledger. With a store.Shared there always
// is one: it need not be in reach, and the list counts as unsynced until it was read.
func Open(ctx context.Context, s store.Store, o Options) (*Ledger, error) {
	if o.Limit == 0 {
		o.Limit = MaxEntries
	}
	if o.Trouble == nil {
		o.Trouble = func(error) {}
	}
	if o.MaxUnsynced == 0 {
		o.MaxUnsynced = DefaultUnsynced
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Ledger{list: NewList(), store: s, o: o, moved: make(chan struct{}), lifts: make(lifts),
		known: make(map[string]bounds)}
	l.troubles.tell, l.opened = o.Trouble, o.Now()
	if shared, is := s.(store.Shared); is {
		l.spread = &spread{store: shared}
		_, _ = rand.Read(l.spread.name[:]) // never fails
		l.list = newList(shared.Secret("revoked tokens"))
		l.list.Trust(l.opened) // which is over
		l.troubles.report(following, l.sync(ctx))
	} else if err := l.readAll(ctx); err != nil {
		return nil, fmt.Errorf("reading which tokens are revoked: %w", err)
	}
	ctx, l.cancel = context.WithCancel(context.Background())
	l.closed = ctx.Done()
	l.workers.Go(func() { l.follow(ctx) })
	l.workers.Go(func() { l.sweep(ctx) })
	return l, nil
}

// Close stops following the store. The list stays as it is.
func (l *Ledger) Close() {
	l.cancel()
	l.workers.Wait()
}

// List is the list. It is always the same one.
func (l *Ledger) List() *List { return l.list }

// ErrWrite means that the store did not take an entry, or that it is not known whether it did.
var ErrWrite = errors.New("the store did not take the revocation")

// Write adds an entry. It returns when the entry is durable and in the list. ErrFull means that there is no room.
func (l *Ledger) Write(ctx context.Context, e *Entry) error {
	if err := e.Check(); err != nil {
		return err
	}
	if l.isKnown(e) {
		return nil // once more would change nothing, and let the log grow
	}
	if err := l.checkRoom(e); err != nil {
		return err
	}
	record := *e
	if e.Lifted {
		record.Expires = l.list.lastUntil(e)
	}
	data, err := record.encode()
	if err != nil {
		return err
	}
	before := l.position()
	at, err := l.store.Append(ctx, logName, data, record.Expires)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	if at.Compare(before) <= 0 {
		return l.awaitEntry(ctx, e)
	}
	if err := l.await(ctx, func(reached store.Position) bool { return reached.Compare(at) >= 0 }); err != nil {
		return err
	}
	return l.confirm(ctx, e, at, data)
}

// confirm makes sure that a record was read, and not only a later one: a store.Shared may have lost it before that, and
// gone on with what others write. An entry that is not in the list was lost, or taken back by another process since.
func (l *Ledger) confirm(ctx context.Context, e *Entry, at store.Position, data []byte) error {
	if l.spread == nil || l.list.covers(e) {
		return nil
	}
	condition, err := l.spread.store.Check(ctx, logName, at)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	if !bytes.Equal(condition.Anchor, data) {
		return fmt.Errorf("%w: it took it, and has lost it", ErrWrite)
	}
	return nil
}

// isKnown reports whether list and store have an entry. A store.Shared that is out of sync may have lost it.
func (l *Ledger) isKnown(e *Entry) bool {
	_, err := l.list.Generation(l.o.Now())
	return l.list.covers(e) && (err == nil || l.spread == nil || e.Lifted)
}

// awaitEntry waits until the list has an entry, whose record is not after those that were read before it: the store has
// lost those, and goes on with an earlier position. All of it has to be read again.
func (l *Ledger) awaitEntry(ctx context.Context, e *Entry) error {
	if l.spread == nil {
		return fmt.Errorf("%w: its log has gone back", ErrWrite)
	}
	l.spread.doubt.Store(true)
	return l.await(ctx, func(store.Position) bool { return l.list.covers(e) })
}

// checkRoom returns ErrFull if there is no room for an entry. In a full list there still is for one that makes an entry
// longer or takes it back.
func (l *Ledger) checkRoom(e *Entry) error {
	if n := l.list.Len(); n >= l.o.Limit && !e.Lifted && !l.list.Has(e.Target) {
		return fmt.Errorf("%w: it has %d entries", ErrFull, n)
	}
	if n := l.size.total(l.o.Now()); n >= recordsPerEntry*l.o.Limit {
		return fmt.Errorf("%w: its log has %d records", ErrFull, n)
	}
	return nil
}

// await waits until what was written is in the list, which done finds out. Its argument is the position until which
// everything is.
func (l *Ledger) await(ctx context.Context, done func(reached store.Position) bool) error {
	for {
		l.mu.Lock()
		reached, stuck, moved := l.reached, l.stuck, l.moved
		l.mu.Unlock()
		switch {
		case done(reached):
			return nil
		case stuck != nil:
			return notInForce(stuck)
		}
		select {
		case <-moved:
		case <-l.closed:
			return notInForce(store.ErrClosed)
		case <-ctx.Done():
			return notInForce(context.Cause(ctx))
		}
	}
}

func notInForce(why error) error {
	return fmt.Errorf("%w in time: it is there, but not in force here yet: %w", ErrWrite, why)
}
