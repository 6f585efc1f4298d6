package session

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealed is a pair for whoever comes with the refresh token before it. The key is made of that token's secret, of which
// the store has only a hash. So nobody else can open it, whoever reads the store.
type sealed struct {
	Access string `json:"a"`
	Secret []byte `json:"r"` // of the new refresh token
	OldExp int64  `json:"e"` // of the access token before, in seconds
}

// seal makes what the store has of a pair. The sid is in it, so that it opens in no other session. The nonce is random
// and has 24 bytes: simultaneous refreshes seal different pairs with the same key.
func (p *sealed) seal(with *refreshToken) ([]byte, error) {
	aead, err := with.cipher()
	if err != nil {
		return nil, err
	}
	text, err := encode(p)
	if err != nil {
		return nil, err
	}
	box := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(text)+aead.Overhead())
	_, _ = rand.Read(box) // never fails
	return aead.Seal(box, box, text, []byte(with.sid())), nil
}

// unseal is the reverse of seal. The error is errRecord.
func unseal(box []byte, with *refreshToken) (*sealed, error) {
	aead, err := with.cipher()
	if err != nil {
		return nil, err
	}
	if len(box) < chacha20poly1305.NonceSizeX {
		return nil, errRecord
	}
	nonce, rest := box[:chacha20poly1305.NonceSizeX], box[chacha20poly1305.NonceSizeX:]
	text, err := aead.Open(nil, nonce, rest, []byte(with.sid()))
	if err != nil {
		return nil, errRecord
	}
	p := new(sealed)
	if json.Unmarshal(text, p) != nil || len(p.Secret) != secretSize {
		return nil, errRecord
	}
	return p, nil
}

// cipher is keyed by HKDF (RFC 5869) from the secret.
func (t *refreshToken) cipher() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, t.secret[:], nil, "the pair after a refresh token", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.NewX(key)
}
