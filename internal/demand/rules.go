package demand

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/scope"
)

// Rule is one demand.
type Rule interface {
	// Check returns the cause unless a caller meets the demand. Its text is written only when somebody reads it.
	Check(c Caller) error
	// Kind names the demand as a Caddyfile does, such as "not claim".
	Kind() string
	// Terms are what follows the kind in a Caddyfile.
	Terms() []string
	// ScopesHelp reports whether a client can meet the demand by asking for more scopes (RFC 6750 section 3.1).
	ScopesHelp() bool
}

// member demands a claim or a member of the JOSE header, or that it is not there.
type member struct {
	*claims.Condition
	source   source
	excluded bool
}

func (a *about) rules(excluded bool) (rules []Rule) {
	for i := range a.conditions {
		rules = append(rules, member{&a.conditions[i], a.source, excluded})
	}
	return rules
}

// Check implements Rule.
func (r member) Check(c Caller) error {
	switch from := r.source.of(c); {
	case r.excluded && !r.Excludes(from):
		return r.Included(from)
	case !r.excluded && !r.Holds(from):
		return r.Unmet(from)
	}
	return nil
}

// Kind implements Rule.
func (r member) Kind() string { return kind(r.source.word, r.excluded) }

// ScopesHelp implements Rule.
func (member) ScopesHelp() bool { return false }

func kind(name string, excluded bool) string {
	if excluded {
		return "not " + name
	}
	return name
}

// Compares reports whether a term behind a path says how to compare what follows it.
func Compares(term string) bool { return term == "like" || term == "at_least" || term == "at_most" }

// group demands one of these groups, or none of them.
type group struct {
	groups   []string
	excluded bool
}

// Check implements Rule.
func (r group) Check(c Caller) error {
	if r.excluded && !c.Outside(r.groups) || !r.excluded && !slices.ContainsFunc(r.groups, c.InGroup) {
		return &otherGroup{r, c}
	}
	return nil
}

// Kind implements Rule.
func (r group) Kind() string { return kind("group", r.excluded) }

// Terms implements Rule.
func (r group) Terms() []string { return r.groups }

// ScopesHelp implements Rule.
func (group) ScopesHelp() bool { return false }

// otherGroup is the cause if a caller is not in the right group.
type otherGroup struct {
	group
	caller Caller
}

// Error says where groups were looked for, since many servers have them in a claim of another name.
func (o *otherGroup) Error() string {
	if o.excluded {
		return fmt.Sprintf("the route excludes the groups %s; %s", causes.List(o.groups), o.caller.Groups())
	}
	return fmt.Sprintf("the route requires one of the groups %s; %s", causes.List(o.groups), o.caller.Groups())
}

// anyOf demands one of several alternatives.
type anyOf struct {
	alternatives []All
	hierarchy    *scope.Hierarchy
}

// AnyOf demands one of several alternatives. It judges token and answer together, so one alternative must be met in
// both.
func AnyOf(alternatives []All, h *scope.Hierarchy) Rule { return &anyOf{alternatives, h} }

// MetByAny reports whether a caller meets one of several alternatives. It does not allocate.
func MetByAny(alternatives []All, c Caller, h *scope.Hierarchy) bool {
	for i := range alternatives {
		if alternatives[i].MetBy(c, h) {
			return true
		}
	}
	return false
}

// Check implements Rule.
func (r *anyOf) Check(c Caller) error {
	if MetByAny(r.alternatives, c, r.hierarchy) {
		return nil
	}
	return &noAlternative{r, c}
}

// Kind implements Rule.
func (*anyOf) Kind() string { return "any" }

// Terms are the alternatives, each as one text.
func (r *anyOf) Terms() (texts []string) {
	for i := range r.alternatives {
		texts = append(texts, r.alternatives[i].text())
	}
	return texts
}

// text is what an alternative asks for, as a Caddyfile has it.
func (a *All) text() string {
	var texts []string
	for _, rule := range a.Rules(nil) {
		texts = append(texts, rule.Kind()+" "+strings.Join(rule.Terms(), " "))
	}
	return strings.Join(texts, ", ")
}

// ScopesHelp implements Rule.
func (r *anyOf) ScopesHelp() bool {
	return slices.ContainsFunc(r.alternatives, func(a All) bool { return a.onlyScopes() })
}

// noAlternative is the cause if none of the alternatives is met.
type noAlternative struct {
	*anyOf
	caller Caller
}

// Error says for the first three alternatives what is missing.
func (n *noAlternative) Error() string {
	const most = 3
	var text strings.Builder
	fmt.Fprintf(&text, "none of %d alternatives is met:", len(n.alternatives))
	for i := range n.alternatives[:min(len(n.alternatives), most)] {
		for _, rule := range n.alternatives[i].Rules(n.hierarchy) {
			if err := rule.Check(n.caller); err != nil {
				fmt.Fprintf(&text, " (%d) %v", i+1, err)
				break
			}
		}
	}
	if more := len(n.alternatives) - most; more > 0 {
		fmt.Fprintf(&text, " and %d more", more)
	}
	return text.String()
}
