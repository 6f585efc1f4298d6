package pathmatch

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
)

// Kong's routers use Rust's regular expressions, and PCRE in the flavor "traditional". Go parses most of both alike.
// Where they differ without an error, parse and source know.

var (
	perlClass = regexp.MustCompile(`\\[dwsDWS]`)
	// A class that excludes \d, \w or \s excludes more in Rust than in Go.
	perlExcluded = regexp.MustCompile(`\\[DWS]|\[\^[^\]]*\\[dws]`)
	// Rust has assertions where Go has characters, and neither agrees with PCRE about a count without a minimum.
	differs = regexp.MustCompile(`\\[<>QE]|\\[bB]\{|\{,`)
	// Rust has sets of sets. Go simplifies a class with \D, and forgets what it may miss.
	setOperation = regexp.MustCompile(`&&|--|~~|\\[DWS]`)
	posixClass   = regexp.MustCompile(`^\[:\^?[a-z]+:\]`)
)

var errAmbiguous = errors.New("the routers of Kong and Go read this in different ways")

// parse reads a regular expression of Kong. It fails where Go would read another one.
func parse(expr string) (*syntax.Regexp, error) {
	if differs.MatchString(strings.ReplaceAll(expr, `\\`, "")) {
		return nil, errAmbiguous
	}
	for rest := expr; rest != ""; {
		switch rest[0] {
		case '\\':
			rest = rest[min(2, len(rest)):]
		case '[':
			var err error
			if rest, err = skipClass(rest); err != nil {
				return nil, err
			}
		default:
			rest = rest[1:]
		}
	}
	return syntax.Parse(expr, syntax.Perl)
}

// skipClass skips a class, whose beginning and end both must find at the same places.
func skipClass(rest string) (string, error) {
	inside := strings.TrimPrefix(rest[1:], "^")
	if strings.HasPrefix(inside, "]") {
		return "", errAmbiguous
	}
	for i := 0; i < len(inside); {
		switch {
		case inside[i] == ']':
			if setOperation.MatchString(strings.ReplaceAll(inside[:i], `\\`, "")) {
				return "", errAmbiguous
			}
			return inside[i+1:], nil
		case inside[i] == '\\':
			i += 2
		case inside[i] == '[':
			name := posixClass.FindString(inside[i:])
			if name == "" {
				return "", errAmbiguous
			}
			i += len(name)
		default:
			i++
		}
	}
	return "", errAmbiguous
}

// isAnchored reports whether the "^" that Kong writes before an expression holds for all of it. It does not in "/a|/b".
// The flavor "traditional" anchors it in another way.
func isAnchored(expr string) bool {
	tree, err := syntax.Parse("^"+expr, syntax.Perl)
	return err == nil && beginsAnchored(tree)
}

func beginsAnchored(r *syntax.Regexp) bool {
	switch r.Op {
	case syntax.OpBeginText:
		return true
	case syntax.OpConcat, syntax.OpCapture:
		return beginsAnchored(r.Sub[0])
	case syntax.OpAlternate:
		for _, sub := range r.Sub {
			if !beginsAnchored(sub) {
				return false
			}
		}
		return true
	default:
		return false
	}
}

// source says what a parsed expression does not say any more.
type source struct {
	// perl: a class may have characters outside of ASCII that it has in Rust alone.
	perl bool
	// perlExcluded: a class may miss such characters in Rust alone.
	perlExcluded bool
}

func readSource(expr string) source {
	bare := strings.ReplaceAll(expr, `\\`, "")
	return source{perl: perlClass.MatchString(bare), perlExcluded: perlExcluded.MatchString(bare)}
}
