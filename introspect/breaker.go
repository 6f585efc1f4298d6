package introspect

import (
	"net/http"
	"time"
)

// maxBreakerWait bounds how long a server's Retry-After can keep the breaker open.
const maxBreakerWait = 30 * time.Second

// breaker stops the calls to a server that does not answer, so that requests fail at once
// instead of waiting for it one by one. After a number of failures in a row it opens; when the
// wait is over, one call tries, and decides whether it closes or stays open. It is guarded by
// the client's mutex, and knows nothing of the cache: what is cached keeps working.
type breaker struct {
	threshold int
	wait      time.Duration
	limit     time.Duration // of a call
	changed   func(BreakerState)

	state    BreakerState
	failures int       // in a row, while closed
	until    time.Time // nobody may try before, while not closed
}

// health is what a call says about the server.
type health uint8

const (
	healthUnknown health = iota // nothing: it was not asked
	healthGood
	healthAlive // it answers, but that one answer was of no use
	healthBad
)

// healthOf judges a call. An answer that breaks the protocol may depend on the token, and so
// may a 403, which firewalls in front of servers are quick with. Were they bad, then anybody who
// finds such a token could switch the server off for all.
func healthOf(err *NoVerdictError) health {
	switch {
	case err == nil:
		return healthGood
	case err.Cause == CauseProtocol, err.Status == http.StatusForbidden:
		return healthAlive
	}
	switch err.Cause {
	case CauseUnavailable, CauseRateLimited, CauseTimeout, CauseRefused:
		return healthBad
	}
	return healthUnknown
}

// allow tells whether a call may start, whether it is the one that tries, and if not, how
// long to wait.
func (b *breaker) allow(now time.Time) (ok, probe bool, wait time.Duration) {
	switch {
	case b.state == BreakerClosed:
		return true, false, 0
	case now.Before(b.until):
		return false, false, b.until.Sub(now)
	}
	// A call that does not come back within its deadline must not be the last one ever.
	b.until = now.Add(b.limit)
	b.set(BreakerHalfOpen)
	return true, true, 0
}

// record takes the outcome of a call.
func (b *breaker) record(probe bool, err *NoVerdictError, now time.Time) {
	probe = probe && b.state == BreakerHalfOpen
	if !probe && b.state != BreakerClosed {
		return // a late answer to an old question
	}
	switch h := healthOf(err); {
	case h == healthGood, h == healthAlive && probe:
		b.failures = 0
		b.set(BreakerClosed)
	case h == healthBad:
		if b.failures++; probe || b.failures >= b.threshold {
			b.open(err, now)
		}
	case probe: // learned nothing: the next call tries
		b.until = now
		b.set(BreakerOpen)
	}
}

func (b *breaker) open(err *NoVerdictError, now time.Time) {
	b.failures = 0
	b.until = now.Add(max(b.wait, min(err.RetryAfter, maxBreakerWait)))
	b.set(BreakerOpen)
}

func (b *breaker) set(s BreakerState) {
	if b.state == s {
		return
	}
	b.state = s
	if b.changed != nil {
		b.changed(s)
	}
}
