//go:build race

package integration

// raced tells that the race detector is on.
const raced = true
