package caddyjwt

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// requireUsage are the forms of require. The kinds of requirements are their first words.
var requireUsage = []string{
	"scope <scope...>", "any_scope <scope...>", "acr <value...>", "max_auth_age <duration>",
	"claim <path> [<value...>]", "group <group...>",
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
	case "acr":
		b.MarkElements("Require.ACR", len(r.ACR), len(r.ACR)+len(values))
		r.ACR = append(r.ACR, values...)
	case "max_auth_age":
		return readMaxAuthAge(b, r, values)
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

// readMaxAuthAge reads a duration. A second line would be another bound, of which one had no effect.
func readMaxAuthAge(b *words.Block, r *require.Requirements, values []string) error {
	const kind = "max_auth_age"
	age, err := caddy.ParseDuration(values[0])
	switch {
	case len(values) > 1:
		return b.WrongForm(kind, "")
	case r.MaxAuthAge != 0:
		return b.Errf("require %s: there is already one in this gate; remove one of the two", kind)
	case err != nil || age <= 0:
		return b.Errf("require %s %q: expected a positive duration such as 5m, 1h or 1d", kind, values[0])
	}
	b.Mark("Require.MaxAuthAge")
	r.MaxAuthAge = caddy.Duration(age)
	return nil
}

// foreignKinds are kinds of requirements by other names, and parts of them, with what to write instead.
var foreignKinds = words.NewForeign([][2]string{
	{"roles are in a claim: require claim <path> <role...>", "role roles"},
	{"here: require any_scope <scope...>", "one_of_scopes scope_any any_of scopes_any"},
	{"here: require acr <value...>", "acr_values acr_value loa level assurance amr_values"},
	{"here: require max_auth_age <duration>", "max_age auth_time auth_age max_authentication_age"},
	{"the methods are in a claim: require claim amr <value...>", "amr mfa"},
	{"here: audience <aud...>, in the bearer_auth block", "audience aud"},
})

// mistakenRequirement looks for mistakes in the values of require.
func mistakenRequirement(b *words.Block, kind string, values []string) error {
	switch kind {
	case "scope", "any_scope", "acr", "claim", "group":
		return require.Check(b, "require", kind, values)
	case "max_auth_age":
		return nil
	}
	kinds, hint := requireKinds(), ""
	if meant := foreignKinds.Instead(kind); meant != "" {
		hint = " (" + meant + ")"
	} else if meant := words.MostAlike(kind, kinds); meant != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", meant)
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
	h.ScopeImplies = append(h.ScopeImplies, require.Implication{Broad: scopes[0], Narrow: scopes[1:]})
	return require.CheckImplies(b, scopes)
}
