package pathmatch_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/pathmatch"
)

// An expression is a regular expression as Kong's file has it, and as Rust reads it, in Go's words.
type expression struct{ kong, model string }

func same(texts ...string) (all []expression) {
	for _, text := range texts {
		all = append(all, expression{text, text})
	}
	return all
}

const word = `\p{L}\p{M}\p{Nd}\p{Pc}`

var (
	atoms = append(same("a", "b", "c", "f", "F", "2", "/", "/", "x", "k", "é", "%2F", "%25", "%", `\.`, "-", "@", `\(`,
		" ", `"`, "C3", "e", "~", ":", "K", "s", "ſ", "^", "$", `\b`, "", "😀", ".", ".", `\pL`, `\p{Greek}`, "2F"),
		expression{`\d`, `\p{Nd}`}, expression{`\w`, "[" + word + "]"}, expression{`\D`, `\P{Nd}`},
		expression{`\W`, "[^" + word + "]"}, expression{`\s`, `[\t-\r\x{85}\p{Z}]`}, expression{`\S`, `[^\t-\r\x{85}\p{Z}]`})
	members = append(same("a-f", "A-F", "0-9", "/", "%", ".", "é", " ", "x", "2", "F", "[:alpha:]", `\-`, "a-z", `"`,
		"!-~", " -~", "é-ÿ", "k", `\x00-\x{10FFFF}`, `\pL`, "+"),
		expression{`\d`, `\p{Nd}`}, expression{`\w`, word}, expression{`\D`, `\P{Nd}`}, expression{`\s`, `\t-\r\x{85}\p{Z}`})
	groups = []string{"(", "(?:", "(?i:", "(?P<name>", "(?s:", "(?U:", "(?m:"}
	counts = []string{"*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}", "{2,}", "{0}", "{1,}", "{0,}", "{1,3}?"}
)

func pickFrom[T any](random *rand.Rand, of []T) T { return of[random.IntN(len(of))] }

// class makes a class of characters.
func class(random *rand.Rand) expression {
	begin := pickFrom(random, []string{"[", "[", "[^"})
	out := expression{begin, begin}
	for range 1 + random.IntN(4) {
		member := pickFrom(random, members)
		out.kong += member.kong
		out.model += member.model
	}
	return expression{out.kong + "]", out.model + "]"}
}

// generate makes an expression with parts inside of each other, up to a depth.
func generate(random *rand.Rand, depth int) expression {
	if depth == 0 || random.IntN(3) == 0 {
		if random.IntN(3) == 0 {
			return class(random)
		}
		return pickFrom(random, atoms)
	}
	var out expression
	switch random.IntN(3) {
	case 0:
		for range 1 + random.IntN(4) {
			part := generate(random, depth-1)
			out.kong += part.kong
			out.model += part.model
		}
		return out
	case 1:
		out = generate(random, depth-1)
		for range random.IntN(3) {
			other := generate(random, depth-1)
			out.kong += "|" + other.kong
			out.model += "|" + other.model
		}
		begin := pickFrom(random, groups)
		return expression{begin + out.kong + ")", begin + out.model + ")"}
	default:
		out = generate(random, depth-1)
		count := pickFrom(random, counts)
		return expression{"(?:" + out.kong + ")" + count, "(?:" + out.model + ")" + count}
	}
}

// Whatever an expression is, the route takes nothing that Kong's leaves, and leaves nothing that Kong's takes. What it
// strips is what Kong strips.
func TestGeneratedPatternsTakeWhatKongTakes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	sure := 0
	for range tries() / 10 {
		e := generate(random, 3)
		if random.IntN(5) > 0 {
			e = expression{"/" + e.kong, "/" + e.model}
		}
		if random.IntN(3) == 0 {
			e = expression{e.kong + "$", e.model + "$"}
		}
		kong, err := regexp.Compile("^" + e.model)
		if err != nil {
			continue // such as two groups with one name
		}
		for _, strip := range []bool{false, true} {
			p := pathmatch.Regex(e.kong, strip)
			if p.Sure != "" {
				sure++
			}
			tryGenerated(t, random, e, p, kong)
		}
	}
	if sure < tries()/20 {
		t.Errorf("only %d patterns were sure", sure)
	}
}

func tryGenerated(t *testing.T, random *rand.Rand, e expression, p pathmatch.Pattern, kong *regexp.Regexp) {
	t.Helper()
	compiledHere := map[string]*regexp.Regexp{}
	for _, expr := range []string{p.Sure, p.Maybe} {
		if expr != "" {
			compiledHere[expr] = regexp.MustCompile(expr)
		}
	}
	is := func(expr, target string) bool { return expr != "" && compiledHere[expr].MatchString(target) }
	for range 100 {
		target := target(random)
		seen := kongSees(target)
		if unclear.MatchString(target) || !utf8.ValidString(seen) {
			continue
		}
		matched := kong.FindString(seen)
		takes := kong.MatchString(seen)
		taken := is(p.Sure, target)
		if takes && !taken && !is(p.Maybe, target) || !takes && taken || takes && !strings.HasPrefix(seen, p.Begins) {
			t.Fatalf("~%s: %q: Kong sees %q and takes it: %v. Pattern: %+v", e.kong, target, seen, takes, p)
		}
		if taken && p.Strip != "" {
			path, _, _ := strings.Cut(target, "?")
			left := regexp.MustCompile("^(?:"+p.Strip+")(/|$)").ReplaceAllString(path, "$1")
			if rest := strings.TrimPrefix(seen[len(matched):], "/"); kongSees("/"+strings.TrimPrefix(left, "/")) != "/"+rest {
				t.Fatalf("~%s: of %q, %q is left, and in Kong %q. Pattern: %+v", e.kong, target, left, rest, p)
			}
		}
	}
}
