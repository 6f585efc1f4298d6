package introspect

import "time"

// Lookup says how a question was answered.
type Lookup uint8

const (
	Hit         Lookup = iota + 1 // from the cache: active
	NegativeHit                   // from the cache: inactive
	Shared                        // by a call that another caller had started
	Miss                          // by a new call
	Rejected                      // not at all: overloaded, breaker open, closed, or no verdict a moment ago
)

// String gives a stable snake_case name that can be the label of a metric.
func (l Lookup) String() string {
	switch l {
	case Hit:
		return "hit"
	case NegativeHit:
		return "negative_hit"
	case Shared:
		return "shared"
	case Miss:
		return "miss"
	case Rejected:
		return "rejected"
	}
	return "unknown"
}

// BreakerState is the state of the circuit breaker.
type BreakerState uint8

const (
	BreakerClosed   BreakerState = iota // calls are made
	BreakerOpen                         // no calls are made
	BreakerHalfOpen                     // one call tries whether the server is back
)

// String gives a stable snake_case name that can be the label of a metric.
func (s BreakerState) String() string {
	switch s {
	case BreakerClosed:
		return "closed"
	case BreakerOpen:
		return "open"
	case BreakerHalfOpen:
		return "half_open"
	}
	return "unknown"
}

// Observer holds functions that are called when something happens; nil ones are not. They must be fast, safe for
// concurrent use, and must neither call the client nor panic. What is true at a moment is in [Client.Stats].
type Observer struct {
	// Lookup is called once for every question.
	Lookup func(Lookup)
	// Call is called after every call, also one that found no free slot, with the verdict, or the error when there is
	// none, and the time taken from the first caller's question on.
	Call func(active bool, err *NoVerdictError, took time.Duration)
}

func (o *Observer) lookup(l Lookup) {
	if o.Lookup != nil {
		o.Lookup(l)
	}
}

func (o *Observer) call(active bool, err *NoVerdictError, took time.Duration) {
	if o.Call != nil {
		o.Call(active, err, took)
	}
}

// Stats is a snapshot of a client, for gauges.
type Stats struct {
	InFlight        int          // requests to the server that are running
	Waiting         int          // calls that wait for a free slot
	Breaker         BreakerState // the worse of the states of the two circuit breakers
	CacheEntries    int          // active answers kept, about
	CacheBytes      int          // their size, about
	NegativeEntries int          // inactive answers and recent errors kept, about
}
