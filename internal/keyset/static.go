package keyset

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
)

// static is a source that never changes, except that it may end.
type static struct {
	set     *Set
	ends    bool      // some keys are from certificates
	expires time.Time // when the first certificate expires
}

// newStatic makes a source that ends at the given time, or never if that is zero.
// The certificates of the set may end it, too.
func newStatic(set *Set, expires time.Time) *static {
	return &static{set, !expires.IsZero() || set.certs != nil, expires}
}

// NewStatic makes a source of keys that are known from the start. There must be at least one. Public keys and shared
// secrets cannot be in the same source: the token must not choose which of the two it is checked with.
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
	return newStatic(set, time.Time{}), nil
}

// NewPEM makes a source that never changes of keys in any of the forms that ParseKeys reads. When a certificate among
// them expires there are no keys any more.
func NewPEM(data []byte) (Source, error) {
	keys, _, expires, err := ParseKeys(data, Selection{}, time.Now())
	if err != nil {
		return nil, err
	}
	set, err := newSet(keys, nil)
	if err != nil {
		return nil, err
	}
	return newStatic(set, expires), nil
}

// Current implements Source.
func (s *static) Current() *Set {
	if s.ends {
		return s.unexpired()
	}
	return s.set
}

// unexpired is Current of a source that ends. It is a function of its own, so that the compiler can inline Current for
// all others.
func (s *static) unexpired() *Set {
	if s.set.certs != nil {
		return s.set.inForce()
	}
	if !time.Now().Before(s.expires) {
		return nil
	}
	return s.set
}

// Find implements Source. It never waits.
func (s *static) Find(_ context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	set := s.Current()
	if set == nil {
		return nil, &UnavailableError{RetryAfter: time.Minute, Err: s.expiry()}
	}
	if keys, _ := set.find(alg, kid); len(keys) > 0 {
		return keys, nil
	}
	return nil, s.set.lapsed(alg, kid, set.lacks(ErrUnknownKey, alg, kid, -1))
}

// Expires is when the first certificate of the keys expires; zero without certificates.
func (s *static) Expires() time.Time {
	if s.set.certs != nil {
		return s.set.firstEnd()
	}
	return s.expires
}

// expiry says why there are no keys any more.
func (s *static) expiry() error {
	if err := s.set.certificateErr(); err != nil {
		return err
	}
	return fmt.Errorf("%w expired at %s", jose.ErrCertificate, s.expires.UTC().Format(time.RFC3339))
}

// Close has nothing to stop.
func (s *static) Close() error { return nil }
