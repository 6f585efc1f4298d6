package proof

import (
	"crypto/rsa"
	"fmt"
	"strings"

	"github.com/maypok86/otter/v2"

	"github.com/caddyjwt/gateway/internal/jose"
)

const (
	// memorySize bounds what the remembered keys take, in bytes. There is room for about 5,000 keys of the curve P-256.
	memorySize = 8 << 20
	// maxSegment is the longest header that is remembered, in bytes of its encoded form. With an RSA key of 4096 bits it
	// has about 1,100, and no honest client needs twice as many.
	maxSegment = 2 << 10
	// keyOverhead is how many bytes a key costs beside its header and its modulus: the key in all its forms, and the
	// store's own node.
	keyOverhead = 512
)

// Verifier verifies proofs, and remembers keys of proofs for tokens that are known to be good. It is safe for
// concurrent use.
//
// A client has one key and writes one header, so that nearly all its proofs begin with the same text. The Verifier
// remembers the key that it made of that text. Strangers can neither fill nor poison the memory:
//
//   - A key is found by its thumbprint, which is in the token. One token can use only one place.
//   - It is kept only after it has verified a signature.
//   - It is good only for a header that is the same text, byte by byte, as the one it was made of.
//   - The bytes of all keys have a bound, and the store admits by frequency (W-TinyLFU).
type Verifier struct{ keys memory }

// NewVerifier makes a Verifier without any keys. Close it when done. It fails only if its store cannot be made.
func NewVerifier() (*Verifier, error) { return newVerifier(memorySize) }

func newVerifier(size uint64) (*Verifier, error) {
	store, err := otter.New(&otter.Options[[32]byte, *knownKey]{
		MaximumWeight: size,
		Weigher:       func(_ [32]byte, k *knownKey) uint32 { return k.weight() },
		Logger:        &otter.NoopLogger{},
	})
	if err != nil {
		return nil, fmt.Errorf("making the memory for keys of proofs: %w", err)
	}
	return &Verifier{memory{store}}, nil
}

// Close forgets all keys, and stops the goroutines of the store.
func (v *Verifier) Close() {
	v.keys.store.InvalidateAll()
	v.keys.store.StopAllGoroutines()
}

// memory has keys by thumbprint.
type memory struct {
	store *otter.Cache[[32]byte, *knownKey]
}

// knownKey is the key of a proof, and all that its header says. It is immutable.
type knownKey struct {
	segment   string // the header as encoded in the proof
	algorithm jose.Algorithm
	key       *jose.Key
}

// find returns the key with a thumbprint if the proof begins with the header that it was made of, and otherwise nil.
func (m *memory) find(thumbprint [32]byte, text string) *knownKey {
	known, _ := m.store.GetIfPresent(thumbprint)
	if known == nil || len(text) <= len(known.segment) || text[len(known.segment)] != '.' ||
		text[:len(known.segment)] != known.segment {
		return nil
	}
	return known
}

// remember keeps a key that has verified a signature. The key must have this thumbprint.
func (m *memory) remember(thumbprint [32]byte, known *knownKey) {
	if len(known.segment) > maxSegment {
		return
	}
	kept := *known
	kept.segment = strings.Clone(known.segment) // the proof itself is not kept
	m.store.Set(thumbprint, &kept)
}

// weight is twice the number of bytes that a key takes. The garbage collector lets the heap grow to twice its live
// size.
func (k *knownKey) weight() uint32 {
	bytes := keyOverhead + len(k.segment)
	if public, is := k.key.PublicKey().(*rsa.PublicKey); is {
		bytes += 2 * public.Size() // the modulus, and what verifying derives of it
	}
	return uint32(2 * bytes) //nolint:gosec // both are at most a few KiB
}
