package jose

import (
	"crypto/ed25519"
	"fmt"
	"math/big"
)

// The prime and the constant d of edwards25519 (RFC 8032 section 5.1), and the y-coordinate of points of order eight.
// Anybody can make signatures that verify under a key whose order divides eight.
var (
	edPrime, _  = new(big.Int).SetString("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed", 16)
	edD, _      = new(big.Int).SetString("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3", 16)
	edSmallY, _ = new(big.Int).SetString("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7", 16)
)

// checkEd25519 refuses anything but the canonical encoding of a point on the curve, and points of small order.
// crypto/ed25519 checks the encoding anew for every signature, and accepts points of small order.
func checkEd25519(key ed25519.PublicKey) error {
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: Ed25519 key has %d bytes instead of %d", ErrKey, len(key), ed25519.PublicKeySize)
	}
	var encoded [ed25519.PublicKeySize]byte
	for i, b := range key { // little endian, with the sign of x in the top bit
		encoded[len(encoded)-1-i] = b
	}
	sign := encoded[0] >> 7
	encoded[0] &= 0x7F
	y := new(big.Int).SetBytes(encoded[:])
	if y.Cmp(edPrime) >= 0 {
		return fmt.Errorf("%w: Ed25519 point is not in its canonical form", ErrKey)
	}

	// x² = (y² - 1) / (d·y² + 1). By the choice of d the divisor is never zero.
	one := big.NewInt(1)
	yy := new(big.Int).Mul(y, y)
	divisor := new(big.Int).Mul(edD, yy)
	divisor.Add(divisor, one).Mod(divisor, edPrime)
	xx := new(big.Int).Sub(yy, one)
	xx.Mul(xx, divisor.ModInverse(divisor, edPrime)).Mod(xx, edPrime)
	if big.Jacobi(xx, edPrime) < 0 || xx.Sign() == 0 && sign != 0 {
		return fmt.Errorf("%w: Ed25519 point is not on its curve", ErrKey)
	}
	negative := new(big.Int).Sub(edPrime, y)
	for _, small := range []*big.Int{new(big.Int), one, edSmallY} {
		if y.Cmp(small) == 0 || negative.Cmp(small) == 0 {
			return fmt.Errorf("%w: Ed25519 point of small order", ErrWeakKey)
		}
	}
	return nil
}

// rocaPrimes are the primes up to 167 modulo which not every residue is a power of 65537. Together they mistake a sound
// modulus for a faulty one less than once in 10^8 keys.
var rocaPrimes = [...]uint64{
	11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
}

// hasROCA reports whether a modulus comes from a library whose keys can be factored (CVE-2017-15361). Such a modulus is
// a power of 65537 modulo small primes.
func hasROCA(n *big.Int) bool {
	for _, prime := range rocaPrimes {
		residue := new(big.Int).Mod(n, new(big.Int).SetUint64(prime)).Uint64()
		if !isPowerOf65537(residue, prime) {
			return false
		}
	}
	return true
}

func isPowerOf65537(residue, prime uint64) bool {
	power := uint64(1)
	for range prime {
		if power == residue {
			return true
		}
		power = power * 65537 % prime
	}
	return false
}
