package pathmatch

import (
	"regexp/syntax"
)

// An end is where what an expression matches ends.
type end int

const (
	anywhere  end = iota
	atASlash      // before what follows the last slash of the expression
	atThePath     // at the end of the path
)

// endOf is where a match ends. It is not known if the expression could match more than one part of a path, so that it
// depends on the router which one it matches.
func endOf(tree *syntax.Regexp) (end, bool) {
	parts := []*syntax.Regexp{tree}
	if tree.Op == syntax.OpConcat {
		parts = tree.Sub
	}
	if len(parts) == 0 {
		return 0, false
	}
	last := parts[len(parts)-1]
	if endsWithThePath(last) {
		return atThePath, true
	}
	for i, p := range parts {
		if i == 0 && p.Op == syntax.OpBeginText {
			continue
		}
		var next *syntax.Regexp
		if i+1 < len(parts) {
			next = parts[i+1]
		}
		if !isDetermined(bare(p), next) {
			return 0, false
		}
	}
	if last.Op == syntax.OpLiteral && last.Rune[len(last.Rune)-1] == '/' {
		return atASlash, true
	}
	return anywhere, true
}

// endsWithThePath reports whether every match of a part ends where the path does.
func endsWithThePath(r *syntax.Regexp) bool {
	switch r.Op {
	case syntax.OpEndText:
		return true
	case syntax.OpCapture:
		return endsWithThePath(r.Sub[0])
	case syntax.OpConcat:
		return endsWithThePath(r.Sub[len(r.Sub)-1])
	case syntax.OpAlternate:
		for _, sub := range r.Sub {
			if !endsWithThePath(sub) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

// isDetermined reports whether it is plain how much a part takes: one text, one character, or all characters of a class
// up to one that is not in it.
func isDetermined(r, next *syntax.Regexp) bool {
	switch {
	case r.Op == syntax.OpLiteral || isClass(r):
		return true
	case r.Op != syntax.OpPlus && r.Op != syntax.OpStar || r.Flags&syntax.NonGreedy != 0:
		return false
	}
	class := bare(r.Sub[0])
	if class.Op != syntax.OpCharClass {
		return false
	}
	follows := '/' // what the end of a segment looks like
	if next != nil {
		next = bare(next)
		if next.Op != syntax.OpLiteral || next.Flags&syntax.FoldCase != 0 {
			return false
		}
		follows = next.Rune[0]
	}
	return !inRanges(class.Rune, follows)
}

// bare is what a group has inside.
func bare(r *syntax.Regexp) *syntax.Regexp {
	for r.Op == syntax.OpCapture {
		r = r.Sub[0]
	}
	return r
}
