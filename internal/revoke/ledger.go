package revoke

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"sync"
	"time"

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

	opened time.Time

	mu      sync.Mutex
	reached store.Position // all records until here are in the list
	stuck   error          // why the record after reached cannot be taken over; usually nil
	moved   chan struct{}  // closed when one of them changes
	lifts   map[hash]lift

	troubles troubles
	cancel   context.CancelFunc
	closed   <-chan struct{}
	workers  sync.WaitGroup
}

// lift is the last record that has taken a target back. Older ones about it are not in force.
type lift struct {
	at      store.Position
	expires time.Time
}

// Open reads all entries of a store into a new list, and follows the store until Close. The caller closes the store
// after that. An error means that the entries are not known; then there is no ledger.
func Open(ctx context.Context, s store.Store, o Options) (*Ledger, error) {
	if o.Limit == 0 {
		o.Limit = MaxEntries
	}
	if o.Trouble == nil {
		o.Trouble = func(error) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Ledger{list: NewList(), store: s, o: o, moved: make(chan struct{}), lifts: make(map[hash]lift)}
	l.troubles.tell, l.opened = o.Trouble, o.Now()
	if err := l.readAll(ctx); err != nil {
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
	if l.list.covers(e) {
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
	at, err := l.store.Append(ctx, logName, data, record.Expires)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWrite, err)
	}
	return l.await(ctx, at)
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

// await waits until everything up to a position is in the list.
func (l *Ledger) await(ctx context.Context, at store.Position) error {
	for {
		l.mu.Lock()
		reached, stuck, moved := l.reached, l.stuck, l.moved
		l.mu.Unlock()
		switch {
		case reached.Compare(at) >= 0:
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
	if failed {
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
	for {
		read, err := l.catchUp(ctx)
		if err != nil {
			return err
		}
		if read == 0 {
			l.list.Trust(time.Time{})
			return nil
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
	records, err := l.store.Read(ctx, logName, l.position(), batch)
	if err != nil || len(records) == 0 {
		return 0, err
	}
	read := 0
	for ; read < len(records); read++ {
		var entry *Entry
		if entry, err = decode(records[read].Data); err != nil {
			l.list.Trust(time.Unix(0, 0)) // it may revoke any token
			break
		}
		l.take(entry, records[read].Position)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stuck = err; read > 0 {
		l.reached = records[read-1].Position
	}
	close(l.moved)
	l.moved = make(chan struct{})
	return read, err
}

// take takes over one record. One that takes back counts even if it has expired: what it takes back may not have.
func (l *Ledger) take(e *Entry, at store.Position) {
	l.size.add(e.Expires)
	if e.Lifted {
		l.mu.Lock()
		l.lifts[l.list.hasher.target(e.Target)] = lift{at, e.Expires}
		l.mu.Unlock()
	}
	if e.Lifted || l.o.Now().Before(e.Expires) {
		l.list.apply(e)
	}
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
	maps.DeleteFunc(l.lifts, func(_ hash, of lift) bool { return !now.Before(of.expires) })
}

// Entries are those in force, in the order in which they were written. An error ends them.
func (l *Ledger) Entries(ctx context.Context) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		var after store.Position
		for {
			records, err := l.store.Read(ctx, logName, after, batch)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(records) == 0 {
				return
			}
			for i := range records {
				entry, err := decode(records[i].Data)
				if err != nil {
					yield(nil, err)
					return
				}
				if l.inForce(entry, records[i].Position) && !yield(entry, nil) {
					return
				}
			}
			after = records[len(records)-1].Position
		}
	}
}

// inForce reports whether the list has exactly this entry: it was not lifted, and no later one has replaced it.
func (l *Ledger) inForce(e *Entry, at store.Position) bool {
	if e.Lifted || !l.o.Now().Before(e.Expires) || !l.list.has(e) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return at.Compare(l.lifts[l.list.hasher.target(e.Target)].at) > 0
}
