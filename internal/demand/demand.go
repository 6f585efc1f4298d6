// Package demand judges what a route or a matcher demands of a caller: scopes, claims, the header and groups, some of
// them, none of them, or one of several alternatives. It knows no reasons and no answers to clients: those are the
// gate's.
package demand

import (
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/scope"
	"github.com/caddyjwt/gateway/internal/setting"
)

// Caller is who must meet a demand.
type Caller interface {
	// Token has the claims of the token. It is nil without a token.
	Token() *claims.Set
	// Header is the JOSE header of the token. It is never nil, but unknown without a JWT that was verified here.
	Header() *claims.Header
	// Answer is what the authorization server says about a token that has other scopes itself. Nil otherwise. A scope
	// must then be in both.
	Answer() *claims.Set
	// InGroup reports whether the caller is in a group.
	InGroup(group string) bool
	// Outside reports whether the caller is plainly in none of these groups: see claims.Condition.Excludes.
	Outside(groups []string) bool
	// Groups says which groups the caller has, for a cause: "the consumer has none".
	Groups() string
}

// All are demands that must all be met. Empty ones ask nothing.
type All struct {
	// Scopes must all be there.
	Scopes []string
	// AnyScopes are lists of scopes. Of each list, one scope must be there.
	AnyScopes [][]string
	// Claims must all hold.
	Claims []claims.Condition
	// Header has what must hold for the JOSE header.
	Header []claims.Condition
	// Groups: the caller must be in one of them.
	Groups []string
	// Not is what must not be there.
	Not Exclusions
}

// Exclusions are what a caller must not have, none of it. A claim that is not there is excluded: see
// claims.Condition.Excludes.
type Exclusions struct {
	Scopes []string
	Claims []claims.Condition
	Header []claims.Condition
	Groups []string
}

// source is where conditions look, with the word for it.
type source struct {
	word string
	of   func(Caller) claims.Source
}

var (
	ofToken  = source{"claim", func(c Caller) claims.Source { return c.Token() }}
	ofHeader = source{"header", func(c Caller) claims.Source { return c.Header() }}
)

// about is a list of conditions, with where they look, and the field that has it.
type about struct {
	source
	field      string
	conditions []claims.Condition
}

func (a *All) conditions() [2]about {
	return [...]about{{ofToken, "Claims", a.Claims}, {ofHeader, "Header", a.Header}}
}

func (e *Exclusions) conditions() [2]about {
	return [...]about{{ofToken, "Claims", e.Claims}, {ofHeader, "Header", e.Header}}
}

// MetBy reports whether a caller meets all of it. It does not allocate.
func (a *All) MetBy(c Caller, h *scope.Hierarchy) bool {
	if !HasAll(c, h, a.Scopes) || hasSome(c, h, a.Not.Scopes) {
		return false
	}
	for _, list := range a.AnyScopes {
		if !hasOne(c, h, list) {
			return false
		}
	}
	for _, these := range a.conditions() {
		for i := range these.conditions {
			if !these.conditions[i].Holds(these.of(c)) {
				return false
			}
		}
	}
	for _, these := range a.Not.conditions() {
		for i := range these.conditions {
			if !these.conditions[i].Excludes(these.of(c)) {
				return false
			}
		}
	}
	return (len(a.Groups) == 0 || slices.ContainsFunc(a.Groups, c.InGroup)) && c.Outside(a.Not.Groups)
}

// Rules are the demands one by one, in the order in which they are checked: scopes, claims, the header, groups.
func (a *All) Rules(h *scope.Hierarchy) (rules []Rule) {
	if len(a.Scopes) > 0 {
		rules = append(rules, NewScopes(a.Scopes, h))
	}
	for _, list := range a.AnyScopes {
		rules = append(rules, &Scopes{list, oneOf, h})
	}
	if len(a.Not.Scopes) > 0 {
		rules = append(rules, &Scopes{a.Not.Scopes, noneOf, h})
	}
	wanted, unwanted := a.conditions(), a.Not.conditions()
	for n := range wanted {
		rules = append(rules, wanted[n].rules(false)...)
		rules = append(rules, unwanted[n].rules(true)...)
	}
	if len(a.Groups) > 0 {
		rules = append(rules, group{a.Groups, false})
	}
	if len(a.Not.Groups) > 0 {
		rules = append(rules, group{a.Not.Groups, true})
	}
	return rules
}

// onlyScopes reports whether a token with enough scopes meets all of it.
func (a *All) onlyScopes() bool {
	return len(a.Scopes)+len(a.AnyScopes) > 0 && len(a.Claims)+len(a.Header)+len(a.Groups) == 0 && a.Not.empty()
}

func (a *All) empty() bool {
	return len(a.Scopes)+len(a.AnyScopes)+len(a.Claims)+len(a.Header)+len(a.Groups) == 0 && a.Not.empty()
}

func (e *Exclusions) empty() bool {
	return len(e.Scopes)+len(e.Claims)+len(e.Header)+len(e.Groups) == 0
}

// ScopesToAsk are the scopes that a client should ask for, each of them once: all that must be there, the first of each
// list, and those of the first alternative in each block that asks for scopes alone. A token with them meets all
// demands about scopes.
func ScopesToAsk(all *All, blocks [][]All) (scopes []string) {
	ways := []*All{all}
	for _, block := range blocks {
		if i := slices.IndexFunc(block, func(a All) bool { return a.onlyScopes() }); i >= 0 {
			ways = append(ways, &block[i])
		}
	}
	for _, way := range ways {
		asked := slices.Clone(way.Scopes)
		for _, list := range way.AnyScopes {
			asked = append(asked, list[0])
		}
		for _, name := range asked {
			if !slices.Contains(scopes, name) {
				scopes = append(scopes, name)
			}
		}
	}
	return scopes
}

// ScopesNamed are all scopes with which a token can meet the demands, or a part of them. Some may be there twice.
func ScopesNamed(all *All, blocks [][]All) (scopes []string) {
	for _, block := range append([][]All{{*all}}, blocks...) {
		for i := range block {
			scopes = append(scopes, block[i].Scopes...)
			scopes = append(scopes, slices.Concat(block[i].AnyScopes...)...)
		}
	}
	return scopes
}

// Validate refuses what nobody could meet, and scopes that a challenge could not carry. word is what stands before a
// kind of demand, such as "require ". Errors name the field: see setting.
func (a *All) Validate(word string) error {
	if err := validScopes(word+"scope", a.Scopes); err != nil {
		return setting.In("Scopes", err)
	}
	for i, list := range a.AnyScopes {
		if len(list) == 0 {
			return setting.Errorf(setting.Element("AnyScopes", i), "%sany_scope: no scope follows", word)
		}
		if err := validScopes(word+"any_scope", list); err != nil {
			return setting.In(setting.Element("AnyScopes", i), err)
		}
	}
	for _, these := range a.conditions() {
		if err := these.validate(word); err != nil {
			return setting.In(these.field, err)
		}
	}
	if slices.Contains(a.Groups, "") {
		return setting.Errorf("Groups", "%sgroup: a group is empty", word)
	}
	return setting.In("Not", a.Not.validate(word+"not ", a))
}

func (e *Exclusions) validate(word string, beside *All) error {
	if err := validScopes(word+"scope", e.Scopes); err != nil {
		return setting.In("Scopes", err)
	}
	for i, name := range e.Scopes {
		if slices.Contains(beside.Scopes, name) {
			return setting.Errorf(setting.Element("Scopes", i),
				"%sscope %q: the same scope must be there; remove one of the two lines", word, name)
		}
	}
	for _, these := range e.conditions() {
		if err := these.validate(word); err != nil {
			return setting.In(these.field, err)
		}
		for i := range these.conditions {
			if c := &these.conditions[i]; c.IsBound() {
				return setting.Errorf(setting.Element(these.field, i), "%s%s %v: a bound cannot be turned around: "+
					"leave \"not\" out, and write at_most in place of at_least, or the reverse", word, these.word, c.Path)
			}
		}
	}
	for i, name := range e.Groups {
		if name == "" || slices.Contains(beside.Groups, name) {
			return setting.Errorf(setting.Element("Groups", i), "%sgroup %q: the group is empty, or one of those that "+
				"the caller must be in; remove it from one of the two lines", word, name)
		}
	}
	return nil
}

// ValidateAny is Validate for a block of alternatives. It also refuses an alternative that asks for nothing, which
// everybody would meet.
func ValidateAny(word string, alternatives []All) error {
	if len(alternatives) < 2 {
		return setting.Errorf("", "%sany needs at least two alternatives, of which one is enough: to ask for one thing, "+
			"write it without \"any\"", word)
	}
	for i := range alternatives {
		if alternatives[i].empty() {
			return setting.Errorf(setting.Element("", i), "%sany: an alternative asks for nothing", word)
		}
		if err := alternatives[i].Validate(word + "any: "); err != nil {
			return setting.In(setting.Element("", i), err)
		}
	}
	return nil
}

// Doubts are warnings about patterns that may match other names than those that were meant. A pattern that excludes too
// much is not one: it opens nothing. word is what stands before a kind of demand.
func Doubts(word string, all *All, blocks [][]All) (doubts []string) {
	for i, block := range append([][]All{{*all}}, blocks...) {
		in := word
		if i > 0 {
			in += "any: "
		}
		for j := range block {
			for _, these := range block[j].conditions() {
				doubts = append(doubts, these.doubts(in)...)
			}
		}
	}
	return doubts
}

func (a *about) doubts(word string) (doubts []string) {
	for i := range a.conditions {
		c := &a.conditions[i]
		for _, pattern := range c.Patterns {
			if doubt := pattern.Doubt(); doubt != "" {
				doubts = append(doubts, fmt.Sprintf("%s%s %v like %v %s", word, a.word, c.Path, pattern, doubt))
			}
		}
	}
	return doubts
}

func validScopes(word string, scopes []string) error {
	for _, name := range scopes {
		if err := bearer.ValidScope(name); err != nil {
			return setting.Errorf("", "%s %q: %w", word, name, err)
		}
	}
	return nil
}

func (a *about) validate(word string) error {
	for i := range a.conditions {
		if err := a.conditions[i].Validate(); err != nil {
			return setting.Errorf(setting.Element("", i), "%s%s %v: %w", word, a.word, a.conditions[i].Path, err)
		}
	}
	return nil
}
