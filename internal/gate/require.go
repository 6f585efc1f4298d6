package gate

import (
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/scope"
	"github.com/caddyjwt/gateway/internal/setting"
)

// requirements are compiled Requirements, in the order in which they are checked: the user's sign-in, scopes, claims,
// groups and others.
type requirements struct {
	list      []Requirement
	scopes    []*scopeRequirement // apply to an authorization server's answer, too
	scopeText string              // all scopes for the challenge, so that a client can request them at once
	hierarchy *scope.Hierarchy

	stepUps        []stepUpRequirement // apply to an answer, too
	acrValues      string              // for the challenge
	maxAuthAge     time.Duration       // for the challenge
	stepUpForScope *Reply              // the challenge for a token that lacks scopes as well
}

// compileRequirements checks requirements and compiles them.
func (c *Config) compileRequirements() (out requirements, err error) {
	if out.hierarchy, err = scope.NewHierarchy(c.ScopeImplies); err != nil {
		return out, setting.In("ScopeImplies", err)
	}
	r := &c.Require
	if err := r.Validate(); err != nil {
		return out, setting.In("Require", err)
	}
	out.compileStepUp(c)
	out.compileScopes(r)
	for i := range r.Claims {
		out.list = append(out.list, &r.Claims[i])
	}
	if len(r.Groups) > 0 {
		out.list = append(out.list, groupRequirement(r.Groups))
	}
	for _, other := range r.Others {
		out.list = append(out.list, otherRequirement{other})
	}
	return out, nil
}

// Validate refuses empty requirements, and values that a challenge could not carry.
func (r *Requirements) Validate() error { return r.validate("require ") }

// validate is Validate. word is what stands before a kind of requirement.
func (r *Requirements) validate(word string) error {
	for _, scope := range r.Scopes {
		if err := bearer.ValidScope(scope); err != nil {
			return setting.Errorf("Scopes", "%sscope %q: %w", word, scope, err)
		}
	}
	for i, list := range r.AnyScopes {
		if len(list) == 0 {
			return setting.Errorf(element("AnyScopes", i), "%sany_scope: no scope follows", word)
		}
		for _, scope := range list {
			if err := bearer.ValidScope(scope); err != nil {
				return setting.Errorf(element("AnyScopes", i), "%sany_scope %q: %w", word, scope, err)
			}
		}
	}
	if err := r.validateStepUp(word); err != nil {
		return err
	}
	for i, claim := range r.Claims {
		if slices.Contains(claim.Values, "") {
			return setting.Errorf(element("Claims", i), "require claim %v: a value is empty", claim.Path)
		}
	}
	if slices.Contains(r.Groups, "") {
		return setting.Errorf("Groups", "require group: a group is empty")
	}
	if i := slices.Index(r.Others, nil); i >= 0 {
		return setting.Errorf(element("Others", i), "a requirement is nil")
	}
	return nil
}

func (r *requirements) empty() bool { return len(r.list) == 0 }

// satisfiedBy returns the failure of the first requirement that the identity does not satisfy.
func (r *requirements) satisfiedBy(id *Identity, now time.Time) error {
	for _, requirement := range r.list {
		if f := requirement.Check(id, now); f != nil {
			return r.withScopes(f, id.Claims)
		}
	}
	return nil
}

// Check implements Requirement.
func (c *ClaimRequirement) Check(id *Identity, _ time.Time) *Failure {
	if !c.satisfiedBy(id.Claims) {
		return fail(ClaimMismatch, &differentClaim{c, id.Claims})
	}
	return nil
}

func (c *ClaimRequirement) satisfiedBy(set *claims.Set) bool {
	if set == nil {
		return false
	}
	value, ok := set.Lookup(c.Path)
	if !ok {
		return false
	}
	if len(c.Values) == 0 {
		return !value.IsEmpty()
	}
	for _, want := range c.Values {
		if value.Matches(want) {
			return true
		}
	}
	return false
}

// groupRequirement requires one of these groups.
type groupRequirement []string

// Check implements Requirement.
func (r groupRequirement) Check(id *Identity, _ time.Time) *Failure {
	if !slices.ContainsFunc(r, id.inGroup) {
		return fail(ClaimMismatch, &otherGroup{r, id})
	}
	return nil
}

// otherRequirement is a requirement from outside of this package.
type otherRequirement struct{ Requirement }

// Check implements Requirement. It copies the failure: the gate adds the token's fingerprint to it, so requests must
// not share one.
func (r otherRequirement) Check(id *Identity, now time.Time) *Failure {
	f := r.Requirement.Check(id, now)
	if f == nil {
		return nil
	}
	own := *f
	return &own
}
