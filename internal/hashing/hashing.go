// Package hashing has the hashes of this process: of tokens, to find them again without keeping them; of secrets, to
// compare them; and of whole configurations, to know whether two are the same.
//
// All are keyed by one secret that lives as long as the process and is never stored. So a hash reveals nothing about
// what was hashed, and a restart changes every hash.
package hashing

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// processKey is the secret behind all hashes. Use Key instead, so that no two purposes share a key.
var processKey = sync.OnceValue(func() []byte {
	key := make([]byte, sha256.Size)
	_, _ = rand.Read(key) // crypto/rand.Read never fails: it ends the process instead
	return key
})

// Key derives a secret key for one purpose. It is the same for the life of the process.
func Key(purpose string) [32]byte { return Secret(purpose, nil) }

// Secret hashes a secret for one purpose, so that two secrets can be compared. Nobody outside of this process can find
// the secret from the hash by guessing.
func Secret(purpose string, secret []byte) [32]byte {
	w := NewWriter(purpose)
	w.Bytes(secret)
	return w.Sum()
}

// Writer hashes a sequence of values with HMAC-SHA256. Each text is preceded by its length, so no two sequences of
// values of the same types look alike.
type Writer struct{ mac hash.Hash }

// NewWriter begins a hash for one purpose.
func NewWriter(purpose string) Writer {
	w := Writer{hmac.New(sha256.New, processKey())}
	w.Text(purpose)
	return w
}

// Text adds a text.
func (w Writer) Text(s string) { w.Bytes([]byte(s)) }

// Bytes adds a text.
func (w Writer) Bytes(b []byte) {
	w.Number(uint64(len(b)))
	w.mac.Write(b)
}

// Number adds a number.
func (w Writer) Number(n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	w.mac.Write(b[:])
}

// Flag adds a boolean.
func (w Writer) Flag(b bool) {
	if b {
		w.Number(1)
	} else {
		w.Number(0)
	}
}

// Sum returns the hash of what was added so far.
func (w Writer) Sum() (sum [32]byte) {
	w.mac.Sum(sum[:0])
	return sum
}
