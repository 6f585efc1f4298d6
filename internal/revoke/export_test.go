package revoke

import (
	"iter"
	"time"
)

// Apply makes the list what it is after an entry of the log.
func (l *List) Apply(e *Entry) { l.apply(e) }

// Sweep removes the entries that have expired.
func (l *List) Sweep(now time.Time) { l.sweep(now) }

// Watched is for how many targets there are watchers, and how many watchers the list still refers to.
func (l *List) Watched() (targets, watchers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.watchers {
		watchers += len(q.watchers)
	}
	return len(l.watchers), watchers
}

// Targets are all that would revoke the token.
func Targets(t Token) iter.Seq[Target] {
	return func(yield func(Target) bool) { t.targets(every, yield) }
}

// Encode makes the record of an entry.
func (e *Entry) Encode() ([]byte, error) { return e.encode() }

// Decode reads a record.
func Decode(record []byte) (*Entry, error) {
	c, err := decode(record)
	return c.entry, err
}

// Records is how many records of the log count against its bound.
func (l *Ledger) Records(now time.Time) int { return l.size.total(now) }

// Lifts is how many targets are known to have been taken back.
func (l *Ledger) Lifts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lifts)
}

// Earliest is the time by which a ledger forgets.
func Earliest(wall, steady time.Time) time.Time { return earliest(wall, steady) }

// Raises is how many moments the list tells apart.
func (l *List) Raises() (n int) {
	for _, b := range *l.bounds.Load() {
		n += len(b.Raised)
	}
	return n
}
