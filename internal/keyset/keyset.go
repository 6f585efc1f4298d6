// Package keyset says which keys may verify a token of one issuer, and keeps them up to date: keys written in the
// configuration, in a file, behind a JWKS URL (RFC 7517 section 5), or behind an issuer's metadata (OpenID Connect
// Discovery 1.0, RFC 8414).
//
// Readers see an immutable Set behind one atomic pointer. A new Set is made in the background. A request waits at most
// for a fetch that it shares with all others, for two seconds at the most, and cancelling the request does not stop the
// fetch. Each key that a server sends is judged alone. A server that answers with rubbish, or not at all, does not take
// away the keys that it gave before, until they are too old to be trusted.
//
// A stranger can make up key ids and break signatures. That costs a bounded number of fetches and a few bytes of
// memory, and it never delays tokens of known keys. Tokens of a key that is not known yet may have to wait, but are
// never called bad because of it.
package keyset

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
)

// maxCandidates is how many keys are tried for one token: for a token without a key id, or when several keys have the
// same one. Each try is a signature check that a stranger can ask for.
const maxCandidates = 16

// Source gives the keys of one issuer. It is safe for concurrent use and may be shared by several owners.
type Source interface {
	// Current is the present set: nil while there are no usable keys, or only keys that are too old. It neither blocks
	// nor allocates.
	Current() *Set

	// Find gives the keys that may have made a signature with alg: those with this key id, or for a token without one
	// (kid empty) all that fit alg; never none and at most 16. A key that has no id of its own is a candidate for every
	// id that no other key has. The slice is shared and must not be changed.
	//
	// It may wait for a fetch, within ctx and for two seconds at the most. It returns ErrUnknownKey when the issuer has no
	// such key, and *UnavailableError when nobody can know that now.
	Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error)

	// Close stops all background work and waits for its end. It does not wait for an observer. Afterwards there are no
	// keys.
	Close() error
}

// Fetcher is a Source that can fetch when it has not got what a token needs. It bounds how often, so that strangers
// cannot have it ask its server without end. Remote and Discovery are Fetchers.
type Fetcher interface {
	// FindFor is Find for one token, and not for others with the same key id.
	FindFor(ctx context.Context, token Signed) ([]*jose.Key, error)

	// Recheck gives keys that may have made the token's signature and are not among those tried, none of which has. It
	// may wait for a fetch as Find does: another key under a known id, and any other for a token without one, show in no
	// other way. Everybody can break a signature, so these fetches have a budget of their own. There is an
	// *UnavailableError when it has waited for a fetch in vain, and while the last fetch has failed.
	Recheck(ctx context.Context, token Signed, tried []*jose.Key) ([]*jose.Key, error)
}

// Signed is what a source has to know of a token. The signature stands for the token: nobody has one without the other.
type Signed struct {
	Algorithm jose.Algorithm
	KeyID     string
	Signature []byte
}

// Verify finds the key of a source that made the token's signature. Beside the errors of Find there is
// jose.ErrSignature, when there are candidates and none of them made it.
//
// A Fetcher is asked for other keys when none of those at hand fits. A signature is tried again only with keys that
// were not tried before.
func Verify(ctx context.Context, source Source, token *jose.Token) (*jose.Key, error) {
	fetcher, can := source.(Fetcher)
	if !can {
		candidates, err := source.Find(ctx, token.Header.Algorithm, token.Header.KeyID)
		if err != nil {
			return nil, err
		}
		return try(candidates, token)
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
	return try(others, token)
}

// try looks for the key among the candidates, of which there is a bounded number.
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

	// ErrUnavailable: nobody can know now whether the issuer has such a key. Every UnavailableError is one.
	ErrUnavailable = errors.New("keys unavailable")

	// ErrPending: the issuer may have published the key since the last fetch, and nothing can be fetched now. It is the
	// Err of an UnavailableError. Strangers can cause it with key ids that they invent.
	ErrPending = errors.New("the key is not known yet")

	// ErrNoKeys: there is no usable key in what was to be a key set.
	ErrNoKeys = errors.New("no usable key")

	// ErrFormat: what was to be a key set, a metadata document or a key file is something else.
	ErrFormat = errors.New("malformed")
)

// UnavailableError says why there are no keys, and when it makes sense to ask again.
type UnavailableError struct {
	RetryAfter time.Duration // at least a second
	Err        error         // the cause, for the log; may be nil
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

// Unwrap gives the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// EventKind is what has happened to a source.
type EventKind uint8

// What can happen. There is one event for each, when it begins.
const (
	Ready       EventKind = iota + 1 // the first keys are there
	KeysChanged                      // keys came or went, see Added and Removed
	Failing                          // refreshing has begun to fail, see Err
	Recovered                        // refreshing works again
	Expired                          // the keys have become too old to be used
	KeysLeftOut                      // a new set has more keys than are taken
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
	Skipped []Skipped     // what could not be used, when the keys were read
	Err     error         // why it is failing
	Since   time.Duration // Ready, Recovered, Expired: for how long it has been failing
}
