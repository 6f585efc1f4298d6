package caddyjwt

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyjwt/gateway/caddyjwt/facts"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/roster"
	"github.com/caddyjwt/gateway/internal/setting"
)

// opener makes the gate of a configuration, and takes the key sources, clients and cache for it from the pool.
type opener struct {
	*compiled
	issuers.Opener
}

// open makes the gate. It may be called again after the configuration has ended: see pool.Leases.
func (o opener) open(l *pool.Lease) (*gate.Gate, error) {
	config := o.config
	config.Issuers = slices.Clone(config.Issuers)
	config.Turns = o.Shared.Turns
	for i := range o.plans {
		if err := o.Open(l, &o.plans[i], &config.Issuers[i]); err != nil {
			return nil, fmt.Errorf("issuer %q: %w", config.Issuers[i].Name, err)
		}
	}
	if o.cache != 0 {
		var err error
		if config.Cache, err = l.Cache(o.cache); err != nil {
			return nil, err
		}
	}
	return o.newGate(l, config)
}

// newGate makes the gate, with the consumers of the file if there is one.
func (o opener) newGate(l *pool.Lease, config gate.Config) (*gate.Gate, error) {
	if o.roster == "" {
		return gate.New(config)
	}
	if before := l.Guest(); before != nil {
		return o.lateGate(l, config, before)
	}
	shared := true
	file, err := l.Roster(o.roster, func() (*roster.File, error) {
		shared = false
		return roster.Open(o.roster, o.Shared.Log.Consumers)
	})
	if err == nil && shared {
		err = file.Refresh() // a mistake is an error when a configuration loads, also if others still use what was before
	}
	if err != nil {
		return nil, words.NewSettings().Unread("consumers file", o.roster, err)
	}
	return joined(l, config, file)
}

// joined makes a gate that uses a file.
func joined(l *pool.Lease, config gate.Config, file *roster.File) (*gate.Gate, error) {
	config.Roster = file
	g, err := gate.New(config)
	if err != nil {
		return nil, err
	}
	if err := l.Join(file, g.CheckRoster); err != nil { // it may have changed in between
		return nil, setting.In("Roster", err)
	}
	return g, nil
}

// lateGate makes the gate for a late request. A file that is bad or gone by now is no reason to fail: as while the
// configuration was in force, the consumers from before stay.
func (o opener) lateGate(l *pool.Lease, config gate.Config, before *roster.Guest) (*gate.Gate, error) {
	file, err := l.Roster(o.roster, func() (*roster.File, error) { return before.File().Reopen(), nil })
	if err != nil {
		return nil, err
	}
	if g, err := joined(l, config, file); err == nil {
		return g, nil
	}
	config.Roster = before.Last() // a newer configuration uses the file, with consumers that do not fit this gate
	return gate.New(config)
}

// ask has the gate check a request. Until the verdict it holds the lease, so that key sources and clients stay open.
func (h *Handler) ask(r *http.Request) (gate.Verdict, error) {
	held, err := h.leases.Hold()
	if err != nil {
		return gate.Verdict{}, fmt.Errorf("opening again what an ended configuration had: %w", err)
	}
	defer held.LetGo()
	return held.Value.Check(gate.Request{HTTP: r, Facts: facts.Of(r)})
}
