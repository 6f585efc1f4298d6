package possession

import (
	"errors"
	"time"
)

// Kind says what is wrong, as far as the client must know it.
type Kind uint8

// The kinds of errors.
const (
	Missing     Kind = iota + 1 // there is no proof that counts here, or the token is bound to nothing
	Invalid                     // the DPoP proof breaks a rule, or is missing
	OtherKey                    // the proof is of another key or certificate
	NeedsNonce                  // the DPoP proof needs a nonce, or another one
	Replayed                    // the DPoP proof was used before
	TooMany                     // too many proofs of this key are in use
	Unavailable                 // it is not known which proofs were used, or which nonces are good
)

// Error is why a token is refused.
type Error struct {
	// Kind says what is wrong.
	Kind Kind
	// Cause has details for operators. It has no part of a token or proof beyond what package proof quotes.
	Cause error
	// RetryAfter is how long the client should wait. It is zero if that is unknown.
	RetryAfter time.Duration
}

// Error returns the text of the cause.
func (e *Error) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// refused makes an error in advance, so that a flood of them allocates nothing.
func refused(kind Kind, text string) *Error { return &Error{Kind: kind, Cause: errors.New(text)} }

var (
	errTypeAlone = refused(Missing, "the token type is DPoP, and no cnf says to which key the token is bound")
	errUnknown   = refused(Missing, "cnf binds the token to something that is not understood, or to nothing")
	errUnbound   = refused(Missing, "the token is bound to no key, and the route accepts only bound ones (proof required)")

	errNoDPoP = refused(Missing, "cnf binds the token to a DPoP key (jkt), and DPoP proofs are not accepted here: "+
		"add \"proof dpop\"")
	errAsBearer = refused(Missing, "cnf binds the token to a DPoP key (jkt), and the token did not come with the scheme "+
		"DPoP of the header Authorization: it is no bearer token")
	errNotForDPoP = refused(Missing, "the token came with the scheme DPoP, and no cnf binds it to a DPoP key (jkt)")
	errNoProof    = refused(Invalid, "the request has no DPoP proof in a header DPoP; a gate before this one removes it")
	errTwoProofs  = refused(Invalid, "the request has more than one header DPoP")
	errNotOpen    = refused(Unavailable, "DPoP proofs cannot be verified here")
	errTwoKeys    = refused(OtherKey, "the token and the answer about it are bound to different DPoP keys")
	errForgotten  = refused(Invalid, "the DPoP proof is from before max_age was raised, so it may have been used")
	errTooLate    = refused(Invalid, "the time of the DPoP proof was over before the request was judged")
	errNoNonce    = refused(NeedsNonce, "the DPoP proof has no nonce, and this route wants one")
	errOldNonce   = refused(NeedsNonce, "the nonce of the DPoP proof is too old, or of another server")

	errNoCertificates = refused(Missing, "cnf binds the token to a client certificate (x5t#S256), and client "+
		"certificates are not asked for here: add \"proof mtls\"")
	errOfProxy = refused(Missing, "cnf binds the token to a client certificate (x5t#S256), and the connection comes from "+
		"a trusted proxy, whose certificate is not the client's: add client_cert_header")
	errNoCertificate = refused(Missing, "cnf binds the token to a client certificate (x5t#S256), and the client has "+
		"shown none: see client_auth of Caddy's tls")
	errNotProxied = refused(Missing, "cnf binds the token to a client certificate (x5t#S256), and the client has shown "+
		"none; client_cert_header counts only from a trusted proxy")
	errTwoCertificates = refused(Missing, "the trusted proxy sent client_cert_header more than once")
	errCertificate     = refused(OtherKey, "the client certificate is not the one to which cnf binds the token (x5t#S256)")
)
