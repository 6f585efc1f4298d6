package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/setting"
)

// requirements are Requirements made ready for use.
type requirements struct {
	scopes    []string
	scopeText string // for the challenge: all of them in one, so that a client can ask for all at once
	claims    []ClaimRequirement
	groups    []string
}

// compileRequirements checks requirements and makes them ready.
func compileRequirements(r Requirements) (requirements, error) {
	if err := r.Validate(); err != nil {
		return requirements{}, err
	}
	return requirements{
		scopes: r.Scopes, scopeText: strings.Join(r.Scopes, " "), claims: r.Claims, groups: r.Groups,
	}, nil
}

// Validate refuses a requirement that would require nothing, or that no challenge could name.
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
	return nil
}

func (r *requirements) empty() bool {
	return len(r.scopes) == 0 && len(r.claims) == 0 && len(r.groups) == 0
}

// satisfiedBy tells whether the identity brings everything that the route requires.
func (r *requirements) satisfiedBy(id *Identity) error {
	if err := r.scopesIn(id.Claims); err != nil {
		return err
	}
	for i := range r.claims {
		if !r.claims[i].satisfiedBy(id.Claims) {
			return fail(ClaimMismatch, fmt.Errorf("claim %v is missing or has none of the required values", r.claims[i].Path))
		}
	}
	if len(r.groups) > 0 && !slices.ContainsFunc(r.groups, id.inGroup) {
		return fail(ClaimMismatch, fmt.Errorf("none of the groups %q", r.groups))
	}
	return nil
}

func (r *requirements) scopesIn(set *claims.Set) error {
	for _, scope := range r.scopes {
		if set == nil || !set.HasScope(scope) {
			return fail(InsufficientScope, fmt.Errorf("scope %q is missing", scope))
		}
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
