package refresh

import (
	"errors"
	"net/http"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// maxHold is the longest that a server may keep requests from causing a fetch. It is as long as the windows in which
// servers count requests mostly are, and short enough for a wrong value to do little harm.
const maxHold = time.Minute

// holdError is a failure after which the server wants to be left alone for a while.
type holdError struct {
	error
	wait time.Duration
}

func (e *holdError) Unwrap() error { return e.error }

// askedToWait adds to an error what the answer says by Retry-After. The field counts with the two statuses that say
// "later" (RFC 6585 section 4, RFC 9110 section 15.6.4).
func askedToWait(err error, response *fetch.Response, now time.Time) error {
	if response.Status != http.StatusTooManyRequests && response.Status != http.StatusServiceUnavailable {
		return err
	}
	if wait := fetch.RetryAfter(response.Header, now, maxHold); wait > 0 {
		return &holdError{err, wait}
	}
	return err
}

// holdOf is how long the server of a failed fetch wants to be left alone.
func holdOf(err error) time.Duration {
	if hold, ok := errors.AsType[*holdError](err); ok {
		return hold.wait
	}
	return 0
}
