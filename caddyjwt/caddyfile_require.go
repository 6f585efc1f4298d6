package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

func readRequirement(b *words.Block, h *Handler) error {
	if h.Require == nil {
		h.Require = new(require.Requirements)
	}
	return require.Read(b, "Require", h.Require)
}

// readScopeImplies reads a broad scope, and those that it implies.
func readScopeImplies(b *words.Block, h *Handler) error {
	scopes, err := b.Many()
	if err != nil {
		return err
	}
	if len(scopes) < 2 {
		return b.WrongUsage("the broad scope comes first, and those that it implies follow it")
	}
	h.ScopeImplies = append(h.ScopeImplies, require.Implication{Broad: scopes[0], Narrow: scopes[1:]})
	return require.CheckImplies(b, scopes)
}

func readRouteIntrospect(b *words.Block, h *Handler) error {
	r := new(RouteIntrospect)
	args := b.Args()
	if len(args) > 0 && (args[0] == "force" || args[0] == "skip") {
		r.Mode, args = args[0], args[1:]
	}
	switch {
	case len(args) == 2 && args[0] == "max_age":
		age, err := caddy.ParseDuration(args[1])
		if err != nil || age < 0 {
			return b.Errf("introspect max_age %q: expected a duration such as 10s", args[1])
		}
		r.MaxAge = (*caddy.Duration)(&age)
	case len(args) != 0 || r.Mode == "":
		return b.WrongUsage("endpoint and credentials go in the introspect block of an issuer")
	}
	h.Introspect = r
	return nil
}
