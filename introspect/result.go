package introspect

import (
	"errors"
	"fmt"
	"time"
)

// Result is a verdict of the authorization server. It is a value: copies share nothing that can be changed, except
// Value, which must not be.
type Result struct {
	// Active is what the server said, as of FetchedAt. The other members are set only when it is true, but for
	// FetchedAt and Refusal. Judge with [Result.ActiveAt], which looks at the times as well.
	Active bool
	// Refusal is the error code with which the server refused the token, in place of "active":false:
	// unsupported_token_type, invalid_token or insufficient_scope. Empty when it did not.
	Refusal string
	// ExpiresAt and NotBefore are "exp" and "nbf"; zero when the answer has none.
	ExpiresAt, NotBefore time.Time
	// FetchedAt is when the question was sent; the answer is no older than that.
	FetchedAt time.Time
	// Value is what [Config.Decode] made of the answer.
	Value any
	// Answer is the JSON text of the answer.
	Answer string
}

// ActiveAt reports whether the token is active at the given time: whether the server said so and "exp" and "nbf"
// agree, each give or take leeway. A server may call a token active that has expired by our clock.
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

// Cause says why there is no verdict. It is an error itself, for [errors.Is].
type Cause uint8

const (
	CauseUnavailable Cause = iota + 1 // not reachable, TLS trouble, 5xx, or the client is closed
	CauseOverloaded                   // too many calls of our own are in flight or waiting
	CauseRateLimited                  // the server said 429
	CauseBreakerOpen                  // the last calls failed; not asked
	CauseTimeout                      // no answer within the deadline
	CauseProtocol                     // an answer that cannot be understood or trusted
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

// String gives a stable snake_case name that can be the label of a metric.
func (c Cause) String() string {
	if int(c) >= len(causeNames) || causeNames[c] == "" {
		return "unknown"
	}
	return causeNames[c]
}

func (c Cause) Error() string { return "introspect: no verdict: " + c.String() }

// Temporary reports whether the trouble may pass by itself, so that a client may come again (503). Otherwise the
// server or the configuration has to be mended (502), or, for [CauseTimeout], the server was too slow (504).
func (c Cause) Temporary() bool {
	switch c {
	case CauseUnavailable, CauseOverloaded, CauseRateLimited, CauseBreakerOpen:
		return true
	}
	return false
}

// NoVerdictError says that the server was not asked or gave no usable answer. It means nothing about the token:
// neither active nor inactive. One value may go to all who waited for the same call; it must not be changed.
type NoVerdictError struct {
	Cause Cause
	// RetryAfter is when to try again. At least a second for temporary causes, otherwise zero.
	RetryAfter time.Duration
	// Status is the HTTP status that the server answered with; 0 when it did not answer.
	Status int
	// Err has the details for a log. It holds no token, no secret and no text of the answer, unless an error of a
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

// Unwrap gives the [Cause] and the details, so that both can be found with [errors.Is].
func (e *NoVerdictError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Cause}
	}
	return []error{e.Cause, e.Err}
}

// atLeast gives the error with a time to wait that is not shorter than d, if it has one.
func (e *NoVerdictError) atLeast(d time.Duration) *NoVerdictError {
	changed := *e
	if e.Cause.Temporary() {
		changed.RetryAfter = max(e.RetryAfter, d)
	}
	return &changed
}

// after gives the error as it is some time later.
func (e *NoVerdictError) after(passed time.Duration) *NoVerdictError {
	changed := *e
	if e.Cause.Temporary() {
		changed.RetryAfter = max(e.RetryAfter-passed, time.Second)
	}
	return &changed
}

// ErrToken is returned for a token that is not worth asking about: empty, longer than [MaxToken], or, in the mode
// [UserInfo], not fit for a header field. The server is not asked.
var ErrToken = errors.New("introspect: not a token that could be asked about")

// ErrClosed is what a closed client's [*NoVerdictError] wraps.
var ErrClosed = errors.New("client is closed")

// noVerdict makes the error. An error that is one already keeps its cause.
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
