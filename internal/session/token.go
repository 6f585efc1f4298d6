package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// The parts of a refresh token, in bytes.
const (
	handleSize  = 16
	secretSize  = 32
	tokenLength = (handleSize + secretSize) / 3 * 4 // characters
	sidSize     = 18                                // bytes of a hash, in 24 characters
	sidLength   = sidSize / 3 * 4
)

// refreshToken is a refresh token. All of a session have the same handle, which finds the record. Each has a secret of
// its own: 256 random bits, more than anybody can guess (RFC 9700 section 4.14.2, RFC 6749 section 10.10).
type refreshToken struct {
	handle [handleSize]byte
	secret [secretSize]byte
}

// newToken makes the first refresh token of a session.
func newToken() (t refreshToken) {
	_, _ = rand.Read(t.handle[:]) // never fails
	return t.next()
}

// next makes another refresh token of the same session.
func (t refreshToken) next() refreshToken {
	_, _ = rand.Read(t.secret[:]) // never fails
	return t
}

// parse reads a refresh token. No two texts give the same one: 48 bytes leave no unused bits at the end, and a text of
// the right length with a line break, which base64 skips, has too few bytes.
func parse(text string) (t refreshToken, err error) {
	var all [tokenLength]byte
	if len(text) != tokenLength {
		return t, fmt.Errorf("%w: it has %d bytes, want %d", ErrMalformed, len(text), tokenLength)
	}
	n, err := base64.RawURLEncoding.Decode(all[:], []byte(text))
	if err != nil || n != handleSize+secretSize {
		return t, fmt.Errorf("%w: it is not base64url without padding", ErrMalformed)
	}
	copy(t.handle[:], all[:])
	copy(t.secret[:], all[handleSize:])
	return t, nil
}

// text is the token as a client gets it.
func (t *refreshToken) text() string {
	return base64.RawURLEncoding.EncodeToString(append(t.handle[:], t.secret[:]...))
}

// sid names the session in public: it is a claim of access tokens. Nobody finds the handle from it.
func (t *refreshToken) sid() string {
	sum := sha256.Sum256(append([]byte("session\x00"), t.handle[:]...))
	return base64.RawURLEncoding.EncodeToString(sum[:sidSize])
}

// hash is what the store has of the secret. It needs no salt and no slow hash: nobody can try 2^256 secrets.
func (t *refreshToken) hash() [sha256.Size]byte { return sha256.Sum256(t.secret[:]) }

// SIDOf returns the sid of the session that a refresh token belongs to, for a logout with it (RFC 7009 section
// 2.1). It does not say whether the token or the session is good. Whoever has a token of a session may end it with
// this, also one that was used. The error is ErrMalformed.
func SIDOf(token string) (sid string, err error) {
	t, err := parse(token)
	if err != nil {
		return "", err
	}
	return t.sid(), nil
}

// checkSID refuses what no session is called, with ErrMalformed.
func checkSID(sid string) error {
	raw, err := base64.RawURLEncoding.DecodeString(sid)
	if err != nil || len(sid) != sidLength || len(raw) != sidSize {
		return fmt.Errorf("%w: nor is it the sid of a session, which has %d characters of base64url", ErrMalformed, sidLength)
	}
	return nil
}
