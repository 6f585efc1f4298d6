// Package pathmatch says in regular expressions for Caddy which requests the paths of a Kong route take.
//
// Kong matches a path after it has normalized it: it decodes the escapes of all characters but the reserved ones,
// removes dot segments, and merges slashes. Caddy's matchers see the path decoded as a whole, or as it was sent. So a
// converted site matches the target of the request line as it was sent. Before that it refuses what looks different
// after normalizing: see [Unclear]. What is left differs from what Kong matches only in the escapes of characters that
// may not stand in a path unescaped.
package pathmatch

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Unclear is a regular expression of the request targets that a converted site refuses: all that is not an absolute
// path, and each path with an empty segment, a dot segment, a character that must be escaped, or the escape of a
// control character or of one that needs none (RFC 3986 section 2.3). Kong and Caddy could take these for
// different paths.
const Unclear = `^(?:[^/]|$|[^?]*(?:` +
	`//|/\.\.?(?:[/?]|$)|` + // empty segments, dot segments
	"[^?!$&'()*+,;=:@\\[\\]A-Za-z0-9._~/%-]|" + // raw characters that RFC 3986 does not allow in a path
	`%(?:[01]|2[DdEe]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaFf]|6[1-9A-Fa-f]|7[0-9AaEeFf])|` + // needless escapes, controls
	`%(?:[^0-9A-Fa-f]|$)|%[0-9A-Fa-f](?:[^0-9A-Fa-f]|$)))`

// A Pattern says which request targets a path of a route takes, as regular expressions of the whole target, with its
// query. Targets that are [Unclear] do not count.
type Pattern struct {
	// Sure is what the route takes in Kong. It is empty if that cannot be said.
	Sure string
	// Maybe is what the route may take: all that it takes, and more. It is empty if that is the same as Sure.
	Maybe string
	// Begins is what all paths begin with that the route takes, as Kong sees them.
	Begins string
	// Strip is the part of the path that strip_path removes. The end of the path or a slash follows it. It has no
	// submatches, and is empty if nothing is removed.
	Strip string
}

// ends is where a path ends in a request target.
const ends = `(?:\?|$)`

// segmentEnds is where a segment of a path ends in a request target.
const segmentEnds = `(?:[/?]|$)`

// Prefix is the pattern of a path that is the beginning of all that its route takes. With strip, a target in which
// another character than a slash follows is in Maybe alone: what is left of it would be no path.
func Prefix(path string, strip bool) Pattern {
	text, good := literal(path)
	if !good || !strings.HasPrefix(path, "/") || unclear.MatchString(text.sample) {
		return unsaid(path)
	}
	all := "^" + text.sure
	if !strip || path == "/" {
		return Pattern{Sure: all, Begins: path}
	}
	segments := strings.TrimSuffix(path, "/")
	if segments != path { // what follows begins a segment, whatever it is
		return Pattern{Sure: all, Begins: path, Strip: strings.TrimSuffix(all, "/")}
	}
	return Pattern{Sure: all + segmentEnds, Maybe: all, Begins: path, Strip: all}
}

// unsaid is the pattern of a path of which only the beginning can be said.
func unsaid(path string) Pattern {
	begins := literalBeginning(path)
	return Pattern{Maybe: "^" + regexp.QuoteMeta(begins), Begins: begins}
}

// Regex is the pattern of a path that is a regular expression, without the "~" before it. Kong anchors it at the
// beginning alone. With strip, the same holds as for Prefix, and nothing is sure about an expression that could match
// more than one part of a path: the router decides which one is stripped.
func Regex(expr string, strip bool) Pattern {
	tree, err := parse(expr)
	if err != nil {
		return unsaid(expr)
	}
	t := translator{source: readSource(expr)}
	got := t.node(tree, context{head: true, tail: true})
	if !isAnchored(expr) {
		got.maybe, got.exact = anything+group(got.maybe), false
	}
	p := Pattern{Maybe: "^" + group(got.maybe), Begins: literalBeginning(expr)}
	if strip {
		return p.stripped(tree, got).compiled()
	}
	if got.can {
		p.Sure = "^" + group(got.sure)
	}
	if got.can && got.exact {
		p.Maybe = ""
	}
	return p.compiled()
}

// stripped adds what is sure if what the expression matches is stripped.
func (p Pattern) stripped(tree *syntax.Regexp, got part) Pattern {
	end, known := endOf(tree)
	if !got.can || !known {
		return p
	}
	p.Sure, p.Strip = "^"+group(got.sure), "^"+group(got.sure)
	switch end {
	case atASlash:
		p.Strip = "^" + group(strings.TrimSuffix(got.sure, "/"))
	case anywhere:
		p.Sure += segmentEnds
		return p
	}
	if got.exact {
		p.Maybe = ""
	}
	return p
}

// compiled gives up what Caddy could not compile, because its repetitions are too large.
func (p Pattern) compiled() Pattern {
	for _, expr := range []string{p.Sure, p.Maybe, p.Strip} {
		if _, err := regexp.Compile(expr); err != nil {
			return Pattern{Maybe: "^/", Begins: "/"}
		}
	}
	return p
}

var unclear = regexp.MustCompile(Unclear)

// plainBeginning is what every regular expression takes literally.
var plainBeginning = regexp.MustCompile(`^[A-Za-z0-9/_-]*`)

// literalBeginning is what every match of an expression begins with, as far as that can be said of one that cannot be
// parsed.
func literalBeginning(expr string) string {
	if strings.Contains(expr, "|") {
		return "/"
	}
	plain := plainBeginning.FindString(expr)
	rest := expr[len(plain):]
	if rest != "" && strings.ContainsAny(rest[:1], "?*+{") && plain != "" {
		plain = plain[:len(plain)-1] // it may be missing
	}
	if !strings.HasPrefix(plain, "/") {
		return "/"
	}
	return plain
}

var oneSet = regexp.MustCompile(`^\[(?:[^\]\\]|\\.)*\]$`)

// unit is an expression that can be repeated.
func unit(expr string) string {
	if oneSet.MatchString(expr) || len(expr) == 1 {
		return expr
	}
	return group(expr)
}

// group makes one unit of an expression.
func group(expr string) string { return fmt.Sprintf("(?:%s)", expr) }
