//go:build race

package integration

// raced reports whether the race detector is on.
const raced = true
