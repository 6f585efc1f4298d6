//go:build race

package session_test

// rounds is how often racers race. The race detector makes them many times slower.
const rounds = 50
