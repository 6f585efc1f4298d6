// Package opaque has the form of access tokens that only their issuer can read. Such a token is its claims, sealed with
// a key of the issuer. So nobody keeps it: whoever has the key reads the claims, and a token that somebody has made up
// costs no look anywhere.
package opaque

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// SecretSize is the length of a secret, in bytes.
const SecretSize = 32

// Prefix is how all tokens of an issuer begin. It tells the issuers of a gate apart, and lets scanners for secrets find
// a token that was published by mistake. It does not look like a JWT, whose first letter is "e".
func Prefix(issuer string) string {
	sum := sha256.Sum256([]byte("opaque access tokens\x00" + issuer))
	return "oat_" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5])) + "_"
}

// ErrMalformed means that a text is no token of the issuer: it begins in another way, or is not encoded as one.
var ErrMalformed = errors.New("no opaque token of this issuer")

// ErrForged means that a token was not made with the key that it names.
var ErrForged = errors.New("the opaque token was not made with the key that it names")

// SecretOf derives the secret of a key from its private half (RFC 5869). It says nothing about that.
func SecretOf(private []byte) ([SecretSize]byte, error) {
	text, err := hkdf.Key(sha256.New, private, nil, "opaque access tokens", SecretSize)
	if err != nil {
		return [SecretSize]byte{}, err
	}
	return [SecretSize]byte(text), nil
}

// KeyID identifies a key: its thumbprint.
type KeyID = [sha256.Size]byte

// nonceSize is so large that nonces can be chosen at random for as long as a key lives.
const nonceSize = chacha20poly1305.NonceSizeX

// encoding has one form for each token: trailing bits that say nothing must be zero.
var encoding = base64.RawURLEncoding.Strict()

// Seal makes a token of claims.
func Seal(issuer string, id KeyID, secret [SecretSize]byte, claims []byte) (string, error) {
	aead, err := chacha20poly1305.NewX(secret[:])
	if err != nil {
		return "", err
	}
	text := make([]byte, len(id)+nonceSize, len(id)+nonceSize+len(claims)+aead.Overhead())
	copy(text, id[:])
	_, _ = rand.Read(text[len(id):]) // never fails
	return Prefix(issuer) + encoding.EncodeToString(
		aead.Seal(text, text[len(id):], claims, bound(issuer, id))), nil
}

// Token is a token that was taken apart. Nobody has verified it.
type Token struct {
	// ID says which key has sealed it.
	ID KeyID

	issuer string
	nonce  []byte
	box    []byte
}

// Parse takes a token of an issuer apart. The error is ErrMalformed.
func Parse(issuer, token string) (*Token, error) {
	text, is := strings.CutPrefix(token, Prefix(issuer))
	if !is || strings.ContainsAny(text, "\r\n") { // which base64 skips
		return nil, ErrMalformed
	}
	all, err := encoding.DecodeString(text)
	if err != nil || len(all) < len(KeyID{})+nonceSize+chacha20poly1305.Overhead {
		return nil, ErrMalformed
	}
	t := &Token{issuer: issuer, ID: KeyID(all[:len(KeyID{})])}
	all = all[len(t.ID):]
	t.nonce, t.box = all[:nonceSize], all[nonceSize:]
	return t, nil
}

// Open returns the claims. The error is ErrForged if the token was not sealed with this secret, for this issuer, under
// the id of this key.
func (t *Token) Open(secret [SecretSize]byte) ([]byte, error) {
	var aead cipher.AEAD
	aead, err := chacha20poly1305.NewX(secret[:])
	if err != nil {
		return nil, err
	}
	claims, err := aead.Open(nil, t.nonce, t.box, bound(t.issuer, t.ID))
	if err != nil {
		return nil, ErrForged
	}
	return claims, nil
}

// bound is what a token is bound to beside its key.
func bound(issuer string, id KeyID) []byte {
	return append([]byte("access token\x00"+issuer+"\x00"), id[:]...)
}
