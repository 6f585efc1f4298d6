package introspect

import (
	"net/http"
	"time"
)

// maxBreakerWait bounds how long a server's Retry-After can keep a breaker open.
const maxBreakerWait = 30 * time.Second

// breakers decide whether the server is asked at all. There are two, because a stranger can make up tokens, and some
// servers are slow or answer 503 about tokens that they do not know: what happens to such questions must not decide
// about tokens that are known to be good. Failures about those count for both, as they are no stranger's doing.
type breakers struct {
	unproven breaker
	proven   breaker
}

func newBreakers(cfg *Config) breakers {
	b := breaker{threshold: cfg.BreakerFailures, wait: cfg.BreakerWait, limit: cfg.Timeout}
	return breakers{unproven: b, proven: b}
}

// of gives the breaker that decides about a token.
func (b *breakers) of(proven bool) *breaker {
	if proven {
		return &b.proven
	}
	return &b.unproven
}

// allow reports whether a call about a token may start, whether it is the one that tries, and if not, how long to
// wait.
func (b *breakers) allow(proven bool, now time.Time) (ok, probe bool, wait time.Duration) {
	return b.of(proven).allow(now)
}

// record takes the outcome of a call. A verdict about a proven token closes both, as the server is there, unless it
// is a late one.
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

// breaker stops the calls to a server that does not answer, so that requests fail at once instead of waiting for it
// one by one. After a number of failures in a row it opens; when the wait is over, one call tries, and decides
// whether it closes or stays open. It is guarded by the client's mutex, and knows nothing of the cache: what is
// cached keeps working.
type breaker struct {
	threshold int
	wait      time.Duration
	limit     time.Duration // of a call

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

// healthOf judges a call. A server is down when it does not answer, or when something in front of it says that it
// does not (502, 503, 504). Any other answer may depend on the token: servers have said 401, 403, 429 and 500 about
// tokens that they do not know. Were such answers bad, anybody could switch the server off with invented tokens.
func healthOf(err *NoVerdictError) health {
	switch {
	case err == nil:
		return healthGood
	case err.Cause == CauseOverloaded, err.Cause == CauseBreakerOpen, err.Cause == CauseCanceled:
		return healthUnknown
	case err.Cause == CauseTimeout, isDown(err.Status):
		return healthBad
	case err.Cause == CauseUnavailable && err.Status == 0 && !err.answered: // else keys for the answer are missing
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

// allow is that of breakers, for one kind of token.
func (b *breaker) allow(now time.Time) (ok, probe bool, wait time.Duration) {
	switch {
	case b.state == BreakerClosed:
		return true, false, 0
	case now.Before(b.until):
		return false, false, b.until.Sub(now)
	}
	// A call that does not come back within its deadline must not be the last one ever.
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
	case probe: // learned nothing: the next call tries
		b.until, b.state = now, BreakerOpen
	}
}

func (b *breaker) close() { b.failures, b.state = 0, BreakerClosed }

func (b *breaker) open(err *NoVerdictError, now time.Time) {
	b.failures = 0
	b.until = now.Add(max(b.wait, min(err.RetryAfter, maxBreakerWait)))
	b.state = BreakerOpen
}
