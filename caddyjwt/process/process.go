// Package process is what the process keeps while configurations of Caddy come and go: the pool of what they share, the
// counters, who hears of events, and the log of all that.
//
// There is one value for the whole process, State. Its parts do not know of each other, except for what New hands them:
// metrics read the pool and ask who listens, and the pool tells the events. Handlers are not known here, so that each
// Caddy module of this project can use it.
package process

import "github.com/caddyjwt/gateway/caddyjwt/pool"

// State is what outlives a configuration. Use Shared, or in a test New.
type State struct {
	Pool     *pool.Pool
	Events   *Events
	Metrics  *Metrics
	Log      *Log
	Warnings *Warnings
}

// New makes a state that shares nothing with any other.
func New() *State {
	events := newEvents()
	objects := pool.New(events.tell)
	return &State{
		Pool: objects, Events: events, Metrics: newMetrics(objects, events), Log: newLog(), Warnings: new(Warnings),
	}
}

// Shared is the state of this process. Every module uses it, unless a test has given it another.
func Shared() *State { return shared }

var shared = New()
