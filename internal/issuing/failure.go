package issuing

import (
	"net/http"
	"time"
)

// Code is what a client may do about a failure. The codes are those of OAuth 2.0 where it has one (RFC 6749 section
// 5.2), or of RFC 9110 status codes.
type Code string

// The codes.
const (
	InvalidRequest         Code = "invalid_request"         // the request breaks a rule that its text names
	UnsupportedGrantType   Code = "unsupported_grant_type"  // grant_type is another one than there is
	InvalidGrant           Code = "invalid_grant"           // wrong user or password, or a refresh token that is no good
	InvalidToken           Code = "invalid_token"           // the access token is no good
	MissingToken           Code = "missing_token"           // there is no access token
	InvalidClient          Code = "invalid_client"          // nobody knows who the client is
	UnauthorizedClient     Code = "unauthorized_client"     // the client must not do this
	InvalidScope           Code = "invalid_scope"           // the client may not have one of the scopes
	InvalidTarget          Code = "invalid_target"          // nor a token for this resource (RFC 8707 section 2)
	InvalidDPoPProof       Code = "invalid_dpop_proof"      // or there is none (RFC 9449 section 5)
	TooManyRequests        Code = "too_many_requests"       // too many attempts, or too many at the same time
	TemporarilyUnavailable Code = "temporarily_unavailable" // trouble on this side
)

// Codes lists every Code.
func Codes() []string {
	return []string{
		string(InvalidRequest), string(UnsupportedGrantType), string(InvalidGrant), string(InvalidToken),
		string(MissingToken), string(InvalidClient), string(UnauthorizedClient), string(InvalidScope), string(InvalidTarget),
		string(InvalidDPoPProof), string(TooManyRequests), string(TemporarilyUnavailable),
	}
}

// Failure is why a request has failed, in words for the client.
type Failure struct {
	// Status is the HTTP status code.
	Status int
	Code   Code
	// Text says what is wrong, and how to mend it. It repeats nothing of the request.
	Text string
	// RetryAfter is when it makes sense to try again; zero if that is unknown.
	RetryAfter time.Duration
	// Cause is for the log. It has neither a password nor a token.
	Cause error
}

// Error has the text and the cause.
func (f *Failure) Error() string {
	if f.Cause != nil {
		return f.Text + ": " + f.Cause.Error()
	}
	return f.Text
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// Bad is a failure with the status 400, as nearly all are that RFC 6749 section 5.2 has. The cause may be nil.
func Bad(code Code, text string, cause error) *Failure {
	return &Failure{Status: http.StatusBadRequest, Code: code, Text: text, Cause: cause}
}

func invalid(text string) *Failure { return Bad(InvalidRequest, text, nil) }

// Wrong is the failure of a sign-in whose user or password is wrong. Nobody learns which of the two.
func Wrong(cause error) *Failure {
	return &Failure{Status: http.StatusUnauthorized, Code: InvalidGrant, Text: "user or password is wrong", Cause: cause}
}

// Spent is the failure of a refresh token that is unknown, expired, used before or revoked.
func Spent(cause error) *Failure {
	return &Failure{
		Status: http.StatusUnauthorized, Code: InvalidGrant, Cause: cause,
		Text: "the refresh token is expired, used before, revoked or otherwise invalid: sign in again",
	}
}

// OtherKey is the failure of a refresh token that is bound to a key which the client has not proved to have.
func OtherKey(cause error) *Failure {
	return Bad(InvalidDPoPProof,
		"the refresh token is bound to a key: send a DPoP proof of that key (RFC 9449 section 5)", cause)
}

// Unavailable is the failure of a request that nobody can decide about now.
func Unavailable(cause error) *Failure {
	return &Failure{
		Status: http.StatusServiceUnavailable, Code: TemporarilyUnavailable, RetryAfter: time.Second, Cause: cause,
		Text: "this cannot be done at the moment: try again",
	}
}

// TooMany is the failure of a client that has to wait.
func TooMany(wait time.Duration, cause error) *Failure {
	return &Failure{
		Status: http.StatusTooManyRequests, Code: TooManyRequests, RetryAfter: wait, Cause: cause,
		Text: "too many attempts: wait, and try again",
	}
}
