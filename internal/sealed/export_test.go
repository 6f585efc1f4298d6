package sealed

import (
	"context"
	"net/netip"

	"github.com/go-jose/go-jose/v4"

	ours "github.com/caddyjwt/gateway/internal/jose"
)

// NewTurnsOf makes turns for this many decryptions at a time.
func NewTurnsOf(slots int) *Turns { return newTurns(slots) }

// Begin and End are a decryption without a token.
func (t *Turns) Begin(ctx context.Context, client netip.Addr) error {
	return t.begin(ctx, func() netip.Addr { return client })
}
func (t *Turns) End() { t.end() }

// Waiting is how many decryptions wait, and Free how many may begin.
func (t *Turns) Waiting() (waiting, free int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, l := range t.lines {
		n += len(l.places)
	}
	if n != t.waiting {
		panic("the count of those that wait is wrong")
	}
	return t.waiting, t.free
}

// MaxWaiting is how many may wait for each slot.
const MaxWaiting = maxWaiting

// OpenAny opens a token whatever its content is.
func OpenAny(token string, allowed Algorithms, keys ...*Key) ([]byte, error) {
	t, err := ours.ParseEncrypted(token, nil)
	if err != nil {
		return nil, err
	}
	found := allowed.Candidates(&t, t.KeyID, keys, nil)
	if len(found) == 0 {
		found = allowed.Candidates(&t, "", keys, nil)
	}
	content, _, err := open(context.Background(), NewTurns(), nobody, &t, found)
	return content, err
}

// PublishedKey makes a key of a JWK from a standard, which Parse refuses.
func PublishedKey(jwk []byte) (*Key, error) {
	var read jose.JSONWebKey
	if err := read.UnmarshalJSON(jwk); err != nil {
		return nil, err
	}
	return asKey(read.Key, read.KeyID, jose.KeyAlgorithm(read.Algorithm), [32]byte{1})
}

// All allows everything that is implemented.
func All() Algorithms { return everything }
