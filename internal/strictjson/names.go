package strictjson

import (
	"hash/maphash"
	"math/bits"
)

// span is a piece of the text, from start up to but not including end. The spans of names exclude the quotes.
type span struct{ start, end uint32 }

func (p span) of(text string) string { return text[p.start:p.end] }

// smallObject is the greatest number of names that are compared pair by pair. More names, and names with escapes, which
// are expensive to compare, are hashed.
const smallObject = 16

// hasDuplicate reports whether two of the names are equal after unescaping; escaped reports whether any of them
// contains an escape.
func hasDuplicate(text string, names []span, escaped bool) bool {
	if escaped || len(names) > smallObject {
		return hasDuplicateHashed(text, names)
	}
	// One bit for each name, by its length and its outer characters. A name whose bit no other name has needs no
	// comparison. An attacker who makes all bits the same causes no more than the comparisons of sixteen names.
	var seen uint64
	for i, p := range names {
		name := p.of(text)
		bit := uint64(1) << (fingerprint(name) % 64)
		if seen&bit != 0 {
			for _, q := range names[:i] {
				if q.of(text) == name {
					return true
				}
			}
		}
		seen |= bit
	}
	return false
}

// fingerprint is a cheap number that equal names share.
func fingerprint(name string) uint {
	if name == "" {
		return 0
	}
	return uint(len(name)) + uint(name[0])*7 + uint(name[len(name)-1])*31
}

// seed makes the places of names in the table unpredictable, so that nobody can choose names that share one.
var seed = maphash.MakeSeed()

// hasDuplicateHashed puts the names into a table that is at most half full. There must be at least one name.
func hasDuplicateHashed(text string, names []span) bool {
	size := 1 << bits.Len(uint(2*len(names)-1))
	table := make([]string, size)
	used := make([]bool, size)
	for _, p := range names {
		name := unescape(p.of(text))
		i := int(maphash.String(seed, name) % uint64(size))
		for used[i] {
			if table[i] == name {
				return true
			}
			i = (i + 1) % size
		}
		table[i], used[i] = name, true
	}
	return false
}
