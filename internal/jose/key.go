package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"math/big"
)

// Bounds on RSA keys, in bits.
const (
	minModulus = 2048  // RFC 7518 section 3.3
	maxModulus = 16384 // above it, strangers could make each verification take milliseconds
)

// Key verifies signatures of one family, with only those of its algorithms that the key was made for. So a public key
// can never be used as the secret of a MAC. A Key is immutable and safe for concurrent use.
type Key struct {
	// ID is the key's "kid" (RFC 7517 section 4.5), empty when it has none.
	ID string

	// Issuer is the only issuer that the key vouches for, as the member "issuer" of its JWK says. It is empty when the key
	// names none, and also where nobody has asked for that member: see IssuerOf.
	Issuer string

	family     Family
	algs       Algorithms
	key        any // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, or []byte for a secret
	size       int // length of a signature in bytes; zero for secrets, where it depends on the algorithm
	thumbprint [32]byte
	doubt      string
}

// NewPublicKey makes a Key from a *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey, which is copied. The Key is
// for those of algs that fit it. Empty algs means all that fit.
//
// Errors are ErrKey for other types, points that are not on their curve, and RSA keys over 16384 bits; ErrWeakKey for
// RSA keys under 2048 bits, exponents that are even or one, and points of small order; ErrPublishedKey for keys whose
// private half is printed in a standard or on a well-known site; and ErrKeyAlgorithm if none of algs fits.
func NewPublicKey(id string, key crypto.PublicKey, algs Algorithms) (*Key, error) {
	k, err := newPublicKey(id, key, algs)
	if err != nil {
		return nil, err
	}
	if err := checkPublished(k.thumbprint); err != nil {
		return nil, err
	}
	return k, nil
}

func newPublicKey(id string, key crypto.PublicKey, algs Algorithms) (*Key, error) {
	k := &Key{ID: id}
	var err error
	switch key := key.(type) {
	case *rsa.PublicKey:
		err = k.setRSA(key)
	case *ecdsa.PublicKey:
		err = k.setEC(key)
	case ed25519.PublicKey:
		err = k.setEd25519(key)
	case interface{ Public() crypto.PublicKey }:
		err = ErrPrivateKey
	default:
		err = fmt.Errorf("%w: unsupported type %T", ErrKey, key)
	}
	if err != nil {
		return nil, err
	}
	if err := k.narrow(algs); err != nil {
		return nil, err
	}
	return k, nil
}

// narrow leaves only the wanted algorithms. Empty means all.
func (k *Key) narrow(wanted Algorithms) error {
	if wanted == 0 {
		return nil
	}
	fitting := k.algs
	if k.algs = fitting.Intersect(wanted); k.algs == 0 {
		return fmt.Errorf("%w: this key is for %v, not for %v", ErrKeyAlgorithm, fitting, wanted)
	}
	return nil
}

func (k *Key) setRSA(key *rsa.PublicKey) error {
	if key == nil || key.N == nil || key.N.Sign() <= 0 {
		return fmt.Errorf("%w: RSA key without modulus", ErrKey)
	}
	switch bits := key.N.BitLen(); {
	case bits < minModulus:
		return fmt.Errorf("%w: RSA modulus of %d bits, at least %d are needed", ErrWeakKey, bits, minModulus)
	case bits > maxModulus:
		return fmt.Errorf("%w: RSA modulus of %d bits, at most %d are supported", ErrKey, bits, maxModulus)
	case key.N.Bit(0) == 0:
		return fmt.Errorf("%w: RSA modulus is even", ErrWeakKey)
	case key.E < 3 || key.E&1 == 0:
		return fmt.Errorf("%w: RSA exponent has to be odd and greater than one", ErrWeakKey)
	case int64(key.E) > 1<<31-1:
		return fmt.Errorf("%w: RSA exponent of more than 31 bits is not supported", ErrKey)
	case hasROCA(key.N):
		return fmt.Errorf("%w: RSA key from a faulty generator (CVE-2017-15361)", ErrWeakKey)
	}
	key = &rsa.PublicKey{N: new(big.Int).Set(key.N), E: key.E}
	k.family, k.algs, k.key, k.size = RSA, rsaAlgorithms, key, key.Size()
	k.thumbprint = rsaThumbprint(key)
	return nil
}

func (k *Key) setEC(key *ecdsa.PublicKey) error {
	if key == nil || key.Curve == nil {
		return fmt.Errorf("%w: EC key without curve", ErrKey)
	}
	var alg Algorithm
	switch key.Curve {
	case elliptic.P256():
		alg = ES256
	case elliptic.P384():
		alg = ES384
	case elliptic.P521():
		alg = ES512
	default:
		return fmt.Errorf("%w: EC key on an unsupported curve", ErrKey)
	}
	point, err := uncompressed(key)
	if err != nil {
		return err
	}
	if key, err = ecdsa.ParseUncompressedPublicKey(key.Curve, point); err != nil {
		return fmt.Errorf("%w: EC point is not on its curve", ErrKey)
	}
	k.family, k.algs, k.key, k.size = EC, MakeAlgorithms(alg), key, len(point)-1
	k.thumbprint = ecThumbprint(alg, point)
	return nil
}

// uncompressed encodes the point of a key (SEC 1 section 2.3.3). A key that was assembled by hand may lack coordinates.
func uncompressed(key *ecdsa.PublicKey) ([]byte, error) {
	if key.X == nil || key.Y == nil { //nolint:staticcheck // deprecated, but nothing else shows a missing point
		return nil, fmt.Errorf("%w: EC key without point", ErrKey)
	}
	point, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: EC point is not on its curve", ErrKey)
	}
	return point, nil
}

func (k *Key) setEd25519(key ed25519.PublicKey) error {
	if err := checkEd25519(key); err != nil {
		return err
	}
	key = bytes.Clone(key)
	k.family, k.algs, k.key, k.size = OKP, okpAlgorithms, key, ed25519.SignatureSize
	k.thumbprint = okpThumbprint(key)
	return nil
}

// Algorithms returns the algorithms that the key is for. The set is never empty.
func (k *Key) Algorithms() Algorithms { return k.algs }

// Family returns the one family that the key belongs to.
func (k *Key) Family() Family { return k.family }

// Thumbprint identifies the key's material within this process. For public keys it is the JWK thumbprint with SHA-256
// (RFC 7638). For secrets it is a keyed hash that is different in every process and reveals nothing about the secret.
func (k *Key) Thumbprint() [32]byte { return k.thumbprint }

// PublicKey returns a *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey, which must not be changed. It is nil for
// secrets.
func (k *Key) PublicKey() crypto.PublicKey {
	if k.family == HMAC {
		return nil
	}
	return k.key
}

// Doubt says why a secret may not be random, as the predicate of a sentence such as "it repeats itself". It reveals
// nothing of the secret. It is empty for secrets that look random, and for public keys.
func (k *Key) Doubt() string { return k.doubt }

// DoubtWarning is the warning about a secret for whose randomness there is this Doubt.
func DoubtWarning(doubt string) string {
	return "a secret may not be random, so it could be guessed: " + doubt +
		"; make another one with \"openssl rand -hex 32\""
}

// Format writes the same description for every verb, so that no secret gets into a log when somebody prints a struct.
func (k Key) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%v key %q for %v", k.family, k.ID, k.algs)
}
