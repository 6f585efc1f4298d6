package pathmatch

import (
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A class is a set of characters that Kong matches, by how a clear path shows them.
type class struct {
	raw      string // those that stand there as they are, but for "%"
	excluded string // of the same kind, those that are not in the set
	escaped  string // those of escapeds
	percent  bool   // "%", with which the escape of a reserved character begins
	hex      bool   // all digits of escapes, in either case
	high     share  // characters outside of ASCII
}

// A share is how much of the characters outside of ASCII a class has.
type share int

const (
	noneOfThem share = iota
	allOfThem
	someOfThem // or it depends on the flavor of the router
)

// readClass sorts the characters of a class.
func readClass(r *syntax.Regexp, from source) class {
	has := func(c rune) bool { return r.Op != syntax.OpCharClass || inRanges(r.Rune, c) }
	c := class{percent: has('%'), hex: true, high: highShare(r, from)}
	for b := rune(' '); b < 0x7f; b++ {
		switch {
		case b == '%' || b == '?' || b == '#':
		case isRaw(b) && has(b):
			c.raw += string(b)
		case isRaw(b):
			c.excluded += string(b)
		case has(b):
			c.escaped += string(b)
		}
		if isHex(b) && !has(b) {
			c.hex = false
		}
	}
	return c
}

func inRanges(ranges []rune, c rune) bool {
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i] <= c && c <= ranges[i+1] {
			return true
		}
	}
	return false
}

// allHigh is how many characters are outside of ASCII.
const allHigh = utf8.MaxRune - utf8.RuneSelf + 1

// highShare is how much a class has outside of ASCII in every flavor.
func highShare(r *syntax.Regexp, from source) share {
	covered := 0
	if r.Op != syntax.OpCharClass { // a dot, or what Go takes for one
		covered = allHigh
	}
	for i := 0; i+1 < len(r.Rune); i += 2 {
		if low, high := max(r.Rune[i], utf8.RuneSelf), r.Rune[i+1]; low <= high {
			covered += int(high-low) + 1
		}
	}
	switch {
	case covered == allHigh && !from.perlExcluded:
		return allOfThem
	case covered == 0 && !from.perl:
		return noneOfThem
	default:
		return someOfThem
	}
}

// isWide reports whether a class has all but some of the characters that stand in a path as they are.
func (c class) isWide() bool {
	return c.percent && c.hex && c.escaped == escapeds && c.high == allOfThem
}

// isExact reports whether the expressions of one character of the class are the same.
func (c class) isExact() bool { return !c.percent && c.high == noneOfThem }

// sure is the expression of one character that is certainly in the class, as a path shows it.
func (c class) sure() (expr string, can bool) {
	return union(set(c.raw), escapes(c.escaped))
}

// maybe is the expression of one character that may be in the class: a character as it is, one that is shown by
// escapes, or a part of an escape that Kong leaves.
func (c class) maybe() (expr string, can bool) {
	raw := c.raw
	for _, digit := range "ABCDEF" { // where it is in an escape, the escape may be in lower case
		if lower := unicode.ToLower(digit); strings.ContainsRune(raw, digit) && !strings.ContainsRune(raw, lower) {
			raw += string(lower)
		}
	}
	if c.percent {
		raw += "%"
	}
	high := ""
	if c.high != noneOfThem {
		high = highEscapes
	}
	return union(set(raw), escapes(c.escaped), high)
}

// run is the expression of a wide class that is repeated, whatever is escaped in the path.
func (c class) run() string { return "[^?" + setMembers(c.excluded) + "]" }

// runOfWhole is the same, with each character taken as a whole.
func (c class) runOfWhole() string { return group(set(c.raw) + "|" + lowEscape + "|" + highCharacter) }

func union(parts ...string) (expr string, can bool) {
	var some []string
	for _, part := range parts {
		if part != "" {
			some = append(some, part)
		}
	}
	if len(some) == 1 {
		return some[0], true
	}
	return group(strings.Join(some, "|")), len(some) > 0
}

func set(chars string) string {
	if chars == "" {
		return ""
	}
	return "[" + setMembers(chars) + "]"
}

// setMembers writes the members of a set, ranges of letters and digits as such.
func setMembers(chars string) string {
	var out strings.Builder
	for _, span := range []string{"0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"} {
		if containsAll(chars, span) {
			out.WriteString(span[:1] + "-" + span[len(span)-1:])
			chars = strings.Map(func(r rune) rune {
				if strings.ContainsRune(span, r) {
					return -1
				}
				return r
			}, chars)
		}
	}
	for _, r := range chars {
		if r == '-' || r == '&' || r == '~' {
			out.WriteString(`\`)
		}
		out.WriteString(regexp.QuoteMeta(string(r)))
	}
	return out.String()
}

func containsAll(chars, span string) bool {
	for _, r := range span {
		if !strings.ContainsRune(chars, r) {
			return false
		}
	}
	return true
}

func escapes(chars string) string {
	var each []string
	for _, b := range []byte(chars) {
		each = append(each, escape(b))
	}
	if len(each) == 0 {
		return ""
	}
	return group(strings.Join(each, "|"))
}
