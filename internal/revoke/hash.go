package revoke

import "hash/maphash"

// hash is a target's.
type hash struct{ hi, lo uint64 }

// hasher makes the hashes of targets. Owner, value and name of the claim are each hashed under keys of their own, of
// which the kind and the sort of owner choose one, and the results are combined by XOR (simple tabulation). So two
// targets have the same hash as rarely as two random numbers of 128 bits are the same, and what several targets have in
// common is hashed once. Nobody knows the keys, so nobody can choose targets that collide. The halves have nothing in
// common: nearly always the first one shows that there is no entry, and the second is not needed.
type hasher struct {
	issuers, consumers, claims seeds
	values                     [8]seeds // by kind
}

// seeds are the keys of the two halves of a hash.
type seeds [2]maphash.Seed

func newHasher() *hasher {
	h := new(hasher)
	for _, pair := range []*seeds{&h.issuers, &h.consumers, &h.claims} {
		*pair = seeds{maphash.MakeSeed(), maphash.MakeSeed()}
	}
	for kind := range h.values {
		h.values[kind] = seeds{maphash.MakeSeed(), maphash.MakeSeed()}
	}
	return h
}

// target is the hash of a target.
func (h *hasher) target(t Target) hash {
	return hash{h.hi(h.common(0, t), t), h.within(1, h.common(1, t), t)}
}

// hi is the first half of the hash of a target, of which common is known. It is that of an entry, and not of a slot
// without one.
func (h *hasher) hi(common uint64, t Target) uint64 {
	hi := h.within(0, common, t)
	if hi <= removed {
		hi += 2
	}
	return hi
}

// common is a half of the hash of what targets with the same owner and claim have in common.
func (h *hasher) common(half int, t Target) (sum uint64) {
	if t.Consumer != "" {
		sum = maphash.String(h.consumers[half], t.Consumer)
	} else {
		sum = maphash.String(h.issuers[half], t.Issuer)
	}
	if t.Claim != "" {
		sum ^= maphash.String(h.claims[half], t.Claim)
	}
	return sum
}

// within is a half of the hash of a target, of which common is known.
func (h *hasher) within(half int, common uint64, t Target) uint64 {
	return common ^ maphash.String(h.values[t.Kind%8][half], t.Value)
}
