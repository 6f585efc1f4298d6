package introspect

import "encoding/binary"

// MaxProven is for tests.
const MaxProven = maxProven

// ProvenAfter gives how many tokens are kept of so many that were active one after the other, and how many of the
// latest without a gap.
func ProvenAfter(tokens int) (kept, latest int) {
	var p proven
	key := func(i int) (k cacheKey) {
		binary.BigEndian.PutUint64(k[:], uint64(i))
		return k
	}
	for i := range tokens {
		p.add(key(i))
	}
	for latest < tokens && p.has(key(tokens-1-latest)) {
		latest++
	}
	return len(p.young) + len(p.old), latest
}
