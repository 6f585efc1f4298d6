package caddyjwt

import (
	"fmt"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
)

// requireUsage are the forms of require. The kinds of requirements are their first words.
var requireUsage = []string{
	"scope <scope...>", "any_scope <scope...>", "claim <path> [<value...>]", "group <group...>",
}

func requireKinds() (kinds []string) {
	for _, usage := range requireUsage {
		kind, _, _ := strings.Cut(usage, " ")
		kinds = append(kinds, kind)
	}
	return kinds
}

func readRequirement(b *words.Block, h *Handler) error {
	args := b.Args()
	if len(args) < 2 {
		return b.WrongUsage("")
	}
	if h.Require == nil {
		h.Require = new(require.Requirements)
	}
	r := h.Require
	kind, values := args[0], args[1:]
	if err := mistakenRequirement(b, kind, values); err != nil {
		return err
	}
	switch kind {
	case "scope":
		b.MarkElements("Require.Scopes", len(r.Scopes), len(r.Scopes)+len(values))
		r.Scopes = append(r.Scopes, values...)
	case "any_scope":
		b.MarkElements("Require.AnyScopes", len(r.AnyScopes), len(r.AnyScopes)+1)
		r.AnyScopes = append(r.AnyScopes, values)
	case "claim":
		b.MarkElements("Require.Claims", len(r.Claims), len(r.Claims)+1)
		claim := require.Claim{Claim: values[0]}
		if len(values) > 1 {
			claim.Values = values[1:]
		}
		r.Claims = append(r.Claims, claim)
	case "group":
		b.MarkElements("Require.Groups", len(r.Groups), len(r.Groups)+len(values))
		r.Groups = append(r.Groups, values...)
	}
	return nil
}

// foreignKinds are kinds of requirements by other names, with what to write instead.
var foreignKinds = map[string]string{
	"role":  "roles are in a claim: require claim <path> <role...>",
	"roles": "roles are in a claim: require claim <path> <role...>",
}

// mistakenRequirement looks for mistakes in the values of require.
func mistakenRequirement(b *words.Block, kind string, values []string) error {
	switch kind {
	case "scope", "any_scope", "claim", "group":
		return require.Check(b, "require", kind, values)
	}
	kinds, hint := requireKinds(), ""
	if meant := words.MostAlike(kind, kinds); meant != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", meant)
	} else if meant := foreignKinds[kind]; meant != "" {
		hint = " (" + meant + ")"
	}
	last := len(kinds) - 1
	return b.Errf("require %q: expected %s or %s%s", kind, strings.Join(kinds[:last], ", "), kinds[last], hint)
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
	h.ScopeImplies = append(h.ScopeImplies, ScopeImplication{Broad: scopes[0], Narrow: scopes[1:]})
	return require.CheckImplies(b, scopes)
}

// compileScopeImplies resolves placeholders. known is true if all values are known.
func (h *Handler) compileScopeImplies(s *words.Settings) (out []gate.ScopeImplication, known bool, err error) {
	if err := words.NotEmpty("scope_implies", h.ScopeImplies); err != nil {
		return nil, false, setting.In("ScopeImplies", err)
	}
	known = true
	for i, implication := range h.ScopeImplies {
		scopes, ok, err := s.Texts("scope_implies", append([]string{implication.Broad}, implication.Narrow...))
		if err != nil {
			return nil, false, &setting.Error{Field: element("ScopeImplies", i), Err: err}
		}
		out = append(out, gate.ScopeImplication{Broad: scopes[0], Narrow: scopes[1:]})
		known = known && ok
	}
	return out, known, nil
}
