package tokentest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"fmt"
	"math/big"
	"sync/atomic"
)

// The search for the primes of an RSA key takes a tenth of a second. Every test binary would pay that for each of its
// keys, and the integration tests in each of their processes. So the primes here come from a hash and a number that was
// found once: the distance from the hash to the next prime.

// distances are from the hash of their index to the next prime that suits rsaExponent.
var distances = [...]int64{
	552, 1004, 748, 116, 1382, 280, 2112, 1038, 2070, 0, 58, 26, 614, 8, 1736, 80, 866, 914, 56, 64, 256, 1902, 636, 680,
	1326, 662, 572, 136, 1506, 98, 2164, 2714, 446, 764, 652, 738, 1730, 362, 2130, 878, 16, 544, 1640, 954, 1144, 786,
	232, 650,
}

const (
	rsaBits     = 2048
	rsaExponent = 65537
)

// rsaKeys is the number of RSA keys that this process has.
var rsaKeys atomic.Int64

// NewRSA gives an RSA key of 2048 bits that no other call in this process gives. The first keys of every process are
// the same, and anybody can compute them.
func NewRSA() *rsa.PrivateKey {
	n := rsaKeys.Add(1) - 1
	if 2*n+1 >= int64(len(distances)) {
		return must(rsa.GenerateKey(rand.Reader, rsaBits))
	}
	key := rsaKey(prime(2*n), prime(2*n+1))
	key.Precompute()
	return key
}

// prime is the nth prime with a known distance.
func prime(n int64) *big.Int {
	p := start(n)
	return p.Add(p, big.NewInt(distances[n]))
}

// start is where the search for the nth prime begins: an odd number whose two highest bits are set, so that a product
// of two has all the bits of a key.
func start(n int64) *big.Int {
	var digits []byte
	for part := range 2 {
		sum := sha512.Sum512(fmt.Appendf(nil, "tokentest prime %d part %d", n, part))
		digits = append(digits, sum[:]...)
	}
	p := new(big.Int).SetBytes(digits)
	p.SetBit(p, rsaBits/2-1, 1)
	p.SetBit(p, rsaBits/2-2, 1)
	return p.SetBit(p, 0, 1)
}

// rsaKey is the key of two primes (RFC 8017 section 3.2).
func rsaKey(p, q *big.Int) *rsa.PrivateKey {
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	return &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: rsaExponent},
		D:         new(big.Int).ModInverse(big.NewInt(rsaExponent), phi),
		Primes:    []*big.Int{p, q},
	}
}
