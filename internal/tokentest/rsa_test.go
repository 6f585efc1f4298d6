package tokentest

import (
	"crypto/rsa"
	"testing"
)

func TestRSAKeys(t *testing.T) {
	seen := make(map[string]bool)
	check := func(key *rsa.PrivateKey) {
		t.Helper()
		if err := key.Validate(); err != nil || key.N.BitLen() != rsaBits || key.E != rsaExponent {
			t.Errorf("%d bits, exponent %d, error %v", key.N.BitLen(), key.E, err)
		}
		for _, p := range key.Primes {
			if seen[p.String()] {
				t.Errorf("two keys have the prime %v", p)
			}
			seen[p.String()] = true
		}
	}
	for n := int64(0); n < int64(len(distances)); n += 2 {
		check(rsaKey(prime(n), prime(n+1)))
	}
	// One more than there are distances for. The tests that follow go on where this process was.
	defer rsaKeys.Store(rsaKeys.Swap(int64(len(distances) / 2)))
	check(NewRSA())

	step := 1
	if testing.Short() {
		step = 7
	}
	for n := 0; n < len(distances); n += step {
		if !prime(int64(n)).ProbablyPrime(0) {
			t.Errorf("start %d plus %d is not a prime", n, distances[n])
		}
	}
}
