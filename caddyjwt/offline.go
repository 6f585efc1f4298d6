package caddyjwt

import (
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/introspect"
)

// offline builds the gate with nobody to ask: no key source is open. Tokens of consumers need none.
func (h *Handler) offline(now func() time.Time) (*dryGate, error) {
	built, err := h.compile(caddy.NewReplacer())
	if err != nil {
		return nil, err
	}
	for i, plan := range built.plans {
		issuer := &built.config.Issuers[i]
		if plan.source.kind != "none" {
			issuer.Keys = unopened{}
		}
		if plan.introspect != nil {
			issuer.Introspection = &gate.Introspection{
				Mode: plan.introspect.mode, Prefix: plan.introspect.prefix, Client: new(introspect.Client),
			}
		}
	}
	built.config.Now = now
	dry := &dryGate{config: &built.config}
	dry.Gate, err = gate.New(built.config)
	return dry, err
}

// dryGate is a gate that can be asked about tokens of consumers alone.
type dryGate struct {
	*gate.Gate
	config *gate.Config
}
