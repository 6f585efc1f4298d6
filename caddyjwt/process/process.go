// Package process has the state that the process keeps while configurations of Caddy come and go: the pool of what they
// share, the metrics, the listeners for events, and the log of all that.
//
// There is one State for the whole process. Its parts know of each other only what New gives them: metrics read the
// pool and ask who listens, and the pool calls the events. The package does not know handlers, so each Caddy module of
// this project can use it.
package process

import (
	"github.com/caddyjwt/gateway/caddyjwt/inforce"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/proofs"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/internal/lastgood"
	"github.com/caddyjwt/gateway/internal/sealed"
)

// State is what outlives a configuration. Use Shared, or New in a test.
type State struct {
	Pool     *pool.Pool
	Events   *Events
	Metrics  *Metrics
	Log      *Log
	Warnings *Warnings
	// Gates finds those of the configuration in force.
	Gates *inforce.Desk
	// Revocations finds those of the configuration in force.
	Revocations *revocations.Desk
	// LastGood keeps keys in the store of the configuration in force, over restarts.
	LastGood *lastgood.Shelf
	// Proofs has what judges DPoP proofs.
	Proofs *proofs.State
	// Turns bounds the decryptions of tokens with slow keys, and AnswerTurns those of answers to our own questions.
	Turns, AnswerTurns *sealed.Turns
}

// New makes a state that shares nothing with any other.
func New() *State {
	events := newEvents()
	objects, used := pool.New(events.tell), proofs.NewState()
	log := newLog()
	gates, desk := new(inforce.Desk), &revocations.Desk{Trouble: log.storeTrouble}
	return &State{
		Pool: objects, Events: events, Metrics: newMetrics(objects, events, gates, desk, used), Log: log,
		Warnings: new(Warnings), Gates: gates, Revocations: desk, LastGood: lastgood.New(desk, log.store),
		Proofs: used, Turns: sealed.NewTurns(), AnswerTurns: sealed.NewTurns(),
	}
}

// Shared is the state of this process. Every module uses it, unless a test gives it another one.
func Shared() *State { return shared }

var shared = New()
