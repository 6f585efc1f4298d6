package caddyjwt

import (
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
