// Package traffic counts the requests of each gate, and shows the counts to Prometheus.
//
// Counting takes no lock and allocates nothing. What is shown is bounded by the gates of the configuration in force, by
// the outcomes and by the reasons of refusals: nothing that clients send can add to it.
package traffic

import (
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/expiry"
	"github.com/caddyjwt/gateway/internal/durations"
	"github.com/caddyjwt/gateway/internal/gate"
)

// Gate is what a gate is called in metrics.
type Gate struct {
	Server string // Caddy's name of the HTTP server
	Label  string // the gate's name, or else its number
}

// Table has the counts of gates. It does not change once it is made.
type Table map[Gate]*Counts

// Counts are those of one gate, or of several with one name. Make them with New.
type Counts struct {
	passed    [gate.Public + 1]atomic.Uint64
	refused   []atomic.Uint64 // in the order of gate.Reasons
	ends      atomic.Bool     // responses can be ended
	ended     [len(endings)]atomic.Uint64
	decisions durations.Live
}

// ending is how a response was ended.
type ending struct {
	kind  expiry.Kind
	cause expiry.Cause
}

var endings = [...]ending{
	{expiry.Upgrade, expiry.Expired}, {expiry.Upgrade, expiry.Revoked},
	{expiry.Events, expiry.Expired}, {expiry.Events, expiry.Revoked},
	{expiry.Other, expiry.Expired}, {expiry.Other, expiry.Revoked},
}

var (
	reasons = gate.Reasons()
	places  = placesOf(reasons)
)

func placesOf(reasons []gate.Reason) map[gate.Reason]int {
	places := make(map[gate.Reason]int, len(reasons))
	for i, reason := range reasons {
		places[reason] = i
	}
	return places
}

// New makes counts that begin at zero.
func New() *Counts { return &Counts{refused: make([]atomic.Uint64, len(reasons))} }

// Pass counts a request that passes.
func (c *Counts) Pass(outcome gate.Outcome) { c.passed[outcome].Add(1) }

// Refuse counts a refused request.
func (c *Counts) Refuse(reason gate.Reason) {
	if i, known := places[reason]; known {
		c.refused[i].Add(1)
	}
}

// ShowEnded shows from now on how many responses were ended, also while there was none.
func (c *Counts) ShowEnded() { c.ends.Store(true) }

// End counts a response that was ended.
func (c *Counts) End(kind expiry.Kind, cause expiry.Cause) {
	for i := range endings {
		if endings[i] == (ending{kind, cause}) {
			c.ended[i].Add(1)
		}
	}
}

// Decide counts how long a verdict took.
func (c *Counts) Decide(took time.Duration) { c.decisions.Add(took) }

// Passed is how many requests have passed in this way.
func (c *Counts) Passed(outcome gate.Outcome) uint64 { return c.passed[outcome].Load() }
