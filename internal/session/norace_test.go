//go:build !race

package session_test

const rounds = 1000
