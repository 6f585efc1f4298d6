package introspect

import (
	"errors"
	"fmt"
	"time"
)

// Result is a verdict of the authorization server. Copies share only Value, which nobody may change.
type Result struct {
	// Active is what the server said at FetchedAt. When it is false, only FetchedAt and Refusal are set. Judge with
	// [Result.ActiveAt], which looks at the times as well.
	Active bool
	// Refusal is the error code with which the server refused the token instead of saying "active":false:
	// unsupported_token_type, invalid_token or insufficient_scope. Otherwise it is empty.
	Refusal string
	// ExpiresAt and NotBefore are "exp" and "nbf"; zero when the answer has none.
	ExpiresAt, NotBefore time.Time
	// FetchedAt is when the question was sent. The answer is no older than that.
	FetchedAt time.Time
	// Value is what [Config.Decode] made from the answer.
	Value any
	// Answer is the JSON text of the answer.
	Answer string
}

// ActiveAt reports whether the token is active at the given time: the server said so, and "exp" and "nbf" agree, each
// give or take leeway. The check of the times matters, because a server may call a token active that has expired by our
// clock.
func (r Result) ActiveAt(now time.Time, leeway time.Duration) bool {
	switch {
	case !r.Active:
		return false
	case !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt.Add(leeway)):
		return false
	case !r.NotBefore.IsZero() && now.Before(r.NotBefore.Add(-leeway)):
		return false
	}
	return true
}

// Cause says why there is no verdict. It is an error itself, so that [errors.Is] finds it.
type Cause uint8

const (
	CauseUnavailable Cause = iota + 1 // unreachable, TLS trouble, 5xx, or the client is closed
	CauseOverloaded                   // too many calls of our own are in flight or waiting
	CauseRateLimited                  // the server answered 429
	CauseBreakerOpen                  // not asked, because the last calls failed
	CauseTimeout                      // no answer within the deadline
	CauseProtocol                     // the answer cannot be understood or trusted
	CauseRefused                      // the server refused our own credentials
	CauseCanceled                     // the caller left

	causes = iota + 1
)

var causeNames = [causes]string{
	CauseUnavailable: "unavailable",
	CauseOverloaded:  "overloaded",
	CauseRateLimited: "rate_limited",
	CauseBreakerOpen: "breaker_open",
	CauseTimeout:     "timeout",
	CauseProtocol:    "protocol",
	CauseRefused:     "refused",
	CauseCanceled:    "canceled",
}

// String returns a stable name in snake_case, fit for the label of a metric.
func (c Cause) String() string {
	if int(c) >= len(causeNames) || causeNames[c] == "" {
		return "unknown"
	}
	return causeNames[c]
}

func (c Cause) Error() string { return "introspect: no verdict: " + c.String() }

// Temporary reports whether the trouble may pass by itself, so that a client may come again (503). Otherwise somebody
// has to repair the server or the configuration (502). [CauseTimeout] is not temporary, either: the server was too slow
// (504).
func (c Cause) Temporary() bool {
	switch c {
	case CauseUnavailable, CauseOverloaded, CauseRateLimited, CauseBreakerOpen:
		return true
	}
	return false
}

// NoVerdictError says that the server was not asked or gave no usable answer. The token may be active or not. Everybody
// who waited for the same call may get the same value, so nobody may change it.
type NoVerdictError struct {
	// Cause is why there is no verdict.
	Cause Cause
	// RetryAfter is how long to wait before trying again: at least a second for temporary causes, otherwise zero.
	RetryAfter time.Duration
	// Status is the HTTP status of the server's answer; 0 when it did not answer.
	Status int
	// Err has the details for a log. It contains no token, no secret and no text from the server, unless an error of a
	// function in [Config] does.
	Err error

	answered bool // with a whole answer of status 200
}

func (e *NoVerdictError) Error() string {
	if e.Err == nil {
		return e.Cause.Error()
	}
	return fmt.Sprintf("%v: %v", e.Cause, e.Err)
}

// Unwrap returns the [Cause] and the details, so that [errors.Is] finds both.
func (e *NoVerdictError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Cause}
	}
	return []error{e.Cause, e.Err}
}

// atLeast returns the error with a RetryAfter of at least d, if its cause is temporary.
func (e *NoVerdictError) atLeast(d time.Duration) *NoVerdictError {
	changed := *e
	if e.Cause.Temporary() {
		changed.RetryAfter = max(e.RetryAfter, d)
	}
	return &changed
}

// after returns the error as it is some time later: less of RetryAfter is left.
func (e *NoVerdictError) after(passed time.Duration) *NoVerdictError {
	changed := *e
	if e.Cause.Temporary() {
		changed.RetryAfter = max(e.RetryAfter-passed, time.Second)
	}
	return &changed
}

// ErrToken is returned for a token that is not worth asking about: empty, longer than [MaxToken], or, in [UserInfo]
// mode, unfit for a header field. The server is not asked.
var ErrToken = errors.New("introspect: the server cannot be asked about this token")

// ErrClosed is wrapped by the [*NoVerdictError] of a closed client.
var ErrClosed = errors.New("client is closed")

// noVerdict makes the error. If err already is a NoVerdictError, its cause is kept.
func noVerdict(cause Cause, err error) *NoVerdictError {
	e := &NoVerdictError{Cause: cause, Err: err}
	var known *NoVerdictError
	if errors.As(err, &known) {
		*e = *known
	}
	if e.Cause.Temporary() {
		e.RetryAfter = max(e.RetryAfter, time.Second)
	}
	return e
}
