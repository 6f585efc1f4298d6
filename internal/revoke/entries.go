package revoke

import (
	"context"
	"iter"

	"github.com/caddyjwt/gateway/internal/store"
)

// Entries are those in force, in the order in which they were written. An error ends them. Entries that a store.Shared
// has lost are not among them: only their hashes are known.
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
				c, err := decode(records[i].Data)
				if err != nil {
					yield(nil, err)
					return
				}
				if c.entry != nil && l.inForce(c.entry, records[i].Position) && !yield(c.entry, nil) {
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
	return at.Compare(l.lifts[l.list.hasher.target(&e.Target)].at) > 0
}
