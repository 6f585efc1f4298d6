package jose

import (
	"fmt"
	"iter"
	"math/bits"
	"strings"
)

// Algorithm is a signature algorithm by its name in the "alg" header parameter (RFC 7518 section 3.1, RFC 8037 section
// 3.1, RFC 9864 section 2.2). The zero value is no algorithm; there is no value for "none".
type Algorithm uint8

// The algorithms. EdDSA and Ed25519 name the same signature here. RFC 9864 gave Ed25519 a name of its own; of the
// curves that the older name EdDSA may mean, only Ed25519 is supported.
const (
	HS256 Algorithm = iota + 1
	HS384
	HS512
	RS256
	RS384
	RS512
	PS256
	PS384
	PS512
	ES256
	ES384
	ES512
	EdDSA
	Ed25519

	algorithmEnd // one past the last
)

// Family is the kind of key that an algorithm needs ("kty", RFC 7517 section 4.1). A key has exactly one family.
type Family uint8

// The families. The zero value is not one of them.
const (
	HMAC Family = iota + 1 // "oct": a shared secret
	RSA                    // "RSA"
	EC                     // "EC": P-256, P-384, P-521
	OKP                    // "OKP": Ed25519
)

var algorithms = [algorithmEnd]struct {
	name   string
	family Family
}{
	HS256:   {"HS256", HMAC},
	HS384:   {"HS384", HMAC},
	HS512:   {"HS512", HMAC},
	RS256:   {"RS256", RSA},
	RS384:   {"RS384", RSA},
	RS512:   {"RS512", RSA},
	PS256:   {"PS256", RSA},
	PS384:   {"PS384", RSA},
	PS512:   {"PS512", RSA},
	ES256:   {"ES256", EC},
	ES384:   {"ES384", EC},
	ES512:   {"ES512", EC},
	EdDSA:   {"EdDSA", OKP},
	Ed25519: {"Ed25519", OKP},
}

// ParseAlgorithm finds the algorithm with this name. Names are compared exactly, case included (RFC 7515 section
// 4.1.1). "none" is not among them.
func ParseAlgorithm(name string) (Algorithm, bool) {
	for alg := HS256; alg < algorithmEnd; alg++ {
		if algorithms[alg].name == name {
			return alg, true
		}
	}
	return 0, false
}

// UnknownAlgorithm is the error about a name that no algorithm has. It lists those that there are.
func UnknownAlgorithm(name string) error {
	all := AsymmetricAlgorithms().Union(HMACAlgorithms())
	for known := range strings.FieldsSeq(all.String()) {
		if strings.EqualFold(name, known) {
			return fmt.Errorf("unknown algorithm %q (did you mean %q?); known are %v", name, known, all)
		}
	}
	return fmt.Errorf("unknown algorithm %q; known are %v", name, all)
}

// String returns the name as in the "alg" header parameter, or "invalid" for a value outside the table.
func (a Algorithm) String() string {
	if a == 0 || a >= algorithmEnd {
		return "invalid"
	}
	return algorithms[a].name
}

// Family returns the kind of key that the algorithm needs, or zero for a value outside the table.
func (a Algorithm) Family() Family {
	if a >= algorithmEnd {
		return 0
	}
	return algorithms[a].family
}

// String returns the family as in the "kty" member of a JWK, or "invalid" for a value outside the table.
func (f Family) String() string {
	switch f {
	case HMAC:
		return "oct"
	case RSA:
		return "RSA"
	case EC:
		return "EC"
	case OKP:
		return "OKP"
	default:
		return "invalid"
	}
}

// Algorithms is a set of algorithms. The zero value is the empty set. Sets are compared with ==.
type Algorithms uint32

// The sets per kind of key.
const (
	hmacAlgorithms Algorithms = 1<<HS256 | 1<<HS384 | 1<<HS512
	rsaAlgorithms  Algorithms = 1<<RS256 | 1<<RS384 | 1<<RS512 | 1<<PS256 | 1<<PS384 | 1<<PS512
	ecAlgorithms   Algorithms = 1<<ES256 | 1<<ES384 | 1<<ES512
	okpAlgorithms  Algorithms = 1<<EdDSA | 1<<Ed25519
)

// AsymmetricAlgorithms is the set of algorithms that verify with a public key.
func AsymmetricAlgorithms() Algorithms { return rsaAlgorithms | ecAlgorithms | okpAlgorithms }

// HMACAlgorithms is the set of algorithms that verify with a shared secret.
func HMACAlgorithms() Algorithms { return hmacAlgorithms }

// MakeAlgorithms makes a set. Values outside the table are left out.
func MakeAlgorithms(algs ...Algorithm) Algorithms {
	var s Algorithms
	for _, alg := range algs {
		s = s.With(alg)
	}
	return s
}

// Has reports whether alg is in the set; false for a value outside the table.
func (s Algorithms) Has(alg Algorithm) bool {
	return alg > 0 && alg < algorithmEnd && s&(1<<alg) != 0
}

// With returns the set with alg added. A value outside the table is not added.
func (s Algorithms) With(alg Algorithm) Algorithms {
	if alg == 0 || alg >= algorithmEnd {
		return s
	}
	return s | 1<<alg
}

// Union returns the algorithms that are in either set.
func (s Algorithms) Union(t Algorithms) Algorithms { return s | t }

// Intersect returns the algorithms that are in both sets.
func (s Algorithms) Intersect(t Algorithms) Algorithms { return s & t }

// All yields the algorithms of the set in the order of the constants.
func (s Algorithms) All() iter.Seq[Algorithm] {
	return func(yield func(Algorithm) bool) {
		for rest := s; rest != 0; rest &= rest - 1 {
			if alg := Algorithm(bits.TrailingZeros32(uint32(rest))); !yield(alg) {
				return
			}
		}
	}
}

// String lists the names, separated by spaces.
func (s Algorithms) String() string {
	var b strings.Builder
	for alg := range s.All() {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(alg.String())
	}
	return b.String()
}
