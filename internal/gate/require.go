package gate

import (
	"slices"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/demand"
	"github.com/caddyjwt/gateway/internal/scope"
	"github.com/caddyjwt/gateway/internal/setting"
)

// requirements are compiled Requirements, in the order in which they are checked: the user's sign-in, scopes, claims,
// the header, groups, alternatives and others.
type requirements struct {
	list      []Requirement
	scopes    []*demand.Scopes // apply to an authorization server's answer, too
	any       []demand.Rule    // blocks of alternatives
	scopeText string           // all scopes for the challenge, so that a client can request them at once
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
	for _, rule := range r.all().Rules(out.hierarchy) {
		if scopes, ok := rule.(*demand.Scopes); ok {
			out.scopes = append(out.scopes, scopes)
		}
		out.list = append(out.list, demanded{rule})
	}
	for _, block := range r.Any {
		rule := demand.AnyOf(block, out.hierarchy)
		out.any, out.list = append(out.any, rule), append(out.list, demanded{rule})
	}
	for _, other := range r.Others {
		out.list = append(out.list, otherRequirement{other})
	}
	out.scopeText = strings.Join(r.ScopesToAsk(), " ")
	return out, nil
}

// all are the requirements that a new sign-in of the user does not change, without the alternatives.
func (r *Requirements) all() *demand.All {
	return &demand.All{Scopes: r.Scopes, AnyScopes: r.AnyScopes, Claims: r.Claims, Header: r.Header, Groups: r.Groups,
		Not: r.Not}
}

// Rules are the requirements about scopes, claims and groups one by one, for people.
func (r *Requirements) Rules() []demand.Rule {
	rules := r.all().Rules(nil)
	for _, block := range r.Any {
		rules = append(rules, demand.AnyOf(block, nil))
	}
	return rules
}

// Doubts are warnings about requirements that may allow more than was meant: see demand.Doubts.
func (r *Requirements) Doubts(word string) []string { return demand.Doubts(word, r.all(), r.Any) }

// Validate refuses empty requirements, and values that a challenge could not carry.
func (r *Requirements) Validate() error { return r.validate("require ") }

// validate is Validate. word is what stands before a kind of requirement.
func (r *Requirements) validate(word string) error {
	if err := r.all().Validate(word); err != nil {
		return err
	}
	if err := r.validateStepUp(word); err != nil {
		return err
	}
	for i, block := range r.Any {
		if err := demand.ValidateAny(word, block); err != nil {
			return setting.In(setting.Element("Any", i), err)
		}
	}
	if i := slices.Index(r.Others, nil); i >= 0 {
		return setting.Errorf(setting.Element("Others", i), "a requirement is nil")
	}
	return nil
}

func (r *requirements) empty() bool { return len(r.list) == 0 }

// satisfiedBy returns the failure of the first requirement that the identity does not satisfy.
func (r *requirements) satisfiedBy(id *Identity, now time.Time) error {
	for _, requirement := range r.list {
		if f := requirement.Check(id, now); f != nil {
			return r.withScopes(f, id.Claims, id)
		}
	}
	return nil
}

// demanded is a requirement about scopes, claims and groups.
type demanded struct{ demand.Rule }

// Check implements Requirement.
func (d demanded) Check(id *Identity, _ time.Time) *Failure {
	if err := d.Rule.Check(id.Caller()); err != nil {
		return fail(unmet(d.Rule), err)
	}
	return nil
}

// unmet is the reason if a rule is not met.
func unmet(rule demand.Rule) Reason {
	if rule.ScopesHelp() {
		return InsufficientScope
	}
	return ClaimMismatch
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
