// Package nonce makes and checks the nonces that a server gives to clients for their proofs (RFC 9449 section 9). It
// keeps none of them. A nonce is the authentication code of a step of time under a secret key, so all nodes with the
// same secret know the nonces of each other, and nobody else knows one before it was handed out.
package nonce

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"
)

// State is what is known of a nonce that a client has sent.
type State uint8

const (
	// Unknown is a nonce that is forged, too old, from the future, for another lifetime, or from another server.
	Unknown State = iota
	// Stale is a good nonce, but there is a newer one that the client should get.
	Stale
	// Fresh is a good nonce.
	Fresh
)

// Source makes and checks nonces. It is safe for concurrent use.
//
// A new nonce begins every half lifetime. So each is good for at least half of its lifetime after it was handed out,
// and at most for all of it. A node whose clock is ahead has the next nonce too early. That is good, too, from 5 s
// before it begins, or from a quarter of the lifetime if that is less.
type Source struct {
	secret  secret
	windows [windows]atomic.Pointer[window]
}

const (
	// windows is how many lifetimes have their nonces at hand. With more, some are made again for each call.
	windows = 16
	// ahead is how far the clocks of other nodes may be ahead.
	ahead = 5 * time.Second
	// tagSize is a multiple of 3, so that its text has no bits to spare.
	tagSize = 24
	// Size is how many characters a nonce has, all of them from the alphabet of base64url.
	Size = tagSize / 3 * 4
	// domain begins what is authenticated.
	domain = "a nonce for proofs of DPoP\n"
)

// Bounds of a lifetime.
const (
	MinLifetime = time.Second
	MaxLifetime = 24 * time.Hour
)

var errLifetime = errors.New("the lifetime of a nonce is from 1 s to 24 h")

// NewSource makes a Source. secret gives the 32 bytes from which nonces are made. It is called when they are needed
// first, and again at most once in a second until it has given them. Its context ends after 5 s.
func NewSource(from func(context.Context) ([32]byte, error)) *Source {
	return &Source{secret: secret{from: from}}
}

// Issue returns the nonce for a client. The lifetime is from 1 s to 24 h. The error says that the lifetime is not, is
// that of the secret, or that of the context, which ends the waiting for the secret.
func (s *Source) Issue(ctx context.Context, now time.Time, lifetime time.Duration) (string, error) {
	w, err := s.window(ctx, now, lifetime)
	if err != nil {
		return "", err
	}
	return w.current, nil
}

// Check judges a nonce. The lifetime must be the one with which it was made. The error is like that of Issue; the state
// is Unknown then, and says nothing about the nonce.
func (s *Source) Check(ctx context.Context, nonce string, now time.Time, lifetime time.Duration) (State, error) {
	w, err := s.window(ctx, now, lifetime)
	if err != nil {
		return Unknown, err
	}
	if len(nonce) != Size {
		return Unknown, nil
	}
	state := Unknown
	early := w.early(now)
	switch {
	case equal(nonce, w.current), early && equal(nonce, w.next):
		state = Fresh
	case equal(nonce, w.previous):
		state = Stale
	}
	return state, nil
}

// equal compares in constant time. Both have the same length.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// window has the nonces of one lifetime that are good, or will be soon.
type window struct {
	lifetime                time.Duration
	step                    int64
	previous, current, next string
}

// early reports whether a node with a clock that is ahead may have the next nonce already.
func (w *window) early(now time.Time) bool {
	half := halfOf(w.lifetime)
	left := (w.step+1)*half - now.UnixMilli()
	return left <= min(ahead.Milliseconds(), half/2)
}

// halfOf is half of a lifetime in milliseconds.
func halfOf(lifetime time.Duration) int64 { return lifetime.Milliseconds() / 2 }

// window returns the nonces for a time.
func (s *Source) window(ctx context.Context, now time.Time, lifetime time.Duration) (*window, error) {
	if lifetime < MinLifetime || lifetime > MaxLifetime {
		return nil, errLifetime
	}
	half := halfOf(lifetime)
	step := now.UnixMilli() / half
	kept := &s.windows[uint64(lifetime.Milliseconds())*0x9e3779b97f4a7c15>>32%windows]
	if w := kept.Load(); w != nil && w.lifetime == lifetime && w.step == step {
		return w, nil
	}
	key, err := s.secret.get(ctx)
	if err != nil {
		return nil, err
	}
	w := &window{
		lifetime: lifetime, step: step,
		previous: textOf(key, lifetime, step-1), current: textOf(key, lifetime, step), next: textOf(key, lifetime, step+1),
	}
	kept.Store(w)
	return w, nil
}

// textOf is the nonce of a step. Nobody without the key can tell it, nor learn the key from others.
func textOf(key *[32]byte, lifetime time.Duration, step int64) string {
	h := hmac.New(sha256.New, key[:])
	text := append([]byte(nil), domain...)
	text = binary.BigEndian.AppendUint64(text, uint64(lifetime))
	text = binary.BigEndian.AppendUint64(text, uint64(step))
	_, _ = h.Write(text) // never fails
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:tagSize])
}
