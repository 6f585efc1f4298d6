package revoke

import (
	"iter"
	"math"
	"math/bits"
	"sync/atomic"
)

// table finds the cut-offs of targets by a hash of 128 bits. Any number of readers look things up without a lock, while
// one writer changes it. It is an open hash table with linear probing, in parts, so that growing one part holds the
// writer up only briefly. An entry takes 32 bytes, in a table that is between 1/2 and 3/4 full, so 43 to 64 bytes.
type table struct {
	parts [64]part
}

type part struct {
	slots atomic.Pointer[slots] // nil without entries
	used  int                   // slots with an entry, or with one that was removed
	live  int
}

// slots are those of a part. The first half of each hash has a place of its own: nearly all look-ups need nothing else.
type slots struct {
	hi    []atomic.Uint64 // 0 for a free slot, 1 for a removed entry
	items []item
}

// item is the rest of an entry. The writer sets hi last, so whoever sees hi sees the rest. A slot is never used for
// another entry.
type item struct {
	lo      atomic.Uint64
	cutoff  atomic.Int64 // milliseconds since 1970
	expires atomic.Int64 // seconds since 1970
}

const (
	free    = 0
	removed = 1
	minimum = 8 // slots of a part

	// always is the cut-off of a single token.
	always = math.MaxInt64
)

func (t *table) part(hi uint64) *part { return &t.parts[hi>>58] }

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
func (s *slots) probe(h hash) (i int, there bool) {
	for i = s.first(h.hi); ; i = s.next(i) {
		switch s.hi[i].Load() {
		case free:
			return i, false
		case h.hi:
			if s.items[i].lo.Load() == h.lo {
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

// hasOne reports whether there may be an entry with one of these first halves of hashes.
func (t *table) hasOne(halves []uint64) bool {
	for _, hi := range halves {
		if slots := t.part(hi).slots.Load(); slots != nil && slots.has(hi) {
			return true
		}
	}
	return false
}

// find returns the cut-off of a hash, and when its entry expires.
func (t *table) find(h hash) (cutoff, expires int64, there bool) {
	slots := t.part(h.hi).slots.Load()
	if slots == nil {
		return 0, 0, false
	}
	i, there := slots.probe(h)
	if !there {
		return 0, 0, false
	}
	return slots.items[i].cutoff.Load(), slots.items[i].expires.Load(), true
}

// put adds an entry, or extends the one that is there: the later cut-off and the later expiry count. It reports whether
// the entry is new.
func (t *table) put(h hash, cutoff, expires int64) (added bool) {
	p := t.part(h.hi)
	p.makeRoom()
	slots := p.slots.Load()
	i, there := slots.probe(h)
	if there {
		item := &slots.items[i]
		item.cutoff.Store(max(item.cutoff.Load(), cutoff))
		item.expires.Store(max(item.expires.Load(), expires))
		return false
	}
	slots.set(i, h, cutoff, expires)
	p.used++
	p.live++
	return true
}

// set fills a free slot.
func (s *slots) set(i int, h hash, cutoff, expires int64) {
	s.items[i].lo.Store(h.lo)
	s.items[i].cutoff.Store(cutoff)
	s.items[i].expires.Store(expires)
	s.hi[i].Store(h.hi)
}

// remove removes an entry, and reports whether it was there.
func (t *table) remove(h hash) bool {
	p := t.part(h.hi)
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

// sweep removes the entries of one part that have expired, and calls gone for each.
func (p *part) sweep(now int64, gone func()) {
	slots := p.slots.Load()
	if slots == nil {
		return
	}
	for i := range slots.hi {
		if slots.hi[i].Load() > removed && slots.items[i].expires.Load() <= now {
			slots.hi[i].Store(removed)
			p.live--
			gone()
		}
	}
	if p.live < p.used/2 {
		p.rebuild()
	}
}

// all are the entries of one part, some of which may have expired.
func (p *part) all() iter.Seq[heldItem] {
	return func(yield func(heldItem) bool) {
		slots := p.slots.Load()
		if slots == nil {
			return
		}
		for i := range slots.hi {
			hi, rest := slots.hi[i].Load(), &slots.items[i]
			if hi > removed && !yield(heldItem{hash{hi, rest.lo.Load()}, rest.cutoff.Load(), rest.expires.Load()}) {
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
			if hi := old.hi[i].Load(); hi > removed {
				h := hash{hi, old.items[i].lo.Load()}
				to, _ := fresh.probe(h)
				fresh.set(to, h, old.items[i].cutoff.Load(), old.items[i].expires.Load())
			}
		}
	}
	p.used = p.live
	p.slots.Store(fresh)
}
