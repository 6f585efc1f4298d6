package gate

import (
	"cmp"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/demand"
	"github.com/caddyjwt/gateway/internal/scope"
)

// MissingScopes returns those of these scopes that a caller does not have, by the rules of the gate. The identity is
// nil for a caller without a token.
func (g *Gate) MissingScopes(id *Identity, scopes []string) (missing []string) {
	for _, name := range scopes {
		if id == nil || !demand.Has(id.Caller(), g.require.hierarchy, name) {
			missing = append(missing, name)
		}
	}
	return missing
}

// Scopes is the hierarchy of the gate's scopes, for matchers behind it. It is nil if no scope implies another.
func (g *Gate) Scopes() *scope.Hierarchy { return g.require.hierarchy }

// ScopesToAsk are the scopes that a client should ask for: see demand.ScopesToAsk.
func (r *Requirements) ScopesToAsk() []string { return demand.ScopesToAsk(r.all(), r.Any) }

// ScopesNamed are all scopes that the requirements name, for a client that wants to know which there are.
func (r *Requirements) ScopesNamed() []string { return demand.ScopesNamed(r.all(), r.Any) }

// scopesIn applies the requirements about scopes to a claims set.
func (r *requirements) scopesIn(set *claims.Set) *Failure {
	for _, rule := range r.scopes {
		if err := rule.In(set); err != nil {
			return fail(unmet(rule), err)
		}
	}
	return nil
}

// RequireScopes returns nil if the identity has all of these scopes, by the rules of the gate. Otherwise the failure
// has a challenge with them and with all that the route requires: a client that asks for fewer scopes would lose those
// that it has (RFC 6750 section 3.1). For a request without a token, the identity is nil or anonymous. Then the failure
// is a MissingToken, which asks for one.
func (g *Gate) RequireScopes(id *Identity, scopes []string) *Failure {
	if len(scopes) == 0 || id != nil && demand.HasAll(id.Caller(), g.require.hierarchy, scopes) {
		return nil
	}
	challenge := bearer.Challenge{Scope: g.require.scopesWith(scopes)}
	f := fail(InsufficientScope, nil)
	if id == nil || id.Anonymous {
		f.Reason, id = MissingToken, new(Identity)
	} else {
		f.Issuer = cmp.Or(id.Issuer, id.CredentialKey)
		challenge.Error, challenge.Description = "insufficient_scope", describeInsufficientScope
	}
	f.Reply = &Reply{Challenges: []bearer.Challenge{challenge}}
	f.Cause = demand.NewScopes(scopes, g.require.hierarchy).Check(id.Caller())
	return f
}

// scopesWith is what a client should ask for if a request needs these scopes beyond those of the route.
func (r *requirements) scopesWith(more []string) string {
	all := r.scopeText
	for _, scope := range more {
		if !slices.Contains(strings.Split(all, " "), scope) {
			all = strings.TrimPrefix(all+" "+scope, " ")
		}
	}
	return all
}

// AsksForScopes reports whether a refusal of a good token has the client ask for another one, with these scopes or that
// sign-in. Then it must ask for everything that the request needs: see AskFor.
func (f *Failure) AsksForScopes() bool {
	return f.Reason == InsufficientScope || f.Reason == InsufficientUserAuthentication
}

// AskFor adds scopes that a request needs beyond those of the route to the challenge of such a refusal. A client that
// asks for too little would send its user to sign in twice.
func (g *Gate) AskFor(f *Failure, scopes []string) {
	if len(scopes) == 0 {
		return
	}
	var challenge bearer.Challenge
	switch f.Reason {
	case InsufficientScope:
		challenge = bearer.Challenge{Error: "insufficient_scope", Description: describeInsufficientScope}
	case InsufficientUserAuthentication:
		challenge = g.require.stepUpForScope.Challenges[0]
	default:
		return
	}
	challenge.Scope = g.require.scopesWith(scopes)
	f.Reply = &Reply{Challenges: []bearer.Challenge{challenge}}
}
