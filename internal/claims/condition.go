package claims

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// Condition is about one claim, or about one member of a JOSE header: its values, patterns for them, or a bound. It
// has at most one of these. With none of them, the claim must be there and not be empty. Judging does not allocate.
//
// A claim may also break its opposite: see Excludes. The two are not each other's negation. A value of a form that
// cannot be compared satisfies neither.
type Condition struct {
	// Path leads to the claim.
	Path Path
	// Values, of which the claim must be one, or contain one if it is an array (see Value.Matches).
	Values []string
	// Patterns, of which a string must match one, alone or in an array. Numbers and booleans match none: they have no one
	// spelling.
	Patterns []Pattern
	// AtLeast and AtMost bound a number. A text with a number in it is not a number.
	AtLeast, AtMost Number
}

// Validate refuses what could not be meant.
func (c *Condition) Validate() error {
	kinds := 0
	for _, given := range []bool{len(c.Values) > 0, len(c.Patterns) > 0, c.AtLeast.isSet(), c.AtMost.isSet()} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return errors.New("values, like, at_least and at_most exclude each other: write a line for each")
	case slices.Contains(c.Values, ""):
		return errors.New("a value is empty")
	}
	return nil
}

// IsBound reports whether the condition is about the size of a number.
func (c *Condition) IsBound() bool { return c.AtLeast.isSet() || c.AtMost.isSet() }

// Terms are the condition as a Caddyfile has it: the path, the word that compares, and the values.
func (c *Condition) Terms() []string {
	terms := append([]string{c.Path.String()}, c.Values...)
	switch {
	case len(c.Patterns) > 0:
		terms = append(terms, "like")
		for _, p := range c.Patterns {
			terms = append(terms, p.text)
		}
	case c.AtLeast.isSet():
		terms = append(terms, "at_least", c.AtLeast.text)
	case c.AtMost.isSet():
		terms = append(terms, "at_most", c.AtMost.text)
	}
	return terms
}

// Holds reports whether the source satisfies the condition. A nil set and an unknown header satisfy none.
func (c *Condition) Holds(source Source) bool {
	value, there := source.Lookup(c.Path)
	if !there {
		return false
	}
	switch {
	case len(c.Values) > 0:
		return slices.ContainsFunc(c.Values, value.Matches)
	case len(c.Patterns) > 0:
		return c.like(value.json)
	case c.IsBound():
		return c.within(value.json)
	default:
		return !value.IsEmpty()
	}
}

// like reports whether a string matches one of the patterns, alone or in an array.
func (c *Condition) like(value strictjson.Value) bool {
	if value.Kind() != strictjson.Array {
		return c.matchesPattern(value)
	}
	for e := range value.Elements() {
		if c.matchesPattern(element(e)) {
			return true
		}
	}
	return false
}

func (c *Condition) matchesPattern(v strictjson.Value) bool {
	for _, p := range c.Patterns {
		if p.matches(v) {
			return true
		}
	}
	return false
}

// within reports whether a value is a number within the bounds.
func (c *Condition) within(value strictjson.Value) bool {
	if value.Kind() != strictjson.Number {
		return false
	}
	d := decimalOf(value.Text())
	return (!c.AtLeast.isSet() || d.compare(c.AtLeast.decimal) >= 0) &&
		(!c.AtMost.isSet() || d.compare(c.AtMost.decimal) <= 0)
}

// Excludes reports whether it is plain that the source has none of the values, and nothing like the patterns. That is
// so if the claim is absent, null or empty, also in a nil set, but not in an unknown header. Otherwise the claim must
// be a string, number or boolean, or an array of these and of SCIM's objects, which count by their member "value" as
// in Value.Matches. Any other form is refused, because a lenient reader may see a value in it. So is a number or
// boolean where there are patterns.
//
// Without values and patterns, the claim must be absent or empty. There is no opposite of a bound.
func (c *Condition) Excludes(source Source) bool {
	value, absent := source.find(c.Path)
	switch {
	case absent:
		return true
	case c.IsBound():
		return false
	case len(c.Values) == 0 && len(c.Patterns) == 0:
		return value.IsEmpty()
	case value.json.Kind() == strictjson.Null || value.json.Kind() != strictjson.String && value.json.Empty():
		return true
	case value.json.Kind() != strictjson.Array:
		return c.differs(value.json)
	}
	for e := range value.json.Elements() {
		if !c.differs(element(e)) {
			return false
		}
	}
	return true
}

// differs reports whether it is plain that one value is none of the values, and like none of the patterns.
func (c *Condition) differs(v strictjson.Value) bool {
	switch v.Kind() {
	case strictjson.String:
		for _, unwanted := range c.Values {
			if v.Equal(unwanted) {
				return false
			}
		}
		return !c.matchesPattern(v)
	case strictjson.Number, strictjson.Bool:
		for _, unwanted := range c.Values {
			if v.Text() == unwanted || v.Kind() == strictjson.Number && sameNumber(v.Text(), unwanted) {
				return false
			}
		}
		return len(c.Patterns) == 0
	default:
		return false
	}
}

// sameNumber reports whether a text is a number, too, and has the same value. It may be written in another way: 5.0 is
// 5.
func sameNumber(number, text string) bool {
	return strictjson.IsNumber(text) && decimalOf(number).compare(decimalOf(text)) == 0
}

// element is what an element of an array counts as: see Value.Matches.
func element(e strictjson.Value) strictjson.Value {
	if e.Kind() == strictjson.Object {
		e, _ = e.Member("value")
	}
	return e
}

// Unmet is the cause if the condition does not hold, and Included the cause if the source does not exclude it.
// They name the claim and what is required. They do not repeat the value, which may be personal. The text is written
// only when somebody reads it.
func (c *Condition) Unmet(source Source) error { return &unmet{c, source, false} }

// Included is the opposite of Unmet.
func (c *Condition) Included(source Source) error { return &unmet{c, source, true} }

type unmet struct {
	*Condition
	source   Source
	excluded bool
}

// Error names the claim, what was looked for, and what form the claim has.
func (u *unmet) Error() string {
	member, form := u.source.names()
	if value, there := u.source.Lookup(u.Path); there {
		form = "is there, but it is " + u.form(value)
	}
	wanted := "required"
	if u.excluded {
		wanted = "excluded"
		if h, ofHeader := u.source.(*Header); !ofHeader || !h.IsZero() {
			form = "has what it must not have, or a form in which that cannot be seen"
		}
	}
	return fmt.Sprintf("the %s %s %s; %s: %s", member, causes.Quote(u.Path.String()), form, wanted, u.wanted())
}

// wanted is what the condition asks for.
func (u *unmet) wanted() string {
	switch {
	case len(u.Values) > 0:
		return causes.List(u.Values)
	case len(u.Patterns) > 0:
		return "like " + causes.List(u.Terms()[2:])
	case u.AtLeast.isSet():
		return "a number of at least " + causes.Plain(u.AtLeast.text)
	case u.AtMost.isSet():
		return "a number of at most " + causes.Plain(u.AtMost.text)
	default:
		return "any value"
	}
}

func (u *unmet) form(value Value) string {
	if u.AtLeast.isSet() && value.json.Kind() == strictjson.Number {
		return "less"
	}
	if u.AtMost.isSet() && value.json.Kind() == strictjson.Number {
		return "more"
	}
	return Form(value)
}

// Form describes a value that is not the required one, without repeating it.
func Form(value Value) string {
	switch {
	case value.IsEmpty():
		return "empty"
	case value.json.Kind() == strictjson.Array:
		n := 0
		for range value.json.Elements() {
			n++
		}
		return fmt.Sprintf("a list of %d other values", n)
	default:
		return "another " + value.json.Kind().String()
	}
}
