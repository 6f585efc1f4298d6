package hashing

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"sync"
)

// TokenHash stands for a token in caches, which do not keep its text.
type TokenHash [16]byte

// Tokens hashes tokens under one key. It is safe for concurrent use.
//
// The hash is GMAC (NIST SP 800-38D) with a constant nonce. Whoever saw its hashes could compute the key, but no hash
// leaves the process. To those who see none, GMAC is a universal hash under a secret key: any two tokens that a
// stranger chooses collide with a probability of about 2^-118. It costs a quarter of SHA-256.
type Tokens struct{ aead cipher.AEAD }

const nonceSize = 12

// NewTokens makes the hash for a purpose and settings. Hashes under other settings are unrelated. It fails where GMAC
// with a given nonce is not allowed.
func NewTokens(purpose string, settings [32]byte) (*Tokens, error) {
	key := Secret(purpose, settings[:])
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("hashing tokens: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("hashing tokens: %w", err)
	}
	return &Tokens{aead}, nil
}

// buffers hold the memory in which tokens are hashed.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// maxBuffer is the largest buffer that is kept, so that a few giant tokens do not pin memory.
const maxBuffer = 64 << 10

// Hash hashes a token. It allocates nothing, unless the token is longer than those before.
func (t *Tokens) Hash(token string) (key TokenHash) {
	buf := buffers.Get().(*[]byte)
	*buf = append((*buf)[:0], make([]byte, nonceSize)...)
	*buf = append(*buf, token...)
	n := len(*buf)
	*buf = t.aead.Seal(*buf, (*buf)[:nonceSize], nil, (*buf)[nonceSize:n])
	copy(key[:], (*buf)[n:])
	if cap(*buf) <= maxBuffer {
		clear(*buf) // unused memory must not contain a token
		buffers.Put(buf)
	}
	return key
}
