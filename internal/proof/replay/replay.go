// Package replay remembers which proofs of DPoP were used, so that each of them is good only once (RFC 9449
// section 11.1). Memory does it for one process, Shared for all nodes that share a store.
//
// Whoever asks has verified the proof and all that the request depends on. Otherwise a stranger could use up the proofs
// of others, and the memory.
package replay

import "errors"

var (
	// ErrUsed means that this proof was used before. It also means that this cannot be ruled out any more, because the
	// time of the proof is over.
	ErrUsed = errors.New("the proof was used before")
	// ErrFull means that there is no room for another proof of this key. It is not known whether the proof was used.
	ErrFull = errors.New("there is no room to remember another proof of this key")
	// ErrUnavailable means that the store did not answer in time. It is not known whether the proof was used.
	ErrUnavailable = errors.New("the store did not say whether the proof was used")
)
