// Package table finds entries by hashes of 128 bits, while they change.
package table

import (
	"iter"
	"math/bits"
	"sync/atomic"
)

// Table has a cut-off and an end for each Hash. Any number of readers look things up without a lock, while one writer
// changes it. It is an open hash table with linear probing, in parts, so that growing one part holds the writer up only
// briefly. An entry takes 32 bytes, in a table that is between 1/2 and 3/4 full, so 43 to 64 bytes. The zero value is
// empty and ready to use.
type Table struct {
	parts [Parts]part
}

// Parts is how many parts a table has.
const Parts = 64

// Hash is the hash of what an entry is for. Both halves must be random to those who choose what has entries. Hi must be
// MinHi or more.
type Hash struct{ Hi, Lo uint64 }

// MinHi is the least first half of a hash.
const MinHi = removed + 1

// Item is an entry. The meaning of both numbers is the caller's. Of two for one hash, the higher ones count.
type Item struct {
	Hash
	Cutoff int64
	// Expires is in seconds since 1970: see Sweep.
	Expires int64
}

type part struct {
	slots atomic.Pointer[slots] // nil without entries
	used  int                   // slots with an entry, or with one that was removed
	live  int
}

// slots are those of a part. The first half of each Hash has a place of its own: nearly all look-ups need nothing else.
type slots struct {
	hi    []atomic.Uint64 // 0 for a free slot, 1 for a removed entry
	items []item
}

// item is the rest of an entry. The writer sets hi last, so whoever sees hi sees the rest. A slot is never used for
// another entry.
type item struct {
	lo      atomic.Uint64
	cutoff  atomic.Int64
	expires atomic.Int64
}

const (
	free    = 0
	removed = 1
	minimum = 8 // slots of a part
)

func (t *Table) part(hi uint64) *part { return &t.parts[hi>>58] }

// first is where the probe for a hash begins.
func (s *slots) first(hi uint64) int {
	i, _ := bits.Mul64(hi<<6, uint64(len(s.hi))) // without the bits that say in which part it is
	return int(i)
}

// next is the slot after another.
func (s *slots) next(i int) int {
	if i++; i == len(s.hi) {
		return 0
	}
	return i
}

// probe is the slot of a hash, or the free one where it would be. There is always a free one: see makeRoom.
func (s *slots) probe(h Hash) (i int, there bool) {
	for i = s.first(h.Hi); ; i = s.next(i) {
		switch s.hi[i].Load() {
		case free:
			return i, false
		case h.Hi:
			if s.items[i].lo.Load() == h.Lo {
				return i, true
			}
		}
	}
}

// has reports whether there is a hash with this first half.
func (s *slots) has(hi uint64) bool {
	for i := s.first(hi); ; i = s.next(i) {
		switch s.hi[i].Load() {
		case free:
			return false
		case hi:
			return true
		}
	}
}

// HasOne reports whether there may be an entry with one of these first halves of hashes. Where a probe ends is hard to
// guess for a processor, so it would wait for the memory of one half after the other. It is made to read all at once.
func (t *Table) HasOne(halves []uint64) bool {
	var touched uint64
	for _, hi := range halves {
		if slots := t.part(hi).slots.Load(); slots != nil {
			touched |= slots.hi[slots.first(hi)].Load()
		}
	}
	if touched == free { // each probe would end where it begins
		return false
	}
	for _, hi := range halves {
		if slots := t.part(hi).slots.Load(); slots != nil && slots.has(hi) {
			return true
		}
	}
	return false
}

// Find returns the cut-off of a hash, and when its entry expires.
func (t *Table) Find(h Hash) (cutoff, expires int64, there bool) {
	slots := t.part(h.Hi).slots.Load()
	if slots == nil {
		return 0, 0, false
	}
	i, there := slots.probe(h)
	if !there {
		return 0, 0, false
	}
	return slots.items[i].cutoff.Load(), slots.items[i].expires.Load(), true
}

// Put adds an entry, or extends the one that is there: the later cut-off and the later expiry count. It reports whether
// the entry is new.
func (t *Table) Put(e Item) (added bool) {
	p := t.part(e.Hi)
	p.makeRoom()
	slots := p.slots.Load()
	i, there := slots.probe(e.Hash)
	if there {
		item := &slots.items[i]
		item.cutoff.Store(max(item.cutoff.Load(), e.Cutoff))
		item.expires.Store(max(item.expires.Load(), e.Expires))
		return false
	}
	slots.set(i, e)
	p.used++
	p.live++
	return true
}

// set fills a free slot.
func (s *slots) set(i int, e Item) {
	s.items[i].lo.Store(e.Lo)
	s.items[i].cutoff.Store(e.Cutoff)
	s.items[i].expires.Store(e.Expires)
	s.hi[i].Store(e.Hi)
}

// item is what is in a slot. Without an entry, Hi is free or removed.
func (s *slots) item(i int) Item {
	hi, rest := s.hi[i].Load(), &s.items[i]
	return Item{Hash{hi, rest.lo.Load()}, rest.cutoff.Load(), rest.expires.Load()}
}

// Remove removes an entry, and reports whether it was there.
func (t *Table) Remove(h Hash) bool {
	p := t.part(h.Hi)
	slots := p.slots.Load()
	if slots == nil {
		return false
	}
	i, there := slots.probe(h)
	if there {
		slots.hi[i].Store(removed)
		p.live--
	}
	return there
}

// Sweep removes the entries of one part that expire now or before, in seconds since 1970. It returns how many.
func (t *Table) Sweep(part int, now int64) (gone int) {
	p := &t.parts[part]
	slots := p.slots.Load()
	if slots == nil {
		return 0
	}
	for i := range slots.hi {
		if slots.hi[i].Load() > removed && slots.items[i].expires.Load() <= now {
			slots.hi[i].Store(removed)
			gone++
		}
	}
	if p.live -= gone; p.live < p.used/2 {
		p.rebuild()
	}
	return gone
}

// All are the entries of one part, some of which may have expired.
func (t *Table) All(part int) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		slots := t.parts[part].slots.Load()
		if slots == nil {
			return
		}
		for i := range slots.hi {
			if e := slots.item(i); e.Hi > removed && !yield(e) {
				return
			}
		}
	}
}

// makeRoom makes sure that one more entry fits, and leaves a slot free: a probe must end somewhere.
func (p *part) makeRoom() {
	if slots := p.slots.Load(); slots == nil || (p.used+1)*4 > len(slots.hi)*3 {
		p.rebuild()
	}
}

// rebuild copies the entries into new slots, of which they fill half. Readers see the old ones or the new ones.
func (p *part) rebuild() {
	size := max(minimum, 2*p.live)
	fresh := &slots{hi: make([]atomic.Uint64, size), items: make([]item, size)}
	if old := p.slots.Load(); old != nil {
		for i := range old.hi {
			if e := old.item(i); e.Hi > removed {
				to, _ := fresh.probe(e.Hash)
				fresh.set(to, e)
			}
		}
	}
	p.used = p.live
	p.slots.Store(fresh)
}
