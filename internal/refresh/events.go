package refresh

import (
	"sync"
	"time"
)

// Kind is what has happened to a document.
type Kind uint8

// What can happen.
const (
	Ready     Kind = iota + 1 // the first value has arrived
	Changed                   // there is a new value
	Failing                   // loading has begun to fail
	Recovered                 // loading works again
	Expired                   // the value has become too old to be used
	Recalled                  // loading fails, so the value of an earlier process is used
	Unfit                     // loading fails, and the value of an earlier process cannot be used
)

// Event is a change in the state of a document.
type Event[T any] struct {
	Kind   Kind
	Before *T            // Changed: the value until then
	Now    *T            // the present value, nil for none
	Err    error         // Failing, Expired, Unfit: the cause
	Since  time.Duration // Ready, Recovered, Expired: how long loading has been failing
	Loaded time.Time     // Recalled: when the value was loaded
}

// maxPending bounds the events that wait while the handler is busy.
const maxPending = 64

// Queue hands events to a handler: in order, one at a time, and never under a lock of the caller of Add. When 64 events
// are waiting, further ones are lost.
type Queue[E any] struct {
	handle func(E)

	mu      sync.Mutex
	pending []E
	busy    bool
}

// NewQueue makes a queue. A nil handler drops all events. The handler must not panic.
func NewQueue[E any](handle func(E)) *Queue[E] {
	if handle == nil {
		handle = func(E) {}
	}
	return &Queue[E]{handle: handle}
}

// Add puts an event in the queue for Deliver. It never blocks on the handler.
func (q *Queue[E]) Add(event E) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.pending) < maxPending {
		q.pending = append(q.pending, event)
	}
}

// Deliver hands over all events, unless another call is doing so.
func (q *Queue[E]) Deliver() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.busy {
		return
	}
	q.busy = true
	for len(q.pending) > 0 {
		event := q.pending[0]
		q.pending = q.pending[1:]
		q.mu.Unlock()
		q.handle(event)
		q.mu.Lock()
	}
	q.busy = false
}
