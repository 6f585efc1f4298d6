package revoke

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"unsafe"

	"github.com/dchest/siphash"

	"github.com/caddyjwt/gateway/internal/revoke/table"
)

// hasher makes the hashes of targets. All processes that share a store have the same one for a target.
//
// Owner, value and name of the claim are each hashed under keys of their own, of
// which the kind and the sort of owner choose one, and the results are combined by XOR (simple tabulation). So two
// targets have the same hash as rarely as two random numbers of 128 bits are the same, and what several targets have in
// common is hashed once. Nobody outside knows the keys, so nobody can choose targets that collide: for that, SipHash is
// a pseudo-random function. The halves have nothing in common: nearly always the first one shows that there is no
// entry, and the second is not needed.
type hasher struct {
	issuers, consumers, claims pair
	values                     [8]pair // by kind
}

// pair has the keys of the two halves of a hash.
type pair [2]struct{ k0, k1 uint64 }

// sum is one half of the hash of a text.
func (p *pair) sum(half int, text string) uint64 {
	// The bytes of the text itself, which siphash only reads: a copy would be made for each request.
	bytes := unsafe.Slice(unsafe.StringData(text), len(text))
	return siphash.Hash(p[half].k0, p[half].k1, bytes)
}

// newHasher derives the keys from a secret.
func newHasher(secret [32]byte) *hasher {
	h := new(hasher)
	pairs := []*pair{&h.issuers, &h.consumers, &h.claims}
	for kind := range h.values {
		pairs = append(pairs, &h.values[kind])
	}
	const size = int(unsafe.Sizeof(pair{}))
	keys, err := hkdf.Expand(sha256.New, secret[:], "hashes of targets", len(pairs)*size)
	if err != nil {
		panic(err) // only for a length that is too long, and this one is fixed
	}
	for _, p := range pairs {
		for half := range p {
			p[half].k0 = binary.BigEndian.Uint64(keys)
			p[half].k1 = binary.BigEndian.Uint64(keys[8:])
			keys = keys[16:]
		}
	}
	return h
}

// target is the hash of a target.
func (h *hasher) target(t *Target) table.Hash {
	return table.Hash{Hi: h.hi(h.common(0, t), t), Lo: h.within(1, h.common(1, t), t)}
}

// hi is the first half of the hash of a target, of which common is known. It is that of an entry, and not of a slot
// without one.
func (h *hasher) hi(common uint64, t *Target) uint64 {
	hi := h.within(0, common, t)
	if hi < table.MinHi {
		hi += table.MinHi
	}
	return hi
}

// consumer is the hash of a consumer's name.
func (h *hasher) consumer(username string) table.Hash {
	return table.Hash{Hi: max(h.consumers.sum(0, username), table.MinHi), Lo: h.consumers.sum(1, username)}
}

// common is a half of the hash of what targets with the same owner and claim have in common.
func (h *hasher) common(half int, t *Target) (sum uint64) {
	if t.Consumer != "" {
		sum = h.consumers.sum(half, t.Consumer)
	} else {
		sum = h.issuers.sum(half, t.Issuer)
	}
	if t.Claim != "" {
		sum ^= h.claims.sum(half, t.Claim)
	}
	return sum
}

// within is a half of the hash of a target, of which common is known.
func (h *hasher) within(half int, common uint64, t *Target) uint64 {
	return common ^ h.values[t.Kind%8].sum(half, t.Value)
}
