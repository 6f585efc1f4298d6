package demand

import (
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/scope"
)

// Has reports whether a caller has a scope, or one that implies it. A server that was asked may have left the token
// with fewer scopes than it says.
func Has(c Caller, h *scope.Hierarchy, name string) bool {
	return h.Has(c.Token(), name) && (c.Answer() == nil || h.Has(c.Answer(), name))
}

// HasAll reports whether a caller has all of these scopes. It does not allocate.
func HasAll(c Caller, h *scope.Hierarchy, scopes []string) bool {
	for _, name := range scopes {
		if !Has(c, h, name) {
			return false
		}
	}
	return true
}

// hasOne reports whether a caller has one of these scopes.
func hasOne(c Caller, h *scope.Hierarchy, scopes []string) bool {
	for _, name := range scopes {
		if Has(c, h, name) {
			return true
		}
	}
	return false
}

// hasSome reports whether one of these scopes is in the token or in the answer.
func hasSome(c Caller, h *scope.Hierarchy, scopes []string) bool {
	return h.HasAny(c.Token(), scopes) || c.Answer() != nil && h.HasAny(c.Answer(), scopes)
}

// which of several scopes a token must have.
type which uint8

const (
	allOf which = iota
	oneOf
	noneOf
)

// Scopes demands scopes.
type Scopes struct {
	scopes    []string
	which     which
	hierarchy *scope.Hierarchy
}

// NewScopes demands all of these scopes.
func NewScopes(scopes []string, h *scope.Hierarchy) *Scopes { return &Scopes{scopes, allOf, h} }

// Check implements Rule. Of several scopes, one must be in the token and also in the answer.
func (r *Scopes) Check(c Caller) error {
	token, answer := c.Token(), c.Answer()
	if err := r.In(token); err != nil || answer == nil {
		return err
	}
	err := r.In(answer)
	if r.which == oneOf && !hasOne(c, r.hierarchy, r.scopes) {
		lacks := func(name string) bool { return !r.hierarchy.Has(token, name) }
		both := &Scopes{slices.DeleteFunc(slices.Clone(r.scopes), lacks), oneOf, r.hierarchy}
		err = both.In(answer)
	}
	if err != nil {
		return fmt.Errorf("in the server's answer: %w", err)
	}
	return nil
}

// In is Check for one claims set, which may be an authorization server's answer. It may be nil.
func (r *Scopes) In(set *claims.Set) error {
	var met bool
	switch h := r.hierarchy; r.which {
	case allOf:
		met = h.HasAll(set, r.scopes)
	case oneOf:
		met = h.HasAny(set, r.scopes)
	case noneOf:
		met = !h.HasAny(set, r.scopes)
	}
	if met {
		return nil
	}
	return &missing{r, set}
}

// Kind implements Rule.
func (r *Scopes) Kind() string {
	return [...]string{allOf: "scope", oneOf: "any_scope", noneOf: "not scope"}[r.which]
}

// Terms implements Rule.
func (r *Scopes) Terms() []string { return r.scopes }

// ScopesHelp implements Rule.
func (r *Scopes) ScopesHelp() bool { return r.which != noneOf }

// missing is the cause if a claims set has not the right scopes.
type missing struct {
	*Scopes
	set *claims.Set
}

// Error names the scopes that are missing, those that imply them, and those that the token has.
func (m *missing) Error() string {
	if m.which == noneOf {
		return fmt.Sprintf("the token has %s; excluded: %s", causes.List(m.set.Scope), causes.List(m.scopes))
	}
	missing := m.scopes
	if m.which == allOf {
		missing = m.hierarchy.Missing(m.set, m.scopes)
	}
	scopes := "the scope " + causes.List(missing)
	switch {
	case m.which == oneOf && len(missing) > 1:
		scopes = "one of the scopes " + causes.List(missing)
	case len(missing) > 1:
		scopes = "the scopes " + causes.List(missing)
	}
	var text string
	switch {
	case m.set == nil:
		text = "needed: " + scopes + "; there is no token"
	case m.which == oneOf:
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
