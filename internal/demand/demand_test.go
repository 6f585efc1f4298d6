package demand_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/demand"
	"github.com/caddyjwt/gateway/internal/scope"
	"github.com/caddyjwt/gateway/internal/setting"
)

// caller is somebody with the groups of a consumer, or a token, or a token and an answer.
type caller struct {
	token, answer *claims.Set
	groups        []string
}

func (c *caller) Token() *claims.Set        { return c.token }
func (c *caller) Answer() *claims.Set       { return c.answer }
func (c *caller) Header() *claims.Header    { return new(claims.Header) }
func (c *caller) InGroup(group string) bool { return slices.Contains(c.groups, group) }
func (c *caller) Outside(groups []string) bool {
	return !slices.ContainsFunc(groups, c.InGroup)
}
func (c *caller) Groups() string { return "the caller has " + strings.Join(c.groups, ",") }

func set(tb testing.TB, json string) *claims.Set {
	tb.Helper()
	if json == "" {
		return nil
	}
	s, err := claims.Decode([]byte(json))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func condition(tb testing.TB, path string, values ...string) claims.Condition {
	tb.Helper()
	p, err := claims.ParsePath(path)
	if err != nil {
		tb.Fatal(err)
	}
	return claims.Condition{Path: p, Values: values}
}

func like(tb testing.TB, path, text string) claims.Condition {
	tb.Helper()
	pattern, err := claims.ParsePattern(text)
	if err != nil {
		tb.Fatal(err)
	}
	c := condition(tb, path)
	c.Patterns = []claims.Pattern{pattern}
	return c
}

func hierarchy(tb testing.TB) *scope.Hierarchy {
	tb.Helper()
	h, err := scope.NewHierarchy([]scope.Implication{{Broad: "admin", Narrow: []string{"read", "write"}}})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// check judges a caller by all rules one by one, and at once. Both must agree. It returns the first cause.
func check(t *testing.T, all *demand.All, c demand.Caller) string {
	t.Helper()
	h, cause := hierarchy(t), ""
	for _, rule := range all.Rules(h) {
		if err := rule.Check(c); err != nil && cause == "" {
			cause = err.Error()
		}
	}
	if all.MetBy(c, h) != (cause == "") {
		t.Errorf("MetBy says %v, and the rules say %q", all.MetBy(c, h), cause)
	}
	return cause
}

// TestDemands is a truth table. What a token has, it has in the answer about it as well, if there is one.
func TestDemands(t *testing.T) {
	scopes := func(list ...string) *demand.All { return &demand.All{Scopes: list} }
	oneOf := func(list ...string) *demand.All { return &demand.All{AnyScopes: [][]string{list}} }
	noneOf := func(list ...string) *demand.All { return &demand.All{Not: demand.Exclusions{Scopes: list}} }
	for name, tt := range map[string]struct {
		all           *demand.All
		token, answer string
		groups        []string
		cause         string // a part of it; empty if the demand is met
	}{
		"nothing":                       {&demand.All{}, "", "", nil, ""},
		"scopes":                        {scopes("a", "b"), `{"scope":"b a"}`, "", nil, ""},
		"a scope is missing":            {scopes("a", "b"), `{"scope":"a"}`, "", nil, `the token lacks the scope "b"`},
		"no token":                      {scopes("a"), "", "", nil, `needed: the scope "a"; there is no token`},
		"a broad scope":                 {scopes("read"), `{"scope":"admin"}`, "", nil, ""},
		"a scope that the answer has":   {scopes("a"), `{"scope":"a b"}`, `{"scope":"a"}`, nil, ""},
		"a scope that the answer lacks": {scopes("a"), `{"scope":"a b"}`, `{"scope":"b"}`, nil, "in the server's answer"},
		"one scope of several":          {oneOf("a", "b"), `{"scope":"b"}`, "", nil, ""},
		"none of several":               {oneOf("a", "b"), `{"scope":"c"}`, "", nil, `needs one of the scopes "a", "b"`},
		"the same one in the answer":    {oneOf("a", "b"), `{"scope":"a b"}`, `{"scope":"b"}`, nil, ""},
		"another one in the answer":     {oneOf("a", "b"), `{"scope":"a"}`, `{"scope":"b"}`, nil, `needs the scope "a"`},
		"implied in one, said in other": {oneOf("read", "b"), `{"scope":"admin"}`, `{"scope":"read"}`, nil, ""},
		"no excluded scope":             {noneOf("a"), `{"scope":"b"}`, "", nil, ""},
		"an excluded scope": {noneOf("x", "a"), `{"scope":"b a"}`, "", nil,
			`the token has "b", "a"; excluded: "x"`},
		"one that implies the excluded":  {noneOf("read"), `{"scope":"admin"}`, "", nil, "excluded"},
		"an excluded one in the answer":  {noneOf("a"), `{"scope":"b"}`, `{"scope":"a b"}`, nil, "in the server's answer"},
		"an excluded one only before it": {noneOf("a"), `{"scope":"a b"}`, `{"scope":"b"}`, nil, `the token has "a", "b"`},
		"excluded scopes without token":  {noneOf("a"), "", "", nil, ""},
		"a claim": {&demand.All{Claims: []claims.Condition{condition(t, "x", "1"), like(t, "y", "a/*")}},
			`{"x":1,"y":"a/b"}`, "", nil, ""},
		"another claim": {&demand.All{Claims: []claims.Condition{condition(t, "x", "1"), like(t, "y", "a/*")}},
			`{"x":1,"y":"b/a"}`, "", nil, `the claim "y"`},
		"an excluded claim": {&demand.All{Not: demand.Exclusions{Claims: []claims.Condition{condition(t, "x", "1")}}},
			`{"x":[2,1]}`, "", nil, `the claim "x" has what it must not have`},
		"no excluded claim": {&demand.All{Not: demand.Exclusions{Claims: []claims.Condition{condition(t, "x", "1")}}},
			`{}`, "", nil, ""},
		"a group": {&demand.All{Groups: []string{"a", "b"}}, "", "", []string{"b"}, ""},
		"another group": {&demand.All{Groups: []string{"a", "b"}}, "", "", []string{"c"},
			`one of the groups "a", "b"; the caller`},
		"no excluded group": {&demand.All{Not: demand.Exclusions{Groups: []string{"a"}}}, "", "", []string{"b"}, ""},
		"an excluded group": {&demand.All{Not: demand.Exclusions{Groups: []string{"a"}}}, "", "", []string{"a"},
			`excludes the groups "a"`},
	} {
		cause := check(t, tt.all, &caller{set(t, tt.token), set(t, tt.answer), tt.groups})
		if (cause == "") != (tt.cause == "") || !strings.Contains(cause, tt.cause) {
			t.Errorf("%s: cause %q, want %q", name, cause, tt.cause)
		}
	}
}

// Of alternatives one is enough, and it must be the same one in the token and in the answer.
func TestAlternatives(t *testing.T) {
	block := []demand.All{
		{Scopes: []string{"a", "b"}},
		{AnyScopes: [][]string{{"c", "d"}}},
		{Claims: []claims.Condition{condition(t, "role", "x")}},
		{Groups: []string{"g"}, Not: demand.Exclusions{Claims: []claims.Condition{condition(t, "role", "y")}}},
	}
	rule := demand.AnyOf(block, hierarchy(t))
	for name, tt := range map[string]struct {
		token, answer string
		groups        []string
		met           bool
	}{
		"the first":                          {`{"scope":"a b"}`, "", nil, true},
		"half of the first":                  {`{"scope":"a"}`, "", nil, false},
		"the second":                         {`{"scope":"d"}`, "", nil, true},
		"the third":                          {`{"role":"x"}`, "", nil, true},
		"the fourth":                         {`{}`, "", []string{"g"}, true},
		"half of the fourth":                 {`{"role":"y"}`, "", []string{"g"}, false},
		"a group and no token":               {"", "", []string{"g"}, true},
		"nothing":                            {`{}`, "", nil, false},
		"no token":                           {"", "", nil, false},
		"one in both":                        {`{"scope":"a b d"}`, `{"scope":"d"}`, nil, true},
		"one in the token, one in the other": {`{"scope":"a b"}`, `{"scope":"c"}`, nil, false},
		"one scope of a line in each":        {`{"scope":"c"}`, `{"scope":"d"}`, nil, false},
		"a scope taken back, and a claim":    {`{"scope":"a b","role":"x"}`, `{"scope":""}`, nil, true},
	} {
		c := &caller{set(t, tt.token), set(t, tt.answer), tt.groups}
		err := rule.Check(c)
		if (err == nil) != tt.met {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "none of 4 alternatives is met: (1) ") ||
			!strings.Contains(err.Error(), " (3) ") || !strings.HasSuffix(err.Error(), " and 1 more")) {
			t.Errorf("%s: cause %v", name, err)
		}
	}
	want := []string{"scope a b", "any_scope c d", "claim role x", "not claim role y, group g"}
	if rule.Kind() != "any" || !slices.Equal(rule.Terms(), want) {
		t.Errorf("%s %q", rule.Kind(), rule.Terms())
	}
}

// A client should ask for scopes only if they help.
func TestScopesThatHelp(t *testing.T) {
	claim := []claims.Condition{condition(t, "x")}
	for name, tt := range map[string]struct {
		all          demand.All
		blocks       [][]demand.All
		asked, named string
		helps        bool // in the first block
	}{
		"none": {},
		"all, and the first of each list": {
			demand.All{Scopes: []string{"a", "b"}, AnyScopes: [][]string{{"c", "d"}, {"a", "e"}}},
			nil, "a b c", "a b c d a e", false},
		"the first alternative of scopes": {demand.All{Scopes: []string{"a"}}, [][]demand.All{
			{{Claims: claim}, {AnyScopes: [][]string{{"c", "d"}}}, {Scopes: []string{"e"}}}},
			"a c", "a c d e", true},
		"a scope beside a claim does not help": {demand.All{}, [][]demand.All{
			{{Claims: claim}, {Scopes: []string{"e"}, Claims: claim}}}, "", "e", false},
		"an excluded scope does not help": {demand.All{Not: demand.Exclusions{Scopes: []string{"z"}}}, [][]demand.All{
			{{Claims: claim}, {Not: demand.Exclusions{Scopes: []string{"y"}}}}}, "", "", false},
		"two blocks": {demand.All{}, [][]demand.All{
			{{Scopes: []string{"a"}}, {Claims: claim}}, {{Scopes: []string{"a", "b"}}, {Claims: claim}}},
			"a b", "a a b", true},
	} {
		if got := strings.Join(demand.ScopesToAsk(&tt.all, tt.blocks), " "); got != tt.asked {
			t.Errorf("%s: to ask %q, want %q", name, got, tt.asked)
		}
		if got := strings.Join(demand.ScopesNamed(&tt.all, tt.blocks), " "); got != tt.named {
			t.Errorf("%s: named %q, want %q", name, got, tt.named)
		}
		if len(tt.blocks) > 0 && demand.AnyOf(tt.blocks[0], nil).ScopesHelp() != tt.helps {
			t.Errorf("%s: scopes help: %v", name, !tt.helps)
		}
	}
	all := demand.All{Scopes: []string{"a"}, AnyScopes: [][]string{{"a", "b"}}, Claims: claim, Groups: []string{"g"},
		Not: demand.Exclusions{Scopes: []string{"x"}, Claims: claim, Groups: []string{"h"}}}
	var kinds []string
	for _, rule := range all.Rules(nil) {
		if rule.ScopesHelp() {
			kinds = append(kinds, rule.Kind())
		}
		if len(rule.Terms()) == 0 {
			t.Errorf("%s says nothing", rule.Kind())
		}
	}
	if got := strings.Join(kinds, ", "); got != "scope, any_scope" {
		t.Errorf("scopes help with %s", got)
	}
}

func TestDemandsThatCannotBeMeant(t *testing.T) {
	bound, err := claims.ParseNumber("5")
	if err != nil {
		t.Fatal(err)
	}
	least := condition(t, "x")
	least.AtLeast = bound
	both := least
	both.Values = []string{"a"}
	for field, all := range map[string]demand.All{
		"Scopes":         {Scopes: []string{"a b"}},
		"AnyScopes[1]":   {AnyScopes: [][]string{{"a"}, {}}},
		"AnyScopes[0]":   {AnyScopes: [][]string{{""}}},
		"Claims[1]":      {Claims: []claims.Condition{condition(t, "x"), both}},
		"Groups":         {Groups: []string{""}},
		"Not.Scopes":     {Not: demand.Exclusions{Scopes: []string{`"`}}},
		"Not.Scopes[1]":  {Scopes: []string{"a"}, Not: demand.Exclusions{Scopes: []string{"b", "a"}}},
		"Not.Claims[0]":  {Not: demand.Exclusions{Claims: []claims.Condition{least}}},
		"Not.Groups[0]":  {Not: demand.Exclusions{Groups: []string{""}}},
		"Not.Groups[1]":  {Groups: []string{"b"}, Not: demand.Exclusions{Groups: []string{"a", "b"}}},
		"Not.Claims[00]": {Not: demand.Exclusions{Claims: []claims.Condition{both}}},
	} {
		err := all.Validate("require ")
		if setting.Field(err) != strings.Replace(field, "00", "0", 1) || !strings.HasPrefix(err.Error(), "require ") {
			t.Errorf("%s: field %q, error %v", field, setting.Field(err), err)
		}
	}
	one := demand.All{Scopes: []string{"a"}}
	for field, block := range map[string][]demand.All{
		"": {one}, "[1]": {one, {}}, "[1].Scopes": {one, {Scopes: []string{""}}},
	} {
		if err := demand.ValidateAny("require ", block); err == nil || setting.Field(err) != field {
			t.Errorf("%s: field %q, error %v", field, setting.Field(err), err)
		}
	}
	if err := demand.ValidateAny("require ", []demand.All{one, one}); err != nil {
		t.Error(err)
	}
}

// A pattern that opens more than was meant is doubtful. One that excludes more is not.
func TestDoubts(t *testing.T) {
	all := demand.All{
		Claims: []claims.Condition{like(t, "sub", "org/*"), like(t, "sub", "org*")},
		Not:    demand.Exclusions{Claims: []claims.Condition{like(t, "sub", "evil*")}},
	}
	blocks := [][]demand.All{{{Scopes: []string{"a"}}, {Claims: []claims.Condition{like(t, "email", "*example.com")}}}}
	got := demand.Doubts("require ", &all, blocks)
	if len(got) != 2 || !strings.HasPrefix(got[0], `require claim sub like org* also matches "org-evil"`) ||
		!strings.HasPrefix(got[1], `require any: claim email like *example.com also matches "evilexample.com"`) {
		t.Errorf("doubts %q", got)
	}
}

func TestDemandsDoNotAllocate(t *testing.T) {
	h := hierarchy(t)
	c := &caller{set(t, `{"scope":"admin b","x":["a","b"],"y":"org/z"}`), set(t, `{"scope":"read b"}`), []string{"g"}}
	block := []demand.All{
		{Scopes: []string{"write"}},
		{
			AnyScopes: [][]string{{"write", "read"}},
			Claims:    []claims.Condition{condition(t, "x", "c", "b")},
			Groups:    []string{"g"},
			Not: demand.Exclusions{
				Scopes: []string{"c"},
				Claims: []claims.Condition{like(t, "y", "evil/*")},
				Groups: []string{"h"},
			},
		},
	}
	if !demand.MetByAny(block, c, h) {
		t.Error("not met")
	}
	rules := append(block[1].Rules(h), demand.AnyOf(block, h))
	n := testing.AllocsPerRun(100, func() {
		demand.MetByAny(block, c, h)
		for _, rule := range rules {
			if rule.Check(c) != nil {
				t.Error("not met")
			}
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
