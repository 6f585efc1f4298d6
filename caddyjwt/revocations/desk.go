package revocations

import (
	"errors"
	"slices"
	"sync"

	"github.com/caddyjwt/gateway/internal/durations"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// Desk finds the revocations of the configuration in force, for the admin API and the metrics.
type Desk struct {
	// Trouble is told once when a store fails while nobody waits for it and, with nil, when it works again. where names
	// the store.
	Trouble func(where string, err error)
	// Calls are those to servers of stores.
	Calls durations.Calls

	mu      sync.Mutex
	inForce []*Revocations
	counts  Counts
	lending lending
}

// Counts are what was to be written, since the process began.
type Counts struct {
	Written uint64
	Full    uint64 // refused, because the list is full
	Failed  uint64
}

// Counts are those until now.
func (d *Desk) Counts() Counts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts
}

// Current are the revocations of the configuration that came into force last. The error is ErrNoStore.
func (d *Desk) Current() (*Revocations, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.inForce) == 0 {
		return nil, ErrNoStore
	}
	return d.inForce[len(d.inForce)-1], nil
}

func (d *Desk) begin(r *Revocations) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inForce = append(d.inForce, r)
	d.lending.begins(r)
}

// end takes a configuration away.
func (d *Desk) end(r *Revocations) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inForce = slices.DeleteFunc(d.inForce, func(other *Revocations) bool { return other == r })
}

func (d *Desk) count(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		d.counts.Written++
	case errors.Is(err, revoke.ErrFull):
		d.counts.Full++
	default:
		d.counts.Failed++
	}
}
