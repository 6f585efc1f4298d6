package gate

import (
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/setting"
)

// requirements are compiled Requirements, in the order in which they are checked: scopes, claims, groups and others.
type requirements struct {
	list      []Requirement
	scopes    scopeRequirement // apply to an authorization server's answer, too
	scopeText string           // all scopes for the challenge, so that a client can request them at once
}

// compileRequirements checks requirements and compiles them.
func compileRequirements(r Requirements) (requirements, error) {
	if err := r.Validate(); err != nil {
		return requirements{}, err
	}
	out := requirements{scopes: r.Scopes, scopeText: strings.Join(r.Scopes, " ")}
	if len(r.Scopes) > 0 {
		out.list = append(out.list, out.scopes)
	}
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

// Validate refuses empty requirements, and scopes that a challenge could not carry.
func (r Requirements) Validate() error {
	for _, scope := range r.Scopes {
		if err := bearer.ValidScope(scope); err != nil {
			return setting.Errorf("Scopes", "require scope %q: %w", scope, err)
		}
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
			return f
		}
	}
	return nil
}

// scopeRequirement requires all of these scopes.
type scopeRequirement []string

// Check implements Requirement.
func (r scopeRequirement) Check(id *Identity, _ time.Time) *Failure { return r.in(id.Claims) }

func (r scopeRequirement) in(set *claims.Set) *Failure {
	for _, scope := range r {
		if set == nil || !set.HasScope(scope) {
			return fail(InsufficientScope, &missingScope{r, set})
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
