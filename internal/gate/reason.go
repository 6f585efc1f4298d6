package gate

import (
	"errors"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// Reason says which rule refused a request. Its text is stable and snake_case: operators match on it in
// {http.auth.bearer.reason}, in logs and in handle_errors. A Reason is an error, so that errors.Is(err, gate.Expired)
// works on everything that Check returns.
type Reason string

// Error gives the stable text.
func (r Reason) Error() string { return string(r) }

// The reasons, in the order in which a request meets the rules.
const (
	MalformedRequest         Reason = "malformed_request"         // not one well-formed credential, or not origin form
	BodyTooLarge             Reason = "body_too_large"            // a form that may hold the token is longer than is read
	Overloaded               Reason = "overloaded"                // forms that may hold a token take all they may
	MissingToken             Reason = "missing_token"             // no credential where one may be
	MalformedToken           Reason = "malformed_token"           // not a strict JWT
	UnsupportedAlgorithm     Reason = "unsupported_algorithm"     // alg unknown, or not allowed here
	InvalidType              Reason = "invalid_type"              // another kind of JWT, or not the typ asked for
	UnknownIssuer            Reason = "unknown_issuer"            // nobody configured here vouches for the token
	UnknownKey               Reason = "unknown_key"               // the issuer has no such key, freshly asked
	InvalidSignature         Reason = "invalid_signature"         // the signature does not verify
	Expired                  Reason = "expired"                   // exp reached
	NotYetValid              Reason = "not_yet_valid"             // nbf ahead, or iat in the future
	LifetimeTooLong          Reason = "lifetime_too_long"         // longer than max_lifetime
	InvalidIssuer            Reason = "invalid_issuer"            // the answer names another issuer
	InvalidAudience          Reason = "invalid_audience"          // not meant for this route
	MissingClaim             Reason = "missing_claim"             // a claim that must be there is not
	ProofRequired            Reason = "proof_required"            // bound to a key (cnf): not a bearer token
	Inactive                 Reason = "inactive"                  // the authorization server says so
	Contradiction            Reason = "contradiction"             // token and introspection answer disagree
	UnsafeClaim              Reason = "unsafe_claim"              // a claim that must not become a header value
	InsufficientScope        Reason = "insufficient_scope"        // the route requires more scope
	ClaimMismatch            Reason = "claim_mismatch"            // the route requires another claim value or group
	KeyPending               Reason = "key_pending"               // the issuer may have published the key just now
	KeysUnavailable          Reason = "keys_unavailable"          // no usable keys of the issuer
	IntrospectionUnavailable Reason = "introspection_unavailable" // the authorization server is down or overloaded
	IntrospectionFailed      Reason = "introspection_failed"      // it broke the protocol, or refused our credentials
	IntrospectionTimeout     Reason = "introspection_timeout"     // it did not answer in time
	ClientGone               Reason = "client_gone"               // the client left before there was an answer
	InternalError            Reason = "internal_error"            // a fault of ours
)

// Reasons lists every Reason, for documentation and its test.
func Reasons() []Reason {
	return []Reason{
		MalformedRequest, BodyTooLarge, Overloaded, MissingToken, MalformedToken, UnsupportedAlgorithm, InvalidType,
		UnknownIssuer, UnknownKey, InvalidSignature, Expired, NotYetValid, LifetimeTooLong, InvalidIssuer, InvalidAudience,
		MissingClaim, ProofRequired, Inactive, Contradiction, UnsafeClaim, InsufficientScope, ClaimMismatch, KeyPending,
		KeysUnavailable,
		IntrospectionUnavailable, IntrospectionFailed, IntrospectionTimeout, ClientGone, InternalError,
	}
}

// Failure is the one error type of the gate: a Reason, and a cause with details. Neither is for clients.
type Failure struct {
	// Reason is the rule that refused.
	Reason Reason
	// Cause tells operators more; nil when the Reason says it all. It never holds any part of a token.
	Cause error
	// Issuer is the configured name of the party that was to vouch for the token: an issuer, or a credential's key.
	// Empty when nobody was found.
	Issuer string
	// KeyID is the token's kid, cut to 64 bytes. It comes from the client: for logs only.
	KeyID string
	// Token is a short keyed fingerprint of the token that ties log lines together, never a part of its text.
	Token string
	// Challenge is what the rule asks the client for, in place of what the Reason says; nil for the latter. The realm
	// is that of the gate.
	Challenge *bearer.Challenge
	// RetryAfter is how long a client should wait when the trouble is ours; zero when nothing is known.
	RetryAfter time.Duration
}

// Error gives the Reason alone. It is for logs and tests: what a client may know is in Answer.
func (f *Failure) Error() string { return "bearer_auth: " + string(f.Reason) }

// Unwrap lets errors.Is find the Reason and the cause.
func (f *Failure) Unwrap() []error {
	if f.Cause == nil {
		return []error{f.Reason}
	}
	return []error{f.Reason, f.Cause}
}

// fail builds a Failure; the detail may be nil.
func fail(reason Reason, cause error) *Failure { return &Failure{Reason: reason, Cause: cause} }

// FailureOf turns any error of the pipeline into a Failure. What is not one is a fault of ours: it fails closed.
func FailureOf(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return fail(InternalError, err)
}
