// Package keyset says which keys may verify the tokens of one issuer, and keeps them up to date. The keys are written
// in the configuration or in a file, or they are behind a JWKS URL (RFC 7517 section 5) or an issuer's metadata (OpenID
// Connect Discovery 1.0, RFC 8414).
//
// Readers see an immutable Set behind one atomic pointer. A new Set is made in the background. A request may wait for a
// fetch, at most two seconds. It shares the fetch with all others, so cancelling the request does not stop the fetch.
// Each key that a server sends is judged alone. A server that answers with rubbish, or not at all, does not take away
// the keys that it sent before, until they are too old to be trusted.
//
// A stranger can make up key ids and break signatures. That costs a bounded number of fetches and a few bytes of
// memory, and it never delays tokens of known keys. Tokens of a key that is not known yet may have to wait, but
// strangers cannot get them called bad.
package keyset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
)

// maxCandidates is how many keys are tried for one token. There are several when the token has no key id, or when
// several keys have the same one. Each try is a signature check that a stranger can ask for.
const maxCandidates = 16

// Source has the keys of one issuer. It is safe for concurrent use and may be shared by several owners.
type Source interface {
	// Current is the present set: nil while there are no usable keys, or only keys that are too old. It neither blocks
	// nor allocates.
	Current() *Set

	// Find returns the keys that may have made a signature with alg: those with this key id, or, for a token without one
	// (kid empty), all that fit alg. There is at least one, and at most 16. A key without an id is a candidate for every
	// id that no other key has. The slice is shared and must not be changed.
	//
	// Find may wait for a fetch, at most two seconds and no longer than ctx allows. It returns ErrUnknownKey when the
	// issuer has no such key, and *UnavailableError when that cannot be known now.
	Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error)

	// Close stops all background work and waits for its end. It does not wait for an observer. Afterwards there are no
	// keys.
	Close() error
}

// Fetcher is a Source that can fetch when it lacks what a token needs. It bounds how often, so that strangers cannot
// make it ask its server without end. Remote and Discovery are Fetchers.
type Fetcher interface {
	// FindFor is Find, but what it learns counts for this token alone, not for others with the same key id.
	FindFor(ctx context.Context, token Signed) ([]*jose.Key, error)

	// Recheck returns further keys that may have made the token's signature. tried are the candidates so far, none of
	// which has. There is no other way to notice another key under a known id, or any other key for a token without an id.
	//
	// It may wait for a fetch as Find does. Anybody can break a signature, so these fetches have a budget of their own.
	// The error is an *UnavailableError when it has waited for a fetch in vain, and while the last fetch has failed.
	Recheck(ctx context.Context, token Signed, tried []*jose.Key) ([]*jose.Key, error)
}

// Signed is what a source needs to know about a token. The signature stands for the token: nobody has one without the
// other.
type Signed struct {
	Algorithm jose.Algorithm
	KeyID     string
	Signature []byte
}

// Verify finds the key of a source that made the token's signature. In addition to the errors of Find, it returns
// jose.ErrSignature when there are candidates and none of them made it.
//
// When no candidate fits, it asks a Fetcher for other keys. It never tries a key twice.
func Verify(ctx context.Context, source Source, token *jose.Token) (*jose.Key, error) {
	fetcher, can := source.(Fetcher)
	if !can {
		candidates, err := source.Find(ctx, token.Header.Algorithm, token.Header.KeyID)
		if err != nil {
			return nil, err
		}
		key, err := try(candidates, token)
		return key, untrue(err, candidates)
	}
	signed := Signed{token.Header.Algorithm, token.Header.KeyID, token.Signature}
	candidates, err := fetcher.FindFor(ctx, signed)
	if err != nil {
		return nil, err
	}
	key, err := try(candidates, token)
	if !errors.Is(err, jose.ErrSignature) {
		return key, err
	}
	others, err := fetcher.Recheck(ctx, signed, candidates)
	if err != nil {
		return nil, err
	}
	key, err = try(others, token)
	return key, untrue(err, append(candidates[:len(candidates):len(candidates)], others...))
}

// try looks for the key among the candidates, whose number is bounded.
func try(candidates []*jose.Key, token *jose.Token) (*jose.Key, error) {
	err := jose.ErrSignature
	for _, key := range candidates {
		if err = key.Verify(token.Header.Algorithm, token.SigningInput, token.Signature); err == nil {
			return key, nil
		}
	}
	return nil, err
}

var (
	// ErrUnknownKey: the issuer has no key with this id for this algorithm.
	ErrUnknownKey = errors.New("unknown key")

	// ErrUnavailable: it cannot be known now whether the issuer has such a key. Every UnavailableError is one.
	ErrUnavailable = errors.New("keys unavailable")

	// ErrPending: the issuer may have published the key since the last fetch, and nothing can be fetched now. It is the
	// Err of an UnavailableError. Strangers can cause it with invented key ids.
	ErrPending = errors.New("the key is not known yet")

	// ErrNoKeys: the key set has no usable key.
	ErrNoKeys = errors.New("no usable key")

	// ErrFormat: something is not the key set, metadata document or key file that it should be.
	ErrFormat = errors.New("malformed")
)

// UnavailableError says why there are no keys, and when it makes sense to ask again.
type UnavailableError struct {
	RetryAfter time.Duration // at least a second
	Err        error         // the cause, for the log; may be nil

	// FailingSince is when refreshing began to fail. That was logged then. It is zero if refreshing does not fail.
	FailingSince time.Time
}

// Error describes the cause.
func (e *UnavailableError) Error() string {
	if e.Err == nil {
		return ErrUnavailable.Error()
	}
	return fmt.Sprintf("%v: %v", ErrUnavailable, e.Err)
}

// Is makes the error an ErrUnavailable.
func (e *UnavailableError) Is(target error) bool { return target == ErrUnavailable }

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// EventKind is what has happened to a source.
type EventKind uint8

// What can happen. Each event is sent once, when the state begins.
const (
	Ready       EventKind = iota + 1 // the first keys have arrived
	KeysChanged                      // keys came or went, see Added and Removed
	Failing                          // refreshing has begun to fail, see Err
	Recovered                        // refreshing works again
	Expired                          // the keys have become too old to be used
	KeysLeftOut                      // a new set has more keys than the selection takes
	Recalled                         // fetching fails, so keys that were kept before a restart are used, see Fetched
	Unfit                            // fetching fails, and keys that were kept cannot be used, see Err
)

// String is the name of the kind, in snake_case.
func (k EventKind) String() string {
	switch k {
	case Ready:
		return "ready"
	case KeysChanged:
		return "keys_changed"
	case Failing:
		return "failing"
	case Recovered:
		return "recovered"
	case Expired:
		return "expired"
	case KeysLeftOut:
		return "keys_left_out"
	case Recalled:
		return "recalled"
	case Unfit:
		return "unfit"
	default:
		return "invalid"
	}
}

// Event is a change in the state of a source.
type Event struct {
	Kind    EventKind
	Source  string        // the URL, issuer or file that the source was made for
	Keys    int           // how many keys there are now
	Added   []string      // names of the keys that came: the key id, or the start of the thumbprint for a key without one
	Removed []string      // names of the keys that went
	Skipped []Skipped     // Ready, KeysChanged, Recovered, KeysLeftOut: the keys that were not taken
	Err     error         // Failing, Expired, Unfit, and KeysChanged when certificates have ended: the cause
	Since   time.Duration // Ready, Recovered, Expired: how long refreshing has been failing
	Fetched time.Time     // Recalled: when the keys were fetched
}
