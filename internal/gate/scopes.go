package gate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/setting"
)

// MaxImplications bounds the pairs of a broad and a narrow scope in Config.ScopeImplies. What follows from them may be
// the square of that.
const MaxImplications = 512

// ScopeImplication says that a token with the scope Broad has the scopes Narrow, too, and in turn what those imply.
type ScopeImplication struct {
	Broad  string
	Narrow []string
}

// ScopeHierarchy knows which scopes imply others. It is immutable. In nil, no scope implies another.
type ScopeHierarchy struct {
	broader map[string][]string // by narrow scope: all that imply it, also in several steps
}

// NewScopeHierarchy checks implications and follows each of them to its end. It refuses a scope that implies itself, in
// however many steps: whoever writes that has mixed up broad and narrow. Without implications, the hierarchy is nil.
func NewScopeHierarchy(implications []ScopeImplication) (*ScopeHierarchy, error) {
	if len(implications) == 0 {
		return nil, nil
	}
	if err := validateImplications(implications); err != nil {
		return nil, err
	}
	narrower := make(map[string][]string)
	for _, i := range implications {
		for _, narrow := range i.Narrow {
			if !slices.Contains(narrower[i.Broad], narrow) {
				narrower[i.Broad] = append(narrower[i.Broad], narrow)
			}
		}
	}
	h := &ScopeHierarchy{broader: make(map[string][]string)}
	for i, implication := range implications {
		if slices.ContainsFunc(implications[:i], func(e ScopeImplication) bool { return e.Broad == implication.Broad }) {
			continue
		}
		if cycle := h.follow(implication.Broad, narrower); cycle != nil {
			return nil, setting.Errorf(fmt.Sprintf("[%d]", i), "scope_implies: the scope %q implies itself: %s; "+
				"remove one of these implications", implication.Broad, strings.Join(cycle, " implies "))
		}
	}
	return h, nil
}

// validateImplications checks each implication on its own.
func validateImplications(implications []ScopeImplication) error {
	pairs := 0
	for i, implication := range implications {
		at := fmt.Sprintf("[%d]", i)
		if err := bearer.ValidScope(implication.Broad); err != nil {
			return setting.Errorf(at+".Broad", "scope_implies: %w", err)
		}
		if len(implication.Narrow) == 0 {
			return setting.Errorf(at+".Narrow", "scope_implies %s: no scope follows that it implies", implication.Broad)
		}
		for _, narrow := range implication.Narrow {
			if err := bearer.ValidScope(narrow); err != nil {
				return setting.Errorf(at+".Narrow", "scope_implies %s: %w", implication.Broad, err)
			}
		}
		if pairs += len(implication.Narrow); pairs > MaxImplications {
			return setting.Errorf(at, "scope_implies: more than %d implications: have the authorization server put the "+
				"scopes themselves into its tokens", MaxImplications)
		}
	}
	return nil
}

// follow adds a broad scope to every scope that it implies. If it implies itself, follow returns the way from it to
// itself.
func (h *ScopeHierarchy) follow(broad string, narrower map[string][]string) (cycle []string) {
	cameFrom := make(map[string]string)
	for next := []string{broad}; len(next) > 0; next = next[1:] {
		for _, narrow := range narrower[next[0]] {
			if narrow == broad {
				cycle = []string{broad}
				for at := next[0]; at != broad; at = cameFrom[at] {
					cycle = append(cycle, at)
				}
				cycle = append(cycle, broad)
				slices.Reverse(cycle)
				return cycle
			}
			if _, seen := cameFrom[narrow]; !seen {
				cameFrom[narrow] = next[0]
				h.broader[narrow] = append(h.broader[narrow], broad)
				next = append(next, narrow)
			}
		}
	}
	return nil
}

// Has reports whether a token has a scope, or one that implies it. It does not allocate. The set may be nil.
func (h *ScopeHierarchy) Has(set *claims.Set, scope string) bool {
	switch {
	case set == nil:
		return false
	case set.HasScope(scope):
		return true
	case h == nil:
		return false
	}
	return slices.ContainsFunc(h.broader[scope], set.HasScope)
}

// Missing returns those of these scopes that a token does not have, nor one that implies them. The set may be nil.
func (h *ScopeHierarchy) Missing(set *claims.Set, scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return h.Has(set, scope) })
}

// HasAll reports whether a token has all of these scopes.
func (h *ScopeHierarchy) HasAll(set *claims.Set, scopes []string) bool {
	for _, scope := range scopes {
		if !h.Has(set, scope) {
			return false
		}
	}
	return true
}

// HasAny reports whether a token has one of these scopes.
func (h *ScopeHierarchy) HasAny(set *claims.Set, scopes []string) bool {
	for _, scope := range scopes {
		if h.Has(set, scope) {
			return true
		}
	}
	return false
}

// allOf reports whether an identity has all of these scopes. A server that was asked may have left it with fewer.
func (h *ScopeHierarchy) allOf(id *Identity, scopes []string) bool {
	return h.HasAll(id.Claims, scopes) && (id.answer == nil || h.HasAll(id.answer, scopes))
}

// anyOf is allOf for one of these scopes.
func (h *ScopeHierarchy) anyOf(id *Identity, scopes []string) bool {
	return h.HasAny(id.Claims, scopes) && (id.answer == nil || h.HasAny(id.answer, scopes))
}

// Scopes is the hierarchy of the gate's scopes, for matchers behind it. It is nil if no scope implies another.
func (g *Gate) Scopes() *ScopeHierarchy { return g.require.hierarchy }

// scopeRequirement requires all of these scopes, or one of them.
type scopeRequirement struct {
	scopes    []string
	anyOf     bool
	hierarchy *ScopeHierarchy
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
	if len(scopes) == 0 || id != nil && g.require.hierarchy.allOf(id, scopes) {
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
	if broader := m.hierarchy.above(missing); len(broader) > 0 {
		text += "; scopes that imply one of those missing: " + causes.List(broader)
	}
	return text
}

// above lists the scopes that imply one of these.
func (h *ScopeHierarchy) above(scopes []string) (broader []string) {
	if h == nil {
		return nil
	}
	for _, scope := range scopes {
		for _, broad := range h.broader[scope] {
			if !slices.Contains(broader, broad) {
				broader = append(broader, broad)
			}
		}
	}
	return broader
}
