package introspect

import (
	"context"
	"time"
)

// Lookup says where the answer to a question came from.
type Lookup uint8

const (
	Hit         Lookup = iota + 1 // from the cache: active
	NegativeHit                   // from the cache: inactive
	Shared                        // from a call that another caller had started
	Miss                          // from a new call
	Rejected                      // no answer: overloaded, breaker open, closed, or no verdict a moment ago
)

// String returns a stable name in snake_case, fit for the label of a metric.
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
	BreakerHalfOpen                     // one call tests whether the server is back
)

// String returns a stable name in snake_case, fit for the label of a metric.
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

// Observer holds functions that are called when something happens. Nil ones are skipped. They must be fast and safe for
// concurrent use, and must neither call the client nor panic. For the state of the moment, see [Client.Stats].
type Observer struct {
	// Lookup is called once for every question.
	Lookup func(Lookup)
	// Call is called after every call to the server, also after one that found no free slot, and before any caller gets
	// the verdict. It gets the verdict, or the error if there is no verdict, and the time since the first caller asked.
	Call func(active bool, err *NoVerdictError, took time.Duration)
	// Wait is called when a caller begins to wait for a call to the server, with the context of that caller. When the wait
	// is over, the function that it returns gets the verdict, or the error if there is none. It may return nil.
	Wait func(ctx context.Context) (ended func(active bool, err *NoVerdictError))
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

func (o *Observer) wait(ctx context.Context) (ended func(bool, *NoVerdictError)) {
	if o.Wait == nil {
		return nil
	}
	return o.Wait(ctx)
}

// Stats is a snapshot of a client, for gauges.
type Stats struct {
	InFlight        int          // requests to the server under way
	Waiting         int          // calls waiting for a free slot
	Breaker         BreakerState // the worse state of the two circuit breakers
	CacheEntries    int          // active answers in memory, approximately
	CacheBytes      int          // their size in bytes, approximately
	NegativeEntries int          // inactive answers and recent errors in memory, approximately
}
