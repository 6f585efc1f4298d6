package gate

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// Reason says which rule refused a request. Its text is in snake_case and never changes: operators match on it in
// {http.auth.bearer.reason}, in logs and in handle_errors. A Reason is an error, so errors.Is(err, gate.Expired) works
// for every error of Check.
type Reason string

// Error returns the text.
func (r Reason) Error() string { return string(r) }

// The reasons, roughly in the order in which a request meets the rules.
const (
	MalformedRequest     Reason = "malformed_request"     // not one well-formed credential, or not origin form
	BodyTooLarge         Reason = "body_too_large"        // a body that must be read exceeds the limit
	Overloaded           Reason = "overloaded"            // bodies use all memory they may, or decryptions all turns
	MissingToken         Reason = "missing_token"         // no credential in any of the places
	PlainHTTP            Reason = "plain_http"            // the token came over http without TLS
	CrossOrigin          Reason = "cross_origin"          // a page of another origin sent the cookie
	MalformedToken       Reason = "malformed_token"       // not a strict JWT
	DecryptionFailed     Reason = "decryption_failed"     // encrypted, and no key here opens it
	NotEncrypted         Reason = "not_encrypted"         // and tokens of its issuer must be
	UnsupportedAlgorithm Reason = "unsupported_algorithm" // alg unknown, or not allowed here
	InvalidType          Reason = "invalid_type"          // another kind of JWT, or not a typ that is allowed
	UnknownIssuer        Reason = "unknown_issuer"        // no configured party vouches for the token
	UnknownKey           Reason = "unknown_key"           // the issuer has no such key, by a fresh key set
	InvalidSignature     Reason = "invalid_signature"     // the signature does not verify
	Expired              Reason = "expired"               // exp reached
	NotYetValid          Reason = "not_yet_valid"         // nbf ahead, or iat in the future
	LifetimeTooLong      Reason = "lifetime_too_long"     // longer than max_lifetime
	InvalidIssuer        Reason = "invalid_issuer"        // the answer names another issuer
	InvalidAudience      Reason = "invalid_audience"      // not meant for this route
	MissingClaim         Reason = "missing_claim"         // a claim that must be present is not
	ProofRequired        Reason = "proof_required"        // bound to a key (cnf) without a proof that counts here
	InvalidProof         Reason = "invalid_proof"         // the DPoP proof breaks a rule
	OtherKey             Reason = "other_key"             // the proof is of another key or certificate
	NonceRequired        Reason = "nonce_required"        // the DPoP proof needs a nonce of ours
	ProofReplayed        Reason = "proof_replayed"        // the DPoP proof was used before
	TooManyProofs        Reason = "too_many_proofs"       // more DPoP proofs of one key than are remembered
	Revoked              Reason = "revoked"               // revoked here before it expired
	Inactive             Reason = "inactive"              // the authorization server says so
	Contradiction        Reason = "contradiction"         // token and answer disagree, or header and content
	UnknownConsumer      Reason = "unknown_consumer"      // the token of an issuer names no consumer
	UnsafeClaim          Reason = "unsafe_claim"          // a claim that must not become a header value

	// InsufficientUserAuthentication means that the user must sign in again, or in another way (RFC 9470).
	InsufficientUserAuthentication Reason = "insufficient_user_authentication"

	InsufficientScope        Reason = "insufficient_scope"        // the route requires more scopes
	ClaimMismatch            Reason = "claim_mismatch"            // the route requires another claim value or group
	MalformedMessage         Reason = "malformed_message"         // not one well-formed MCP message
	ToolDenied               Reason = "tool_denied"               // an MCP tool that nobody may run
	KeyPending               Reason = "key_pending"               // the issuer may have published the key just now
	KeysUnavailable          Reason = "keys_unavailable"          // the gate has no usable keys of the issuer
	RevocationsUnavailable   Reason = "revocations_unavailable"   // it is not known which tokens are revoked
	ProofsUnavailable        Reason = "proofs_unavailable"        // it is not known which DPoP proofs were used
	IntrospectionUnavailable Reason = "introspection_unavailable" // the authorization server is down or overloaded
	IntrospectionFailed      Reason = "introspection_failed"      // that server broke the protocol, or refused us
	IntrospectionTimeout     Reason = "introspection_timeout"     // that server did not answer in time
	ClientGone               Reason = "client_gone"               // the client left before there was an answer
	InternalError            Reason = "internal_error"            // a fault of ours
)

// Reasons lists every Reason, in the order above.
func Reasons() []Reason {
	return []Reason{
		MalformedRequest, BodyTooLarge, Overloaded, MissingToken, PlainHTTP, CrossOrigin, MalformedToken, DecryptionFailed,
		NotEncrypted, UnsupportedAlgorithm,
		InvalidType, UnknownIssuer, UnknownKey, InvalidSignature, Expired, NotYetValid, LifetimeTooLong, InvalidIssuer,
		InvalidAudience, MissingClaim, ProofRequired, InvalidProof, OtherKey, NonceRequired, ProofReplayed, TooManyProofs,
		Revoked, Inactive, Contradiction, UnknownConsumer, UnsafeClaim,
		InsufficientUserAuthentication, InsufficientScope, ClaimMismatch,
		MalformedMessage, ToolDenied, KeyPending, KeysUnavailable, RevocationsUnavailable, ProofsUnavailable,
		IntrospectionUnavailable, IntrospectionFailed, IntrospectionTimeout, ClientGone, InternalError,
	}
}

// IsTrouble reports whether operators should look at a refusal: its fault is on our side. A key that is not known yet
// is not trouble, because strangers can invent key ids.
func (r Reason) IsTrouble() bool {
	switch r {
	case Overloaded, KeysUnavailable, RevocationsUnavailable, ProofsUnavailable, IntrospectionUnavailable,
		IntrospectionFailed, IntrospectionTimeout, InternalError:
		return true
	}
	return false
}

// IsWarned reports whether a refusal is a warning in the log: operators should look at it, or revoke the token.
func (r Reason) IsWarned() bool { return r.IsTrouble() || r == PlainHTTP }

// Failure is the one error type of the gate: a Reason, and a cause with details. Neither is for clients.
type Failure struct {
	// Reason is the rule that refused the request.
	Reason Reason
	// Cause has details for operators: what came, and what was expected. It is nil if the Reason says it all. It may
	// repeat texts of the token, but no more than a few of its iss, aud, alg, typ, kid, acr, key claim, ConsumerClaim and
	// scopes, cut and quoted. It never has a part of the token as it was sent, such as its signature.
	Cause error
	// Issuer is the configured name of the party that was to vouch for the token: an issuer, or a credential's key. For
	// one of several tenants it is the token's iss, where the tenant is a stranger's text. It is empty if no party was
	// found.
	Issuer string
	// KeyID is the token's kid, cut to 64 bytes. It comes from the client, so it is for logs only.
	KeyID string
	// Token is a short keyed fingerprint of the token, by which log lines can be matched. It is no part of its text.
	Token string
	// Off is how long ago a token with the Reason Expired has expired. With NotYetValid, it is negative: by how much the
	// token is ahead of our clock. The token is verified.
	Off time.Duration
	// Reply changes the answer to the client. Nil keeps the one that belongs to the Reason.
	Reply *Reply
	// RetryAfter is how long a client should wait if the fault is on our side. It is zero if that is unknown.
	RetryAfter time.Duration

	countsAsNone bool // the token has expired, nothing else is wrong with it, and so the request passes without identity
	withDPoP     bool // the token came with the scheme DPoP
}

// Reply is what one failure tells the client beside what its Reason tells.
type Reply struct {
	// Challenges replace the challenge that belongs to the Reason, except for the realm, which is always the gate's. Nil
	// keeps that of the Reason. An answer with status 503 has no challenge.
	Challenges []bearer.Challenge
	// Header has other fields, such as DPoP-Nonce (RFC 9449 section 8). The gate's own fields replace those of the same
	// name.
	Header http.Header
}

// replyWith adds a field to the answer. A Reply may belong to several failures, so it is copied.
func (f *Failure) replyWith(name, value string) {
	if value == "" {
		return
	}
	reply := Reply{Header: http.Header{name: {value}}}
	if f.Reply != nil {
		reply.Challenges = f.Reply.Challenges
		for other, values := range f.Reply.Header {
			reply.Header[other] = values
		}
	}
	f.Reply = &reply
}

// Error returns the Reason alone. It is for logs and tests; what a client may know is in Answer.
func (f *Failure) Error() string { return "bearer_auth: " + string(f.Reason) }

// Unwrap lets errors.Is find the Reason and the cause.
func (f *Failure) Unwrap() []error {
	if f.Cause == nil {
		return []error{f.Reason}
	}
	return []error{f.Reason, f.Cause}
}

// fail makes a Failure. The cause may be nil.
func fail(reason Reason, cause error) *Failure { return &Failure{Reason: reason, Cause: cause} }

// FailureOf turns any error of the pipeline into a Failure. An error of another type is a fault of ours; it becomes an
// InternalError, which refuses the request.
func FailureOf(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return fail(InternalError, err)
}
