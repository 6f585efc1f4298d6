package gate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/scope"
)

// hasScope reports whether an identity has a scope, or one that implies it. A server that was asked may have left it
// with fewer than the token says.
func (id *Identity) hasScope(h *scope.Hierarchy, name string) bool {
	return h.Has(id.Claims, name) && (id.answer == nil || h.Has(id.answer, name))
}

// hasAllScopes reports whether an identity has all of these scopes. It does not allocate.
func (id *Identity) hasAllScopes(h *scope.Hierarchy, scopes []string) bool {
	for _, name := range scopes {
		if !id.hasScope(h, name) {
			return false
		}
	}
	return true
}

// hasAnyScope reports whether an identity has one of these scopes. It does not allocate.
func (id *Identity) hasAnyScope(h *scope.Hierarchy, scopes []string) bool {
	for _, name := range scopes {
		if id.hasScope(h, name) {
			return true
		}
	}
	return false
}

// MissingScopes returns those of these scopes that a caller does not have, by the rules of the gate. The identity is
// nil for a caller without a token.
func (g *Gate) MissingScopes(id *Identity, scopes []string) (missing []string) {
	for _, name := range scopes {
		if id == nil || !id.hasScope(g.require.hierarchy, name) {
			missing = append(missing, name)
		}
	}
	return missing
}

// Scopes is the hierarchy of the gate's scopes, for matchers behind it. It is nil if no scope implies another.
func (g *Gate) Scopes() *scope.Hierarchy { return g.require.hierarchy }

// scopeRequirement requires all of these scopes, or one of them.
type scopeRequirement struct {
	scopes    []string
	anyOf     bool
	hierarchy *scope.Hierarchy
}

// Check implements Requirement.
func (r *scopeRequirement) Check(id *Identity, _ time.Time) *Failure { return r.in(id.Claims) }

// in is Check for a claims set, which may be the authorization server's answer. It may be nil.
func (r *scopeRequirement) in(set *claims.Set) *Failure {
	if r.anyOf && !r.hierarchy.HasAny(set, r.scopes) || !r.anyOf && !r.hierarchy.HasAll(set, r.scopes) {
		return fail(InsufficientScope, &missingScope{r, set})
	}
	return nil
}

// compileScopes adds the requirements about scopes.
func (r *requirements) compileScopes(from *Requirements) {
	if len(from.Scopes) > 0 {
		r.scopes = append(r.scopes, &scopeRequirement{from.Scopes, false, r.hierarchy})
	}
	for _, list := range from.AnyScopes {
		r.scopes = append(r.scopes, &scopeRequirement{list, true, r.hierarchy})
	}
	for _, requirement := range r.scopes {
		r.list = append(r.list, requirement)
	}
	r.scopeText = strings.Join(from.ScopesToAsk(), " ")
}

// ScopesToAsk are the scopes that a client should ask for, each of them once: all of Scopes, and the first of each list
// in AnyScopes. A token with them meets all requirements about scopes.
func (r *Requirements) ScopesToAsk() (scopes []string) {
	add := func(scope string) {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	for _, scope := range r.Scopes {
		add(scope)
	}
	for _, list := range r.AnyScopes {
		add(list[0])
	}
	return scopes
}

// scopesIn applies the requirements about scopes to a claims set.
func (r *requirements) scopesIn(set *claims.Set) *Failure {
	for _, requirement := range r.scopes {
		if f := requirement.in(set); f != nil {
			return f
		}
	}
	return nil
}

// RequireScopes returns nil if the identity has all of these scopes, by the rules of the gate. Otherwise the failure
// has a challenge with them and with all that the route requires: a client that asks for fewer scopes would lose those
// that it has (RFC 6750 section 3.1). For a request without a token, the identity is nil or anonymous. Then the failure
// is a MissingToken, which asks for one.
func (g *Gate) RequireScopes(id *Identity, scopes []string) *Failure {
	if len(scopes) == 0 || id != nil && id.hasAllScopes(g.require.hierarchy, scopes) {
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
	required := &scopeRequirement{scopes, false, g.require.hierarchy}
	f.Cause = &missingScope{required, id.Claims}
	if id.answer != nil && required.in(id.Claims) == nil {
		f.Cause = &missingScope{required, id.answer}
		return inAnswer(f)
	}
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

// missingScope is the cause of an InsufficientScope, or of a MissingToken where scopes are needed.
type missingScope struct {
	*scopeRequirement
	set *claims.Set
}

// Error names the scopes that are missing, those that imply them, and those that the token has.
func (m *missingScope) Error() string {
	missing := m.scopes
	if !m.anyOf {
		missing = m.hierarchy.Missing(m.set, m.scopes)
	}
	scopes := "the scope " + causes.List(missing)
	switch {
	case m.anyOf && len(missing) > 1:
		scopes = "one of the scopes " + causes.List(missing)
	case len(missing) > 1:
		scopes = "the scopes " + causes.List(missing)
	}
	var text string
	switch {
	case m.set == nil:
		text = "needed: " + scopes + "; there is no token"
	case m.anyOf:
		text = "the token needs " + scopes
	default:
		text = "the token lacks " + scopes
	}
	switch {
	case m.set == nil:
	case len(m.set.Scope) == 0:
		text += ", and it has none"
	default:
		text += ", and it has " + causes.List(m.set.Scope)
	}
	if broader := m.hierarchy.Above(missing); len(broader) > 0 {
		text += "; scopes that imply one of those missing: " + causes.List(broader)
	}
	return text
}
