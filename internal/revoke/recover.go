package revoke

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke/table"
	"github.com/caddyjwt/gateway/internal/store"
)

// recover reads the log from its beginning, because it is not known what it has lost, or because this is the first
// time. What the list has and the log does not stays in the list, and goes back into the log, so that the others get
// it.
func (l *Ledger) recover(ctx context.Context, epoch string) error {
	there := &again{list: &List{hasher: l.list.hasher}, lifts: make(lifts)}
	l.size.reset()
	if err := l.readAgain(ctx, there); err != nil {
		return err
	}
	l.adopt(there)
	if epoch == "" {
		return nil // nobody knows whether this is the right store
	}
	if done, err := l.writeBack(ctx, there); err != nil || !done {
		l.spread.doubt.Store(true)
		return err
	}
	l.spread.epoch = epoch
	return nil
}

// again is what a log says when it is read from its beginning. It is a list of its own, so that the list in force does
// not have what was taken back for a moment.
type again struct {
	list    *List
	lifts   lifts
	anchors anchors
	last    store.Position
}

// readAgain reads all that comes after what was read until now.
func (l *Ledger) readAgain(ctx context.Context, a *again) error {
	err := l.readRest(ctx, a)
	if err != nil {
		l.keep(a)
	}
	return err
}

func (l *Ledger) readRest(ctx context.Context, a *again) error {
	for {
		records, err := l.readProven(ctx, a.last, &a.anchors)
		if err != nil || len(records) == 0 {
			return err
		}
		for i := range records {
			c, err := decode(records[i].Data)
			if err != nil {
				return err
			}
			l.size.add(records[i].Expires)
			a.lifts.note(a.list, c.entry, records[i].Position)
			a.list.take(c, l.o.Now())
			a.anchors.drop(&records[i], l.o.Now())
			a.last = records[i].Position
		}
	}
}

// keep has the list in force refuse what was read until an error: the store may have lost it when it is read the next
// time. Not all was read, so what seems to be revoked may be known to be taken back later.
func (l *Ledger) keep(a *again) {
	l.mu.Lock()
	later := make(lifts)
	for h, of := range l.lifts {
		if of.at.Compare(a.last) > 0 {
			later[h] = of
		}
	}
	for h, of := range a.lifts {
		if _, _, again := a.list.table.Find(h); again && of.at.Compare(l.lifts[h].at) > 0 {
			l.lifts[h] = of // it is no news when it is read again: what it took back was revoked after it
		}
	}
	l.mu.Unlock()
	l.list.merge(a.list, later, l.o.Now())
}

// adopt makes what was read again that of the list in force, together with what only that has.
func (l *Ledger) adopt(there *again) {
	now := l.o.Now()
	l.mu.Lock()
	fresh := there.lifts.besides(l.lifts, now)
	l.lifts = maps.Clone(there.lifts) // reading may go on
	l.mu.Unlock()
	l.list.merge(there.list, nil, now)
	for h := range fresh {
		l.list.removeUnless(h, there.list)
	}
	l.spread.anchors = there.anchors
	l.spread.anchors.all = slices.Clone(there.anchors.all)
	l.arrive(there.last, nil)
}

// besides are the lifts that are not known yet. What is in the list was revoked again after a known one, and the log
// may have lost that. One that has expired may have been known: what it takes back has expired, too.
func (l lifts) besides(known lifts, now time.Time) lifts {
	fresh := make(lifts)
	for h, of := range l {
		if now.Before(of.expires) && of.at != known[h].at {
			fresh[h] = of
		}
	}
	return fresh
}

// merge takes over all entries of another list but those that were taken back.
func (l *List) merge(from *List, but lifts, now time.Time) {
	l.mu.Lock()
	l.concerned.merge(&from.concerned)
	l.mu.Unlock()
	l.wantAll(from.wanted())
	for _, i := range from.lacking(l, now) {
		if _, lifted := but[i.Hash]; !lifted {
			l.put(i)
		}
	}
}

// removeUnless removes an entry that another list does not have.
func (l *List) removeUnless(h table.Hash, in *List) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, _, there := in.table.Find(h); !there && l.table.Remove(h) {
		l.entries.Add(-1)
	}
}

// The lock of those who write back. It ends by itself if its owner does.
const (
	writingBack     = "revocations being written back"
	writingBackTime = 30 * time.Second
)

// writeBack appends what the list has and the log does not. One process does that at a time: the others find what it
// has written. It reports whether all is done.
func (l *Ledger) writeBack(ctx context.Context, there *again) (done bool, err error) {
	if err := l.restoreBounds(ctx); err != nil {
		return false, err
	}
	if len(l.list.lacking(there.list, l.o.Now())) == 0 {
		return true, nil
	}
	mine, err := l.lockWritingBack(ctx)
	if err != nil || !mine {
		return false, err
	}
	err = l.giveAllBack(ctx, there)
	_, unlock := l.store.Swap(ctx, writingBack, l.spread.name[:], nil, time.Time{})
	return true, errors.Join(err, unlock)
}

// lockWritingBack takes the lock, or keeps it: this process may have failed while it had it.
func (l *Ledger) lockWritingBack(ctx context.Context) (mine bool, err error) {
	name, until := l.spread.name[:], l.o.Now().Add(writingBackTime)
	if mine, err = l.store.Swap(ctx, writingBack, nil, name, until); err == nil && !mine {
		mine, err = l.store.Swap(ctx, writingBack, name, name, until)
	}
	return mine, err
}

func (l *Ledger) giveAllBack(ctx context.Context, there *again) error {
	if err := l.readAgain(ctx, there); err != nil { // another one may have written since
		return err
	}
	l.adopt(there) // what was taken back since must not come again
	missing := l.list.lacking(there.list, l.o.Now())
	for chunk := range slices.Chunk(missing, mostHeld) {
		if err := l.giveBack(ctx, chunk); err != nil {
			return fmt.Errorf("writing back %d revocations that the store has lost: %w", len(missing), err)
		}
	}
	return nil
}

// giveBack appends one record with entries, of which the last one expires last.
func (l *Ledger) giveBack(ctx context.Context, items []table.Item) error {
	record, err := (&held{wanted: l.list.wanted(), items: items}).encode()
	if err != nil {
		return err
	}
	_, err = l.store.Append(ctx, logName, record, time.Unix(items[len(items)-1].Expires, 0))
	return err
}
