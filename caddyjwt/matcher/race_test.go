//go:build race

package matcher_test

// raced reports whether the race detector is on.
const raced = true
