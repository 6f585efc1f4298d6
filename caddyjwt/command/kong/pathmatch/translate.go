package pathmatch

import (
	"fmt"
	"regexp/syntax"
	"strings"
	"unicode"
)

// anything is the expression of what may come where nothing can be said.
const anything = `[^?]*`

// A part is what a part of a regular expression takes of a clear path.
type part struct {
	sure  string // what it certainly takes; it has no meaning unless can
	maybe string // all that it may take
	can   bool   // there is something that it certainly takes
	exact bool   // the two are the same
}

// unknown is the part of which nothing is known.
func unknown() part { return part{maybe: anything} }

// A context is what follows a part.
type context struct {
	head bool // nothing is before it
	tail bool // nothing follows
	hex  bool // what follows may begin with a digit of an escape
}

type translator struct{ source source }

func (t translator) node(r *syntax.Regexp, in context) part {
	switch r.Op {
	case syntax.OpEmptyMatch:
		return part{can: true, exact: true}
	case syntax.OpLiteral:
		return t.literal(r)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return one(readClass(r, t.source))
	case syntax.OpBeginText:
		if !in.head {
			return unknown()
		}
		return part{can: true, exact: true}
	case syntax.OpEndText:
		if !in.tail {
			return unknown()
		}
		return part{sure: ends, maybe: ends, can: true, exact: true}
	case syntax.OpCapture:
		return t.node(r.Sub[0], in)
	case syntax.OpConcat:
		return t.concat(r.Sub, in)
	case syntax.OpAlternate:
		return t.alternate(r.Sub, in)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		return t.repeat(r, in)
	default:
		return unknown()
	}
}

// literal translates a text, which Go may have taken out of its case.
func (t translator) literal(r *syntax.Regexp) part {
	if r.Flags&syntax.FoldCase == 0 {
		text, good := literal(string(r.Rune))
		if !good {
			return unknown()
		}
		return part{sure: text.sure, maybe: text.maybe, can: true, exact: true}
	}
	out := part{can: true, exact: true}
	for _, c := range r.Rune {
		folded, good := foldings(c)
		if !good {
			return unknown()
		}
		out.sure += folded
		out.maybe += folded
	}
	return out
}

// foldings is the expression of a character in all its cases.
func foldings(c rune) (expr string, good bool) {
	var each []string
	for next := c; ; {
		expr, good := character(next)
		if !good {
			return "", false
		}
		each = append(each, expr)
		if next = unicode.SimpleFold(next); next == c {
			break
		}
	}
	return union(each...)
}

// one translates one character of a class. Kong sees the escape of a reserved character as three characters.
func one(c class) part {
	sure, can := c.sure()
	maybe, possible := c.maybe()
	if !possible {
		return unknown()
	}
	return part{sure: sure, maybe: maybe, can: can, exact: c.isExact()}
}

func (t translator) concat(subs []*syntax.Regexp, in context) part {
	out := part{can: true, exact: true}
	parts := make([]part, len(subs))
	head := in.head
	for i := len(subs) - 1; i >= 0; i-- {
		in.head = head && i == 0
		parts[i] = t.node(subs[i], in)
		in = context{hex: beginsWithHex(subs[i]) || isNullable(subs[i]) && in.hex}
	}
	for _, p := range parts {
		out.sure += p.sure
		out.maybe += p.maybe
		out.can = out.can && p.can
		out.exact = out.exact && p.exact
	}
	return out
}

func (t translator) alternate(subs []*syntax.Regexp, in context) part {
	out := part{exact: true}
	var sure, maybe []string
	for _, sub := range subs {
		p := t.node(sub, in)
		if p.can {
			sure = append(sure, p.sure)
		}
		maybe = append(maybe, p.maybe)
		out.exact = out.exact && p.exact && p.can
	}
	out.can = len(sure) > 0
	out.sure = group(strings.Join(sure, "|"))
	out.maybe = group(strings.Join(maybe, "|"))
	return out
}

// repeat translates a repetition. What follows one of its turns may be the next one.
func (t translator) repeat(r *syntax.Regexp, in context) part {
	sub := r.Sub[0]
	for sub.Op == syntax.OpCapture {
		sub = sub.Sub[0]
	}
	times := operator(r)
	if isClass(sub) && isUnbounded(r) {
		if c := readClass(sub, t.source); c.isWide() {
			out := part{sure: c.run() + times, maybe: c.run() + times, can: true, exact: !in.hex}
			if in.hex {
				out.sure = c.runOfWhole() + times
			}
			return out
		}
	}
	p := t.node(sub, context{hex: in.hex || beginsWithHex(sub)})
	if p.sure == "" && p.can { // nothing, repeated
		return p
	}
	p.sure, p.maybe = unit(p.sure)+times, unit(p.maybe)+times
	return p
}

// operator is what is written after a part that is repeated.
func operator(r *syntax.Regexp) string {
	lazy := ""
	if r.Flags&syntax.NonGreedy != 0 {
		lazy = "?"
	}
	switch r.Op {
	case syntax.OpStar:
		return "*" + lazy
	case syntax.OpPlus:
		return "+" + lazy
	case syntax.OpQuest:
		return "?" + lazy
	}
	switch r.Max {
	case r.Min:
		return fmt.Sprintf("{%d}%s", r.Min, lazy)
	case -1:
		return fmt.Sprintf("{%d,}%s", r.Min, lazy)
	default:
		return fmt.Sprintf("{%d,%d}%s", r.Min, r.Max, lazy)
	}
}

// isUnbounded reports whether a part is repeated from nothing or once to any number of times. Then it does not matter
// how many characters an escape is.
func isUnbounded(r *syntax.Regexp) bool {
	return r.Op == syntax.OpStar || r.Op == syntax.OpPlus || r.Op == syntax.OpRepeat && r.Max == -1 && r.Min <= 1
}

func isClass(r *syntax.Regexp) bool {
	return r.Op == syntax.OpCharClass || r.Op == syntax.OpAnyChar || r.Op == syntax.OpAnyCharNotNL
}

// isNullable reports whether a part takes nothing, too.
func isNullable(r *syntax.Regexp) bool {
	switch r.Op {
	case syntax.OpLiteral:
		return len(r.Rune) == 0
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return false
	case syntax.OpCapture, syntax.OpPlus:
		return isNullable(r.Sub[0])
	case syntax.OpRepeat:
		return r.Min == 0 || isNullable(r.Sub[0])
	case syntax.OpConcat:
		for _, sub := range r.Sub {
			if !isNullable(sub) {
				return false
			}
		}
		return true
	case syntax.OpAlternate:
		for _, sub := range r.Sub {
			if isNullable(sub) {
				return true
			}
		}
		return false
	default:
		return true
	}
}

// beginsWithHex reports whether what a part takes may begin with a digit of an escape.
func beginsWithHex(r *syntax.Regexp) bool {
	switch r.Op {
	case syntax.OpLiteral:
		return len(r.Rune) > 0 && isHex(r.Rune[0])
	case syntax.OpCharClass:
		return hasHex(r.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	case syntax.OpConcat:
		for _, sub := range r.Sub {
			if beginsWithHex(sub) {
				return true
			}
			if !isNullable(sub) {
				return false
			}
		}
		return false
	default: // all others begin as one of their parts
		for _, sub := range r.Sub {
			if beginsWithHex(sub) {
				return true
			}
		}
		return false
	}
}

func hasHex(ranges []rune) bool {
	for c := rune('0'); c <= 'f'; c++ {
		if isHex(c) && inRanges(ranges, c) {
			return true
		}
	}
	return false
}
