package caddyjwt

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/gate"
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
	return gate.New(config)
}

// ask has the gate check a request. Until the verdict it holds the lease, so that key sources and clients stay open.
func (h *Handler) ask(r *http.Request) (gate.Verdict, error) {
	held, err := h.leases.Hold()
	if err != nil {
		return gate.Verdict{}, fmt.Errorf("opening again what an ended configuration had: %w", err)
	}
	defer held.LetGo()
	return held.Value.Check(gate.Request{HTTP: r, Facts: facts{r}})
}
