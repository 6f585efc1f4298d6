package keyset

import (
	"encoding/hex"
	"slices"
	"sync/atomic"

	"github.com/caddyjwt/gateway/internal/jose"
)

// Set is the keys of one issuer at one time. It is immutable and safe for concurrent use.
type Set struct {
	// Generation is a new number for every set of keys in this process. Sets with the same generation have the same keys.
	Generation uint64

	// Skipped says which keys were not taken, sorted by reason.
	Skipped []Skipped

	// SkippedKeys are the first of these keys, if they are from a key set. Those beyond Selection.Max are not among them.
	SkippedKeys []SkippedKey

	keys      []*jose.Key
	certs     *certificates // nil unless only keys with certificates count
	members   map[member]struct{}
	selectors [jose.Ed25519 + 1]*selector // by algorithm; nil where no key fits
}

// member is what makes two keys the same: material, id, algorithms and issuer.
type member struct {
	thumbprint [32]byte
	id         string
	algs       jose.Algorithms
	issuer     string // see jose.Key
}

// Skipped counts keys that were not taken into a set.
type Skipped struct {
	Reason string // snake_case
	Count  int
}

// SkippedKey is a key that was not taken. Its name is what the server wrote.
type SkippedKey struct {
	Name   string // key id, or the place in the set, such as "#3", for a key without one
	Reason string // as in Skipped
}

var generations atomic.Uint64

// newSet indexes keys. There must be at least one. Their order is the order of candidates.
func newSet(keys []*jose.Key, skipped []Skipped) (*Set, error) {
	s := &Set{Skipped: skipped, members: make(map[member]struct{}, len(keys))}
	for _, key := range keys {
		m := memberOf(key)
		if _, twice := s.members[m]; twice {
			continue
		}
		s.members[m] = struct{}{}
		s.keys = append(s.keys, key)
	}
	if len(s.keys) == 0 {
		return nil, ErrNoKeys
	}
	if err := s.index(); err != nil {
		return nil, err
	}
	s.Generation = generations.Add(1)
	return s, nil
}

func memberOf(k *jose.Key) member {
	return member{k.Thumbprint(), k.ID, k.Algorithms(), k.Issuer}
}

// Has reports whether the key is in the set: the same material with the same id for the same algorithms. What was
// verified with a key is valid only as long as the set has it.
func (s *Set) Has(k *jose.Key) bool {
	if s == nil || k == nil {
		return false
	}
	_, ok := s.members[memberOf(k)]
	return ok
}

// Len is how many keys there are.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

// skipped is Skipped for a set that may be nil.
func (s *Set) skipped() []Skipped {
	if s == nil {
		return nil
	}
	return s.Skipped
}

// Keys are the keys in the order of their source.
func (s *Set) Keys() []*jose.Key {
	if s == nil {
		return nil
	}
	return slices.Clone(s.keys)
}

// Names are what logs and events call the keys, in the same order: the key id, or the start of the thumbprint.
func (s *Set) Names() []string {
	if s == nil {
		return nil
	}
	names := make([]string, len(s.keys))
	for i, key := range s.keys {
		names[i] = keyName(key)
	}
	return names
}

// find returns the candidates for a token, if there are any. exact reports whether a key has this very id, or the token
// has no id.
func (s *Set) find(alg jose.Algorithm, kid string) (candidates []*jose.Key, exact bool) {
	if s == nil || int(alg) >= len(s.selectors) || s.selectors[alg] == nil {
		return nil, false
	}
	return s.selectors[alg].find(kid)
}

// leftOut is how many keys of the source are not in the set because there were too many.
func (s *Set) leftOut() int {
	if s == nil {
		return 0
	}
	for _, skipped := range s.Skipped {
		if skipped.Reason == SkippedByLimit {
			return skipped.Count
		}
	}
	return 0
}

// cutSince reports whether keys of the source have just begun to be left out: this is a new set, or the one before had
// all.
func (s *Set) cutSince(before *Set) bool {
	return s.leftOut() > 0 && (before.leftOut() == 0 || before.Generation != s.Generation)
}

// isReordered reports whether t has exactly the keys of s, in any order.
func (s *Set) isReordered(t *Set) bool {
	return len(s.keys) == len(t.keys) && !slices.ContainsFunc(t.keys, func(k *jose.Key) bool { return !s.Has(k) })
}

// sameKeys reports whether two sets have the same keys in the same order.
func (s *Set) sameKeys(t *Set) bool {
	return slices.EqualFunc(s.keys, t.keys, func(a, b *jose.Key) bool { return memberOf(a) == memberOf(b) })
}

// changes returns the names of the keys that only t has, and of those that only s has. Either may be nil.
func (s *Set) changes(t *Set) (added, removed []string) {
	if t != nil {
		added = t.without(s)
	}
	if s != nil {
		removed = s.without(t)
	}
	return added, removed
}

func (s *Set) without(t *Set) (names []string) {
	for _, key := range s.keys {
		if !t.Has(key) {
			names = append(names, keyName(key))
		}
	}
	return names
}

// keyName is what a log calls a key.
func keyName(k *jose.Key) string {
	if k.ID != "" {
		return k.ID
	}
	thumbprint := k.Thumbprint()
	return "sha256:" + hex.EncodeToString(thumbprint[:8])
}
