package replay

import (
	"context"
	"hash/maphash"
	"sync/atomic"
	"time"
	"unsafe"
)

// Memory remembers in this process which proofs were used. It is safe for concurrent use, has no goroutines, and need
// not be closed. A new process remembers nothing.
//
// It never forgets a proof too early, whatever the load. When there is no room, it refuses: see ErrFull. It has room
// for 4,194,304 proofs, which take about 45 MB, and 90 MB if each of them is of a key of its own. Who may have how much
// depends on how much is free:
//
//   - A key may have a sixteenth of what is free of the first three quarters. One key alone gets 185,042 proofs. With
//     1,000 keys that take what they can get, each gets about 3,100, and so does the next one.
//   - The last quarter is for the first 32 proofs of each key. About 98,000 keys that take what they can get leave no
//     more than these to others.
//   - All is full after 4,194,304 proofs, none of which was more than the 32nd of its key. For that, somebody needs
//     131,072 keys with good tokens within the life of a proof. Every key is then refused until some of these proofs
//     have ended.
//
// What is remembered of a proof is a hash of 64 bits, under a key of this process. So a proof is never taken for new
// if it was used. That it is taken for a used one by chance has a probability of 2^-44 with a million proofs in memory,
// and of 2^-42 when it is full.
type Memory struct {
	room    int64 // proofs
	reserve int64 // the part of it that is only for the first proofs of a key
	seed    maphash.Seed
	used    atomic.Int64 // proofs
	bytes   atomic.Int64
	swept   atomic.Int64 // when all shards were swept last, in the shortest steps since 1970

	proofs [shards]shard // hashes of proofs
	keys   [shards]shard // by the upper bits of the hash of a key: how many proofs it has
}

const (
	shards = 256 // small ones: growing a table must not hold up others for long

	room    = 1 << 22
	reserve = room / 4
	// portion is the part of what is free that one key may have.
	portion = 16
	// few is how many proofs of a key the reserve is for.
	few = 32

	// countBits are those of a word in keys that count proofs. No key may have as many proofs as they could count.
	countBits = 20
	countMask = 1<<countBits - 1
)

// NewMemory makes an empty Memory.
func NewMemory() *Memory { return newMemory(room, reserve) }

func newMemory(room, reserve int64) *Memory {
	return &Memory{room: room, reserve: reserve, seed: maphash.MakeSeed()}
}

// Use records that a proof was used. The key is the thumbprint of the proof's key, and the id its "jti". now is the
// time at which the proof was judged. until is when nobody accepts it any more: if several gates share a Memory, the
// end that the most patient of them gives it. It may be up to 24 hours away. When the same proof comes with a later
// end, it is refused, and remembered until then if there is room.
//
// The error is nil for exactly one caller until then, ErrUsed for the others, or ErrFull.
func (m *Memory) Use(_ context.Context, key [32]byte, id string, now, until time.Time) error {
	proof, owner := m.hash(&key, id), maphash.Bytes(m.seed, key[:])
	seconds, over := now.Unix(), until.Unix()
	if over > seconds+longest {
		return ErrFull
	}
	if until.Nanosecond() > 0 {
		over++
	}
	m.sweep(seconds)
	s := &m.proofs[proof%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	// The clock of somebody else may have been ahead, or this one has been set back.
	if over <= s.forgotten {
		return ErrUsed
	}
	end := endOf(seconds, max(over, seconds+1))
	known, used := s.find(proof)
	if used && known >= end {
		return ErrUsed
	}
	admitted := m.admit(owner, end)
	if admitted {
		b, grown := s.bucket(end, 0)
		m.bytes.Add(grown + b.add(proof))
	}
	switch {
	case used:
		return ErrUsed
	case !admitted:
		return ErrFull
	}
	return nil
}

// hash is the hash of a proof. It is not 0.
func (m *Memory) hash(key *[32]byte, id string) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	_, _ = h.Write(key[:]) // never fails
	_, _ = h.WriteString(id)
	return max(h.Sum64(), 1)
}

// admit reports whether there is room for another proof of a key, and takes it.
func (m *Memory) admit(key uint64, end int64) bool {
	s := &m.keys[key%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	var has int64
	for i := range s.buckets {
		b := &s.buckets[i]
		if slot, there := b.find(key); there {
			has += int64(b.slots[slot] & countMask)
		}
	}
	if has >= max(few, (m.room-m.reserve-m.used.Load())/portion) {
		return false
	}
	if m.used.Add(1) > m.room {
		m.used.Add(-1)
		return false
	}
	b, grown := s.bucket(end, countBits)
	if slot, there := b.find(key); there {
		b.slots[slot]++
	} else {
		grown += b.add(key&^countMask + 1)
	}
	m.bytes.Add(grown)
	return true
}

// sweep drops what has ended, once in each of the shortest steps: nothing ends in between. It leaves clocks alone that
// are one step behind: callers take turns at the border of two steps.
func (m *Memory) sweep(now int64) {
	step, last := now/shortest, m.swept.Load()
	if step == last || step == last-1 || !m.swept.CompareAndSwap(last, step) {
		return
	}
	for i := range shards {
		gone, shrunk := m.proofs[i].forget(now)
		_, shrunkToo := m.keys[i].forget(now)
		m.used.Add(-int64(gone))
		m.bytes.Add(-shrunk - shrunkToo)
	}
}

// Stats returns how many proofs are remembered, and how many bytes that takes. Proofs that have ended count until the
// next call of Use.
func (m *Memory) Stats() (proofs int, bytes int64) {
	return int(m.used.Load()), m.bytes.Load() + int64(unsafe.Sizeof(*m))
}
