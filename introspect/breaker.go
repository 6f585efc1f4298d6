package introspect

import (
	"net/http"
	"time"
)

// maxBreakerWait bounds how long a server's Retry-After can keep a breaker open.
const maxBreakerWait = 30 * time.Second

// breakers decide whether the server is asked at all. There are two, because anybody can make up tokens, and some
// servers are slow or answer 503 about tokens that they do not know. What happens to such questions must not decide
// about tokens that are known to be good. Failures about known tokens count for both, as no stranger can cause them.
type breakers struct {
	unproven breaker
	proven   breaker
}

func newBreakers(cfg *Config) breakers {
	b := breaker{threshold: cfg.BreakerFailures, wait: cfg.BreakerWait, limit: cfg.Timeout}
	return breakers{unproven: b, proven: b}
}

// of returns the breaker that decides about a token.
func (b *breakers) of(proven bool) *breaker {
	if proven {
		return &b.proven
	}
	return &b.unproven
}

// allow reports whether a call about a token may start, and whether it is the probe. If it may not, wait is how long to
// wait.
func (b *breakers) allow(proven bool, now time.Time) (ok, probe bool, wait time.Duration) {
	return b.of(proven).allow(now)
}

// record takes the outcome of a call. A verdict about a proven token shows that the server is up, so it closes both,
// unless it comes so late that the breaker of proven tokens is not closed.
func (b *breakers) record(f *flight, now time.Time) {
	b.of(f.proven).record(f.probe, f.err, now)
	switch {
	case !f.proven:
	case f.err != nil:
		b.unproven.record(false, f.err, now)
	case b.proven.state == BreakerClosed:
		b.unproven.close()
	}
}

// state is the worse of the two.
func (b *breakers) state() BreakerState {
	for _, s := range []BreakerState{BreakerOpen, BreakerHalfOpen} {
		if b.unproven.state == s || b.proven.state == s {
			return s
		}
	}
	return BreakerClosed
}

// breaker stops the calls to a server that does not answer, so that requests fail at once instead of each waiting for
// it. It opens after a number of failures in a row. After a wait, one call is the probe: its outcome closes the breaker
// or keeps it open. The client's mutex guards it. It does not know about the cache: cached answers stay in use.
type breaker struct {
	threshold int
	wait      time.Duration
	limit     time.Duration // the deadline of a call

	state    BreakerState
	failures int       // in a row, while closed
	until    time.Time // while not closed: nobody may try before
}

// health is what a call tells about the server.
type health uint8

const (
	healthUnknown health = iota // nothing: the server was not asked
	healthGood
	healthAlive // it answers, but this answer was useless
	healthBad
)

// healthOf judges a call. A server is down when it does not answer, or when a proxy in front of it says so (502, 503,
// 504). Any other answer may depend on the token: servers have answered 401, 403, 429 and 500 about tokens that they do
// not know. If such answers counted as bad, anybody could switch the server off with invented tokens.
func healthOf(err *NoVerdictError) health {
	switch {
	case err == nil:
		return healthGood
	case err.Cause == CauseOverloaded, err.Cause == CauseBreakerOpen, err.Cause == CauseCanceled:
		return healthUnknown
	case err.Cause == CauseTimeout, isDown(err.Status):
		return healthBad
	case err.Cause == CauseUnavailable && err.Status == 0 && !err.answered: // answered means: our keys are missing
		return healthBad
	}
	return healthAlive
}

// isDown reports whether a status says that the server cannot answer now (RFC 9110 sections 15.6.3 to 15.6.5).
func isDown(status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// allow is as in breakers, for one kind of token.
func (b *breaker) allow(now time.Time) (ok, probe bool, wait time.Duration) {
	switch {
	case b.state == BreakerClosed:
		return true, false, 0
	case now.Before(b.until):
		return false, false, b.until.Sub(now)
	}
	// If the probe never comes back, another may follow after its deadline.
	b.until = now.Add(b.limit)
	b.state = BreakerHalfOpen
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
		b.close()
	case h == healthBad:
		if b.failures++; probe || b.failures >= b.threshold {
			b.open(err, now)
		}
	case probe: // it learned nothing: the next call is the probe
		b.until, b.state = now, BreakerOpen
	}
}

func (b *breaker) close() { b.failures, b.state = 0, BreakerClosed }

func (b *breaker) open(err *NoVerdictError, now time.Time) {
	b.failures = 0
	b.until = now.Add(max(b.wait, min(err.RetryAfter, maxBreakerWait)))
	b.state = BreakerOpen
}
