package jose

import (
	"bytes"
	"fmt"
)

// NewSecretKey makes a key for HS256, HS384 and HS512 of a shared secret, which is copied. It may be used for those of
// algs that are of this family, and the secret has to be at least as long as the hash of each of them (RFC 7518 section
// 3.2); no algs at all means all that the secret is long enough for.
//
// A secret has to be secret. What is refused, as far as it can be told: public and private keys and certificates in
// every form they are written in (ErrPublicSecret), the secrets that standards and well-known sites use as examples
// (ErrPublishedKey), and what is plainly not random (ErrWeakKey). [Key.Doubt] says where that is not so plain.
func NewSecretKey(id string, secret []byte, algs Algorithms) (*Key, error) {
	if err := checkPublishedSecret(secret); err != nil {
		return nil, err
	}
	if what := recogniseKey(secret); what != "" {
		return nil, fmt.Errorf("%w: this is %s", ErrPublicSecret, what)
	}
	k, err := newSecretKey(id, secret, algs)
	if err != nil {
		return nil, err
	}
	if err := checkRandom(secret); err != nil {
		return nil, err
	}
	k.doubt = doubt(secret)
	return k, nil
}

func newSecretKey(id string, secret []byte, algs Algorithms) (*Key, error) {
	k := &Key{ID: id, family: HMAC, key: bytes.Clone(secret), thumbprint: secretThumbprint(secret)}
	wanted := algs.Intersect(HMACAlgorithms())
	if algs != 0 && wanted == 0 {
		return nil, fmt.Errorf("%w: a secret is for %v, not for %v", ErrKeyAlgorithm, HMACAlgorithms(), algs)
	}
	for alg := range HMACAlgorithms().All() {
		switch {
		case len(secret) >= hashSize(alg):
			k.algs = k.algs.With(alg)
		case wanted.Has(alg):
			return nil, tooShort(secret, alg)
		}
	}
	if k.algs == 0 {
		return nil, tooShort(secret, HS256)
	}
	if wanted != 0 {
		k.algs = wanted
	}
	return k, nil
}

func tooShort(secret []byte, alg Algorithm) error {
	return fmt.Errorf(
		"%w: secret of %d bytes, %v needs at least %d (RFC 7518 section 3.2); \"openssl rand -hex 64\" makes one",
		ErrWeakKey, len(secret), alg, hashSize(alg))
}
