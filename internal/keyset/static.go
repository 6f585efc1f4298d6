package keyset

import (
	"context"
	"fmt"

	"github.com/caddyjwt/gateway/internal/jose"
)

// static is a source that never changes.
type static struct{ set *Set }

// NewStatic makes a source of keys that are known from the start, one at least. Public keys and shared secrets cannot be
// in one source: which of the two a token is checked with must not be the token's choice.
func NewStatic(keys ...*jose.Key) (Source, error) {
	for _, key := range keys {
		if (key.Family() == jose.HMAC) != (keys[0].Family() == jose.HMAC) {
			return nil, fmt.Errorf("%w: shared secrets and public keys together", jose.ErrKey)
		}
	}
	set, err := newSet(keys, nil)
	if err != nil {
		return nil, err
	}
	return &static{set}, nil
}

func (s *static) Current() *Set { return s.set }

func (s *static) Find(_ context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	if keys, _ := s.set.find(alg, kid); len(keys) > 0 {
		return keys, nil
	}
	return nil, ErrUnknownKey
}

// Close has nothing to stop.
func (s *static) Close() error { return nil }
