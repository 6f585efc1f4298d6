package pathmatch_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/pathmatch"
)

var unclear = regexp.MustCompile(pathmatch.Unclear)

// expressions are regular expressions of Kong's routes, plain ones and mean ones.
var expressions = []string{
	`/orders/\d+$`, `/orders/(?<id>\d+)`, `/orders/[^/]+/items`, `/users/[^/]+$`, `/v1.0/users`, `/v[12]/`, `/(a|b)$`,
	`/files/.*\.json$`, `/files/.*`, `/files(/|$)`, `/files/(?:[\w-]+/)*end$`, `/a|/b`, `/a$|/b$`, `^/a/b`, `(?i)/kids`,
	`/[A-F0-9]+$`, `/[a-z ]+$`, `/.+2F`, `/[^/]+2F`, `/[^/]+%2F`, `/x{2,3}`, `/[^/]{3}$`, `/.{3}$`, `/[^/]{2,}$`, `/é+`,
	`/[é]x`, `/\w+/z`, `/\D+$`, `/[^\d/]+$`, `/%2F`, `/a\sb`, `/.+C3`, `/[%2]+F$`, `/[^a]*a$`, `/x*y?z+$`, `/(ab|abc)$`,
	`/(.*)admin`, `/.*?c3$`, `/((a|b)/)*c$`, `/[\w.]+@x`, `/Products\(\d+\)`, `/a@b`, `/$`, `/p/[^/.]+\.[^/]+$`,
	`/[^/]*/[^/]*/?$`, `/\p{L}+$`, `/[^x]`, `/[^/]?$`, `/(?:[^/]+[^/]+)$`, `/(?i)[a-f]+$`, `/(?:%2F|x)+$`, `/.$`,
	`/a/?$`, `(/a)?/b`, `/(a/)?.+f$`, ``, `/\bab`, `/[[:alpha:]]+$`,
}

var prefixes = []string{
	"/", "/orders", "/orders/", "/a b", "/é", "/Products(1)", "/a%2Fb", "/a@b", "/x~y", "/files/v1", "/.well-known", "/F",
}

// pieces are what targets are made of.
var pieces = []string{
	"/", "/", "/", "a", "b", "c", "ab", "abc", "1", "2F", "C3", "c3", "x", "y", "z", "f", "F", "%2F", "%2f", "%C3%A9",
	"%c3%a9", "%20", "%40", "@", "(", ")", "(1)", "orders", "users", "files", "items", "end", ".json", "v1", "v1.0",
	"admin", "kids", "KIDS", "%E2%84%AAids", "%D9%A3", "12", "Products", "%25", "%252F", ".", "..", "//", "%2E", "%61",
	"%22", "\"", "é", "%7E", "~", "-", "_", "%00", "*", "!", "[", "%5B", "p", "?", "?a=/b", "%", "%4", "well-known", "\\",
	"%F0%9F%98%80", "|", "#",
}

func target(random *rand.Rand) string {
	var out strings.Builder
	out.WriteString("/")
	for range random.IntN(7) {
		out.WriteString(pieces[random.IntN(len(pieces))])
	}
	return out.String()
}

// judged is what a converted site does with a target: "taken", "left" to other routes, or "refused".
func judged(t *testing.T, p pathmatch.Pattern, target string) string {
	t.Helper()
	switch {
	case unclear.MatchString(target):
		return "refused"
	case p.Sure != "" && matches(t, p.Sure, target):
		return "taken"
	case p.Maybe != "" && matches(t, p.Maybe, target):
		return "refused"
	default:
		return "left"
	}
}

var compiled = map[string]*regexp.Regexp{}

func matches(t *testing.T, expr, target string) bool {
	t.Helper()
	if compiled[expr] == nil {
		var err error
		if compiled[expr], err = regexp.Compile(expr); err != nil {
			t.Fatal(err)
		}
	}
	return compiled[expr].MatchString(target)
}

// Whatever Kong's route takes, the converted one takes or refuses, and it takes nothing else.
func TestPatternsTakeWhatKongTakes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, expr := range expressions {
		kong := kongRegex(t, expr)
		compare(t, random, "~"+expr, pathmatch.Regex(expr, false), kong.MatchString)
		stripped := pathmatch.Regex(expr, true)
		compareStripped(t, random, "~"+expr, stripped, kong.MatchString)
	}
	for _, path := range prefixes {
		kong := func(seen string) bool { return strings.HasPrefix(seen, path) }
		compare(t, random, path, pathmatch.Prefix(path, false), kong)
		compareStripped(t, random, path, pathmatch.Prefix(path, true), kong)
	}
}

func compare(t *testing.T, random *rand.Rand, name string, p pathmatch.Pattern, kong func(string) bool) {
	t.Helper()
	for range tries() {
		target := target(random)
		seen := kongSees(target)
		if !utf8.ValidString(seen) {
			continue
		}
		takes := kong(seen)
		switch got := judged(t, p, target); {
		case takes && got == "left":
			t.Errorf("%s: %q gets past it: Kong sees %q. Pattern: %+v", name, target, seen, p)
			return
		case !takes && got == "taken":
			t.Errorf("%s: %q is taken, and Kong, which sees %q, leaves it. Pattern: %+v", name, target, seen, p)
			return
		}
	}
}

// compareStripped does not mind targets that are refused because nothing that is left would be a path.
func compareStripped(t *testing.T, random *rand.Rand, name string, p pathmatch.Pattern, kong func(string) bool) {
	t.Helper()
	compare(t, random, name+" (strip_path)", p, kong)
	for range tries() / 10 {
		target := target(random)
		if p.Strip == "" || judged(t, p, target) != "taken" {
			continue
		}
		path, _, _ := strings.Cut(target, "?")
		left := regexp.MustCompile("^(?:"+p.Strip+")(/|$)").ReplaceAllString(path, "/backend$1")
		if left != "/backend" && !strings.HasPrefix(left, "/backend/") {
			t.Errorf("%s: of %q, %q is left", name, target, left)
		}
	}
}

func tries() int {
	if testing.Short() {
		return 2_000
	}
	return 20_000
}

// Plain paths are not refused.
func TestPatternsAreNotStricterThanTheyMustBe(t *testing.T) {
	for _, c := range []struct{ expr, target string }{
		{`/orders/\d+$`, "/orders/12"},
		{`/orders/\d+$`, "/orders/12?page=2"},
		{`/orders/[^/]+/items`, "/orders/a%20b%2F%C3%A9/items/3"},
		{`/files/.*\.json$`, "/files/%C3%A9t%C3%A9/x.json?y"},
		{`/v1.0/users`, "/v1.0/users"},
		{`/(ab|abc)$`, "/abc"},
		{`(?i)/kids`, "/KiDs/1"},
		{`/files/(?:[\w-]+/)*end$`, "/files/a-b/c/end"},
		{`/[A-F0-9]+$`, "/C0FFEE"},
		{`/Products\(\d+\)`, "/Products(1)"},
	} {
		p := pathmatch.Regex(c.expr, false)
		if got := judged(t, p, c.target); got != "taken" {
			t.Errorf("~%s: %s is %s. Pattern: %+v", c.expr, c.target, got, p)
		}
	}
	for _, clear := range []string{
		"/", "/a", "/a/", "/a.b/..c/...", "/%2F%c3%A9%20", "/@!$&'()*+,;=:[x]", "/a?//../%zz\"",
	} {
		if unclear.MatchString(clear) {
			t.Errorf("%q is unclear", clear)
		}
	}
}

// What cannot be said is refused from where it may begin.
func TestPatternsThatCannotBeSaid(t *testing.T) {
	for expr, maybe := range map[string]string{
		`/api/(?!v1)`:    "^/api/",
		`/api/v1?(?=x)`:  "^/api/v",
		`/api/x++`:       "^/api/",
		`/a|/b(?!c)`:     "^/",
		`/ap[a-z&&[^b]]`: "^/ap",
		`/x{1,1001}`:     "^/",
		`(?x) /a b`:      "^/",
		`/api/[[:foo:]]`: "^/api/",
		`/v{,3}`:         "^/",
	} {
		if got := pathmatch.Regex(expr, false); got.Sure != "" || got.Maybe != maybe {
			t.Errorf("%s: %+v, want only Maybe %s", expr, got, maybe)
		}
	}
	for path, maybe := range map[string]string{
		"orders": "^/", "/a//b": "^/a//b", "/a/../b": "^/a/", "/a%20b": "^/a", "/a%2": "^/a", "/a?b": "^/", "/a#": "^/a",
	} {
		if got := pathmatch.Prefix(path, true); got.Sure != "" || got.Maybe != maybe {
			t.Errorf("%s: %+v, want only Maybe %s", path, got, maybe)
		}
	}
}
