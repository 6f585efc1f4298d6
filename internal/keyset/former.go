package keyset

// maxFormer is how many former keys are remembered, and how many of their ids.
const maxFormer = 1024

// former are the keys that a source no longer has.
type former struct {
	keys map[member]struct{}
	ids  map[uint64]struct{} // hashes
}

func newFormer() former {
	return former{keys: make(map[member]struct{}), ids: make(map[uint64]struct{})}
}

// replace remembers the keys that a new set no longer has. fresh reports whether the new set has keys that were never
// there before.
func (f *former) replace(before, set *Set) (fresh bool) {
	for _, key := range set.keys {
		_, was := f.keys[memberOf(key)]
		fresh = fresh || !was && !before.Has(key)
	}
	if len(f.keys) >= maxFormer {
		clear(f.keys)
		clear(f.ids)
	}
	for _, key := range before.keys {
		if set.Has(key) {
			continue
		}
		f.keys[memberOf(key)] = struct{}{}
		if key.ID != "" {
			f.ids[hashID(key.ID)] = struct{}{}
		}
	}
	return fresh
}

// hadID reports whether a key with this id is among them.
func (f *former) hadID(id uint64) bool {
	_, had := f.ids[id]
	return had
}
