package claims_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
)

func patterns(tb testing.TB, texts ...string) (list []claims.Pattern) {
	tb.Helper()
	for _, text := range texts {
		p, err := claims.ParsePattern(text)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, p)
	}
	return list
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, json string
		matches       bool
	}{
		{"org/*", `"org/repo"`, true},
		{"org/*", `"org/"`, true}, // "*" stands for nothing as well
		{"org/*", `"org"`, false},
		{"org/*", `"organisation"`, false},
		{"org/*", `"xorg/repo"`, false},
		{"org/*", `" org/repo"`, false},
		{"org/*", `"Org/repo"`, false},
		{"org/*", `"org\/repo"`, true},            // the same text
		{"org/*", `"\u006frg\u002frepo"`, true},   // the same text
		{"org/*", `"org\\/repo"`, false},          // a backslash
		{"org/*", `"\u043erg/repo"`, false},       // a Cyrillic letter
		{"org/*", `"o\u0000rg/repo"`, false},      // a NUL
		{"org/*", `"org%2frepo"`, false},          // nothing is decoded
		{"org/*", `"org\u2215repo"`, false},       // another slash
		{"org/*", `"org/*"`, true},                // a star is a text
		{"org/*", `"org/../evil/repo"`, true},     // a text, and no path
		{"org/*", `["x","org/repo"]`, true},       // in an array
		{"org/*", `["xorg/repo","org"]`, false},   //
		{"org/*", `[["org/repo"]]`, false},        // not in an array inside
		{"org/*", `[{"value":"org/repo"}]`, true}, // as SCIM has it
		{"org/*", `[{"display":"org/repo"}]`, false},
		{"org/*", `[{"value":["org/repo"]}]`, false},
		{"org/*", `{"value":"org/repo"}`, false},
		{"org/*", `{"org/repo":true}`, false},
		{"org/*", `"x org/repo"`, false},
		{"org/*", `null`, false},
		{"org/*", `[]`, false},
		{"4*", `4`, false}, // numbers have no one spelling
		{"4*", `47`, false},
		{"4*", `"47"`, true},
		{"4*", `[47]`, false},
		{"t*", `true`, false},
		{"n*", `null`, false},
		{"*@example.com", `"alice@example.com"`, true},
		{"*@example.com", `"@example.com"`, true},
		{"*@example.com", `"example.com"`, false},
		{"*@example.com", `"alice@example.com.evil"`, false},
		{"*@example.com", `"alice@EXAMPLE.com"`, false},
		{"*@example.com", `"alice@example.com "`, false},
		{"*@example.com", `"alice@example.com\n"`, false},
		{"*@example.com", `"alice\u0040example.com"`, true},
		{"*@example.com", `"\ud83d\ude00@example.com"`, true},
		{"*@example.com", `"alice@ex\u0430mple.com"`, false}, // a Cyrillic letter
		{"*@example.com", `"alice@sub.example.com"`, false},
		{"*ü", `"\u00fc"`, true},
		{"*ü", `"xü"`, true},
		{"*ü", `"xu\u0308"`, false}, // the same letter, composed in another way
		{"ü*", `"\u00fcx"`, true},
		{"ü*", `"u\u0308x"`, false},
		{"😀*", `"\ud83d\ude00x"`, true},
		{"😀*", `"\ud83d\ude01x"`, false},
		{"*é", `"\u00e9\n"`, false},
		{"a*", `""`, false},
		{"*a", `""`, false},
		{`a"*`, `"a\"b"`, true},
		{`*"b`, `"a\"b"`, true},
		{`*\b`, `"a\\b"`, true},
		{`*\b`, `"a\b"`, false}, // a backspace
	} {
		c := claims.Condition{Path: mustPath(t, "x"), Patterns: patterns(t, "never/*", tt.pattern)}
		if got := c.Holds(decode(t, `{"x":`+tt.json+`}`)); got != tt.matches {
			t.Errorf("%s like %s: %v", tt.json, tt.pattern, got)
		}
	}
	if (&claims.Condition{Path: mustPath(t, "x"), Patterns: make([]claims.Pattern, 1)}).Holds(decode(t, `{"x":"a"}`)) {
		t.Error("the zero Pattern matches")
	}
}

func TestParsePattern(t *testing.T) {
	for text, doubtful := range map[string]bool{
		"org/*": false, "org:*": false, "com.example.*": false, "alice@*": false, "org*": true, "org-*": true, "ü*": true,
		"*@example.com": false, "*.example.com": false, "*/admin": false, "*:read": false, "*example.com": true, "*ü": true,
		"a *": true, "* a": true,
	} {
		p := patterns(t, text)[0]
		if p.String() != text || (p.Doubt() != "") != doubtful {
			t.Errorf("%s: %v, doubt %q", text, p, p.Doubt())
		}
	}
	for text, want := range map[string]string{
		"*": "alone matches everything", " *": "alone", "* ": "alone", "": `no "*"`, "abc": `leave "like" out`,
		"a*c": "in the middle", "**": "more than one", "*a*": "more than one", "a**": "more than one", "\xff*": "not UTF-8",
		"a*b*": "more than one",
	} {
		if p, err := claims.ParsePattern(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, error %v", text, p, err)
		}
	}
	if doubt := (claims.Pattern{}).Doubt(); doubt != "" {
		t.Errorf("the zero Pattern: %s", doubt)
	}
}

// Excludes must be plain. What a lenient reader may take for the value is refused.
func TestExcludes(t *testing.T) {
	banned := claims.Condition{Path: mustPath(t, "a.b"), Values: []string{"banned", "5", "true"}}
	like := claims.Condition{Path: mustPath(t, "a.b"), Patterns: patterns(t, "test/*", "*.evil")}
	present := claims.Condition{Path: mustPath(t, "a.b")}
	bound := claims.Condition{Path: mustPath(t, "a.b"), AtLeast: number(t, "5")}
	for _, tt := range []struct {
		set                   string
		banned, like, present bool
	}{
		// Nothing is there.
		{`{}`, true, true, true},
		{`{"a":{}}`, true, true, true},
		{`{"a":null}`, true, true, true},
		{`{"a":{"b":null}}`, true, true, true},
		{`{"a":{"b":[]}}`, true, true, true},
		{`{"a":{"b":[ ]}}`, true, true, true},
		{`{"a":{"b":{}}}`, true, true, true},
		{`{"a":{"c":"banned"}}`, true, true, true},
		{`{"a":{"b":""}}`, true, true, true},
		{`{"a":{"b":" "}}`, true, true, true},
		{`{"a.b":"banned"}`, true, true, true}, // another claim
		// Something else is there.
		{`{"a":{"b":"x"}}`, true, true, false},
		{`{"a":{"b":["x","y"]}}`, true, true, false},
		{`{"a":{"b":[{"value":"x"}]}}`, true, true, false},
		{`{"a":{"b":"Banned"}}`, true, true, false}, // compared exactly
		{`{"a":{"b":"banned "}}`, true, true, false},
		{`{"a":{"b":"contest/x"}}`, true, true, false},
		{`{"a":{"b":6}}`, true, false, false}, // a pattern cannot judge a number
		{`{"a":{"b":false}}`, true, false, false},
		{`{"a":{"b":[6]}}`, true, false, false},
		// The value is there.
		{`{"a":{"b":"banned"}}`, false, true, false},
		{`{"a":{"b":"\u0062anned"}}`, false, true, false},
		{`{"a":{"b":["x","banned"]}}`, false, true, false},
		{`{"a":{"b":[{"value":"banned"}]}}`, false, true, false},
		{`{"a":{"b":5}}`, false, false, false},
		{`{"a":{"b":5.0}}`, false, false, false}, // the same number
		{`{"a":{"b":[0.5e1]}}`, false, false, false},
		{`{"a":{"b":"5"}}`, false, true, false},
		{`{"a":{"b":true}}`, false, false, false},
		{`{"a":{"b":"true"}}`, false, true, false},
		{`{"a":{"b":"test/x"}}`, true, false, false},
		{`{"a":{"b":"a.evil"}}`, true, false, false},
		{`{"a":{"b":"a\u002eevil"}}`, true, false, false},
		{`{"a":{"b":["x","a.evil"]}}`, true, false, false},
		{`{"a":{"b":[{"value":"test/"}]}}`, true, false, false},
		// A form in which it cannot be seen.
		{`{"a":{"b":{"banned":true}}}`, false, false, false},
		{`{"a":{"b":[["banned"]]}}`, false, false, false},
		{`{"a":{"b":[["x"]]}}`, false, false, false},
		{`{"a":{"b":[{"name":"x"}]}}`, false, false, false},
		{`{"a":{"b":[{"value":["banned"]}]}}`, false, false, false},
		{`{"a":{"b":[null]}}`, false, false, false},
		{`{"a":{"b":[{}]}}`, false, false, false},
		{`{"a":[{"b":"banned"}]}`, false, false, false}, // the way to it is barred
		{`{"a":[]}`, false, false, false},
		{`{"a":"banned"}`, false, false, false},
		{`{"a":7}`, false, false, false},
	} {
		set := decode(t, tt.set)
		for name, c := range map[string]struct {
			condition claims.Condition
			want      bool
		}{"values": {banned, tt.banned}, "patterns": {like, tt.like}} {
			if got := c.condition.Excludes(set); got != c.want {
				t.Errorf("%s: %s are excluded: %v", tt.set, name, got)
			}
			if c.condition.Excludes(set) && c.condition.Holds(set) {
				t.Errorf("%s: %s hold and are excluded", tt.set, name)
			}
		}
		if got := present.Excludes(set); got != tt.present {
			t.Errorf("%s: any value is excluded: %v", tt.set, got)
		}
		if present.Holds(set) && present.Excludes(set) {
			t.Errorf("%s: a claim is there, and is not", tt.set)
		}
	}
	for _, c := range []claims.Condition{banned, like, present, bound} {
		if !c.Excludes((*claims.Set)(nil)) || c.Holds((*claims.Set)(nil)) {
			t.Errorf("%v: somebody without a token has it", c.Terms())
		}
	}
	if bound.Excludes(decode(t, `{"a":{"b":1}}`)) {
		t.Error("a bound has an opposite")
	}
	if (&claims.Condition{Values: []string{"x"}}).Holds(decode(t, `{"x":"x"}`)) {
		t.Error("the zero Path leads somewhere")
	}
}

// A pointer goes through arrays. An index behind the end is absent, and a name in an array is in the way.
func TestExcludesByAPointer(t *testing.T) {
	for pointer, want := range map[string]bool{
		"/a/0": false, "/a/1": true, "/a/2": true, "/a/9/x": true, "/a/1/x": false, "/b/c": true, "/a/0/x": false,
		"/a/x": true,
	} {
		c := claims.Condition{Path: mustPath(t, pointer), Values: []string{"banned"}}
		if got := c.Excludes(decode(t, `{"a":["banned","x"],"b":{}}`)); got != want {
			t.Errorf("%s: excluded %v", pointer, got)
		}
	}
}

func TestConditionsThatCannotBeMeant(t *testing.T) {
	for name, c := range map[string]claims.Condition{
		"values and patterns": {Values: []string{"a"}, Patterns: patterns(t, "a/*")},
		"two bounds":          {AtLeast: number(t, "1"), AtMost: number(t, "2")},
		"a value and a bound": {Values: []string{"1"}, AtMost: number(t, "2")},
		"an empty value":      {Values: []string{"a", ""}},
	} {
		if c.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, c := range []claims.Condition{
		{}, {Values: []string{"a"}}, {Patterns: patterns(t, "a/*")}, {AtLeast: number(t, "0")}, {AtMost: number(t, "0")},
	} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// A cause names the claim, what was wanted, and what form the claim has. It never repeats the value.
func TestCausesOfConditions(t *testing.T) {
	x := mustPath(t, "x")
	values := claims.Condition{Path: x, Values: []string{"a", "b", "c", "d"}}
	for want, tt := range map[string]struct {
		condition claims.Condition
		set       string
		not       bool
	}{
		`the claim "x" is not there; required: "a", "b", "c" and 1 more`: {values, `{}`, false},
		`the claim "x" is there, but it is another string; required: "a", "b", "c" and 1 more`: {
			values, `{"x":"secret"}`, false},
		`the claim "x" is there, but it is a list of 2 other values; required: like "org/*", "*.example"`: {
			claims.Condition{Path: x, Patterns: patterns(t, "org/*", "*.example")}, `{"x":["secret",1]}`, false},
		`the claim "x" is there, but it is less; required: a number of at least 18`: {
			claims.Condition{Path: x, AtLeast: number(t, "18")}, `{"x":17}`, false},
		`the claim "x" is there, but it is more; required: a number of at most 18`: {
			claims.Condition{Path: x, AtMost: number(t, "18")}, `{"x":18.5}`, false},
		`the claim "x" is there, but it is another string; required: a number of at least 1`: {
			claims.Condition{Path: x, AtLeast: number(t, "1")}, `{"x":"5"}`, false},
		`the claim "x" is there, but it is empty; required: any value`: {claims.Condition{Path: x}, `{"x":""}`, false},
		`the claim "x" has what it must not have, or a form in which that cannot be seen; excluded: "a"`: {
			claims.Condition{Path: x, Values: []string{"a"}}, `{"x":"a"}`, true},
	} {
		err := tt.condition.Unmet(decode(t, tt.set))
		if tt.not {
			err = tt.condition.Included(decode(t, tt.set))
		}
		if err.Error() != want {
			t.Errorf("%s: cause\n%v\nwant\n%s", tt.set, err, want)
		}
	}
	if got := values.Unmet((*claims.Set)(nil)).Error(); !strings.HasPrefix(got, `the claim "x" is not there`) {
		t.Errorf("without a token: %s", got)
	}
}

func TestConditionsDoNotAllocate(t *testing.T) {
	set := decode(
		t,
		`{"text":"\u006frg/\u00fcrepo","list":[1,"a\nb",{"value":"org/x"},true],"n":12.50e3,"deep":{"b":[5.0]}}`,
	)
	for _, c := range []claims.Condition{
		{Path: mustPath(t, "text"), Patterns: patterns(t, "x/*", "org/*", "*repo", "*üx")},
		{Path: mustPath(t, "text"), Patterns: patterns(t, "*ürepo")},
		{Path: mustPath(t, "list"), Patterns: patterns(t, "org/*")},
		{Path: mustPath(t, "list"), Patterns: patterns(t, "*b")},
		{Path: mustPath(t, "list"), Values: []string{"nothing", "1.0", "banned"}},
		{Path: mustPath(t, "n"), AtLeast: number(t, "12499.9")},
		{Path: mustPath(t, "n"), AtMost: number(t, "1e3")},
		{Path: mustPath(t, "deep.b"), Values: []string{"banned", "6", "5e0"}},
		{Path: mustPath(t, "deep.c"), Values: []string{"banned"}},
		{Path: mustPath(t, "deep")},
	} {
		if n := testing.AllocsPerRun(100, func() { c.Holds(set); c.Excludes(set) }); n != 0 {
			t.Errorf("%v: %v allocations", c.Terms(), n)
		}
	}
}
