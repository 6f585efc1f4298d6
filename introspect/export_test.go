package introspect

import "encoding/binary"

// MaxProven is for tests.
const MaxProven = maxProven

// ProvenAfter adds that many tokens, one after the other. It returns how many are remembered, and how many of the
// latest are remembered without a gap.
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
