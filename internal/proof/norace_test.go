//go:build !race

package proof_test

// race reports whether the race detector is on, which changes what is allocated.
const race = false
