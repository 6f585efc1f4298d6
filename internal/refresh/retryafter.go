package refresh

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// maxHold is the longest time for which a server may keep requests from causing a fetch. Servers mostly count requests
// in windows of about this length, and a wrong value does little harm for so short a time.
const maxHold = time.Minute

// holdError is a failure after which the server wants to be left alone for a while.
type holdError struct {
	error
	wait time.Duration
}

func (e *holdError) Unwrap() error { return e.error }

// askedToWait adds the answer's Retry-After to an error. The field counts only with the two statuses that mean "later"
// (RFC 6585 section 4, RFC 9110 section 15.6.4).
func askedToWait(err error, response *fetch.Response, now time.Time) error {
	if response.Status != http.StatusTooManyRequests && response.Status != http.StatusServiceUnavailable {
		return err
	}
	if wait := fetch.RetryAfter(response.Header, now, maxHold); wait > 0 {
		return &holdError{err, wait}
	}
	return err
}

// holdOf is how long the server wants to be left alone after a failed fetch.
func holdOf(err error) time.Duration {
	if hold, ok := errors.AsType[*holdError](err); ok {
		return hold.wait
	}
	return 0
}
