package logout

import (
	"context"
	"errors"
	"strings"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// Reason says why a logout request was refused. Its text is in snake_case and never changes: operators match on it in
// logs and metrics. A Reason is an error, so errors.Is(err, logout.Expired) works.
type Reason string

// Error returns the text.
func (r Reason) Error() string { return string(r) }

// The reasons, roughly in the order in which a request meets the rules.
const (
	MethodNotAllowed     Reason = "method_not_allowed"    // not POST
	MalformedRequest     Reason = "malformed_request"     // not a form with exactly one well-formed token
	BodyTooLarge         Reason = "body_too_large"        // a body of more than 64 KiB
	Overloaded           Reason = "overloaded"            // bodies of all clients use all memory they may
	MalformedToken       Reason = "malformed_token"       // not a strict JWT
	UnsupportedAlgorithm Reason = "unsupported_algorithm" // alg unknown, or not allowed here
	InvalidType          Reason = "invalid_type"          // another kind of JWT than a logout token
	InvalidIssuer        Reason = "invalid_issuer"        // of another issuer
	InvalidAudience      Reason = "invalid_audience"      // for another client
	InvalidClaim         Reason = "invalid_claim"         // a claim that is not what the specification says
	MissingClaim         Reason = "missing_claim"         // a claim that must be there is not
	NotYetValid          Reason = "not_yet_valid"         // nbf ahead, or iat in the future
	Expired              Reason = "expired"               // exp reached, or iat too long ago
	UnknownKey           Reason = "unknown_key"           // the issuer has no such key, by a fresh key set
	InvalidSignature     Reason = "invalid_signature"     // the signature does not verify
	KeyPending           Reason = "key_pending"           // the issuer may have published the key just now
	KeysUnavailable      Reason = "keys_unavailable"      // the issuer's keys cannot be had now
	ClientGone           Reason = "client_gone"           // the client left before there was a verdict
	StoreFailed          Reason = "store_failed"          // it is not known or not kept whether the token came before
	RevocationFailed     Reason = "revocation_failed"     // Revoke failed: the session may live on
)

// Reasons lists every Reason, in the order above.
func Reasons() []Reason {
	return []Reason{
		MethodNotAllowed, MalformedRequest, BodyTooLarge, Overloaded, MalformedToken, UnsupportedAlgorithm, InvalidType,
		InvalidIssuer, InvalidAudience, InvalidClaim, MissingClaim, NotYetValid, Expired, UnknownKey, InvalidSignature,
		KeyPending, KeysUnavailable, ClientGone, StoreFailed, RevocationFailed,
	}
}

// OnOurSide reports whether the fault is on our side. A session that the server has ended may then live on here until
// the server tries again, so somebody should be told. KeyPending is not among them: strangers can cause it with
// invented key ids.
func (r Reason) OnOurSide() bool {
	switch r {
	case Overloaded, KeysUnavailable, StoreFailed, RevocationFailed:
		return true
	}
	return false
}

// Failure is the one error type of this package: a Reason, and a cause with details.
type Failure struct {
	// Reason is the rule that refused the request.
	Reason Reason
	// Cause has details for operators, and none of them are for the client. Of the token it may repeat iss, aud, alg and
	// typ, cut and quoted. It is never nil.
	Cause error
}

// Error has both.
func (f *Failure) Error() string { return "logout: " + string(f.Reason) + ": " + f.Cause.Error() }

// Unwrap lets errors.Is find the Reason and the cause.
func (f *Failure) Unwrap() []error { return []error{f.Reason, f.Cause} }

func fail(reason Reason, cause error) *Failure { return &Failure{reason, cause} }

// parseFailure turns an error of jose.Parse into a failure.
func parseFailure(token *jose.Token, err error) error {
	switch {
	case errors.Is(err, jose.ErrAlgorithm):
		return fail(UnsupportedAlgorithm, err)
	case errors.Is(err, jose.ErrType):
		typ, _ := token.Header.Text("typ")
		return otherType(typ)
	}
	return fail(MalformedToken, err)
}

// claimFailure turns an error of the package claims into a failure.
func claimFailure(err error) error {
	for _, rule := range []struct {
		is     error
		reason Reason
	}{
		{claims.ErrMissing, MissingClaim}, {claims.ErrExpired, Expired}, {claims.ErrNotYetValid, NotYetValid},
		{claims.ErrIssuer, InvalidIssuer}, {claims.ErrAudience, InvalidAudience},
	} {
		if errors.Is(err, rule.is) {
			return fail(rule.reason, err)
		}
	}
	return fail(MalformedToken, err)
}

// keyFailure turns an error of keyset.Verify into a failure. A client that leaves while keys are fetched is no trouble
// of ours.
func keyFailure(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, keyset.ErrUnknownKey):
		return fail(UnknownKey, err)
	case errors.Is(err, jose.ErrSignature), errors.Is(err, jose.ErrKeyAlgorithm):
		return fail(InvalidSignature, err)
	case errors.Is(ctx.Err(), context.Canceled):
		return fail(ClientGone, err)
	case errors.Is(err, keyset.ErrPending):
		return fail(KeyPending, err)
	}
	return fail(KeysUnavailable, err)
}

func isBlank(text string) bool { return strings.TrimSpace(text) == "" }
