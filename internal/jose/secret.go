package jose

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// DecodeSecret decodes a secret that is written in base64, with either alphabet (RFC 4648 sections 4 and 5), and with
// or without padding. The error is a predicate whose subject is the secret, which it does not quote.
func DecodeSecret(text string) ([]byte, error) {
	text = strings.TrimRight(strings.TrimSpace(text), "=")
	encoding := base64.RawURLEncoding
	if strings.ContainsAny(text, "+/") {
		encoding = base64.RawStdEncoding
	}
	secret, err := encoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errors.New("is not base64: remove the word base64, or encode the secret")
	}
	return secret, nil
}

// NewSecretKey makes a Key for HS256, HS384 and HS512 from a shared secret, which is copied. The Key is for those of
// algs that are of this family. The secret must be at least as long as the hash of each of them (RFC 7518 section 3.2).
// Empty algs means all that the secret is long enough for.
//
// A secret must be known to nobody else. As far as that can be recognised, errors are ErrPublicSecret for public keys,
// private keys and certificates in all usual forms, ErrPublishedKey for the examples of standards and well-known sites,
// and ErrWeakKey for what is too short or plainly not random. [Key.Doubt] has the less plain cases. ErrKeyAlgorithm
// means that none of algs is of this family.
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
