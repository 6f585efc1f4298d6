package revoke

import (
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"
	"unsafe"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/revoke/table"
)

// Terms are what can revoke the tokens of an issuer beside the usual claims. A nil Terms has nothing.
type Terms struct {
	pattern string
	claims  []Path
	sum     uint64 // identifies the terms in this process
}

// NewTerms makes the Terms of an issuer. The pattern is the name with "*" of one with tenants, and otherwise empty. The
// paths are those of the claims by whose values the tokens can be revoked.
func NewTerms(pattern string, paths ...claims.Path) *Terms {
	terms := &Terms{pattern: pattern}
	var sum maphash.Hash
	sum.SetSeed(seed)
	for _, path := range paths {
		terms.claims = append(terms.claims, PathOf(path))
	}
	write := func(text string) {
		_, _ = sum.Write(binary.AppendUvarint(nil, uint64(len(text)))) // never fails
		_, _ = sum.WriteString(text)
	}
	write(pattern)
	for _, path := range terms.claims {
		write(path.name)
	}
	terms.sum = sum.Sum64()
	return terms
}

// Claims are the paths of the claims.
func (t *Terms) Claims() []Path {
	if t == nil {
		return nil
	}
	return t.claims
}

// seed keys the sums of Terms and consumers.
var seed = maphash.MakeSeed()

// Memory is what has been found out about one token, so that it is judged faster when it comes again. The zero value is
// empty and ready to use, by any number of goroutines. Its owner must not use it for another token.
//
// A token of an issuer may count as a consumer's. It is then judged as the one and as the other.
type Memory struct{ asIssuers, asConsumers memory }

type memory struct {
	good   atomic.Uint64 // stands for a generation in which the token was good
	traces atomic.Pointer[traces]
}

// traces are the hashes of what would revoke a token. They never change.
type traces struct {
	of        uint64 // key of the token
	hasher    *hasher
	concerned table.Hash // of the consumer
	wanted    wanted
	n         uint8 // of the halves, or more than there can be
	halves    [maxTraces]uint64
}

// maxTraces is how many hashes are remembered. Those of a token with more are made each time.
const maxTraces = 12

// MemorySize is how many bytes a Memory takes beside its own size, for a token of an issuer. It is twice that for one
// that counts as a consumer's. Memory is given out in steps of 16 bytes.
const MemorySize = (int(unsafe.Sizeof(traces{})) + 15) / 16 * 16

// hasAll reports whether all hashes of the token are remembered.
func (tr *traces) hasAll() bool { return tr.n <= maxTraces }

// memory is the place for what is known of the token.
func (t *Token) memory() *memory {
	if t.Issuer != "" {
		return &t.Memory.asIssuers
	}
	return &t.Memory.asConsumers
}

// key identifies what the token is judged by beside its claims. Gates with other terms, or with another consumer for
// the token, may share its Memory: one of them must not speak for the others.
func (t *Token) key() (key uint64) {
	if t.Terms != nil {
		key = t.Terms.sum
	}
	if t.Consumer != "" {
		key ^= maphash.String(seed, t.Consumer) | 1<<63
	}
	return key
}

// WasGood reports whether KeepGood was called for the token in a generation.
func (t *Token) WasGood(generation uint64) bool {
	return t.Memory != nil && t.memory().good.Load() == generation^t.key()
}

// KeepGood remembers that the token was not revoked in a generation.
func (t *Token) KeepGood(generation uint64) {
	if t.Memory != nil {
		t.memory().good.Store(generation ^ t.key())
	}
}

// traces returns those that are remembered of a token, and makes them if need be. The token must have a Memory.
func (l *List) traces(t *Token) *traces {
	memory, wanted, key := t.memory(), l.wanted(), t.key()
	if tr := memory.traces.Load(); tr != nil && tr.of == key && tr.hasher == l.hasher && tr.wanted == wanted {
		return tr
	}
	tr := &traces{of: key, hasher: l.hasher, wanted: wanted}
	if t.Consumer != "" {
		tr.concerned = l.hasher.consumer(t.Consumer)
	}
	l.halves(t, wanted, func(half uint64) bool {
		if tr.n < maxTraces {
			tr.halves[tr.n] = half
		}
		tr.n++
		return tr.hasAll()
	})
	memory.traces.Store(tr)
	return tr
}
