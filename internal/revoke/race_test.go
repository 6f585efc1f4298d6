//go:build race

package revoke_test

// race reports whether the race detector is on, which changes what is allocated.
const race = true
