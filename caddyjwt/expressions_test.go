package caddyjwt_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/words/wordstest"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// documentedExpressions are the expressions in the manual, each with claims for which it is true.
var documentedExpressions = map[string]map[string]any{
	`{http.auth.user.department} == "sales"`:                                    {"department": "sales"},
	`type({http.auth.user.age}) in [int, double] && {http.auth.user.age} >= 18`: {"age": 18},
	`type({http.auth.user.roles}) == list && "clerk" in {http.auth.user.roles}`: {
		"roles": []any{"manager", "clerk"},
	},
	`type({http.auth.user.roles}) == list && size({http.auth.user.roles}) == 2`: {
		"roles": []any{"manager", "clerk"},
	},
	`type({http.auth.user.email}) == string && {http.auth.user.email}.endsWith("@example.com")`: {
		"email": "zoe@example.com",
	},
	`type({http.auth.user.azp}) == string && {http.auth.user.azp}.contains(":tenant-7:")`: {
		"azp": "urn:tenant-7:app",
	},
	`type({http.auth.user.email}) == string && {http.auth.user.email}.lowerAscii() == "alice@example.com"`: {
		"email": "Alice@Example.com",
	},
	`type({http.auth.user.address}) == map && "city" in {http.auth.user.address}`: {
		"address": map[string]any{"city": "Bonn"},
	},
	`ph(req, "http.auth.user.https://example.com/tenant") == "t1"`: {
		"https://example.com/tenant": "t1",
	},
}

// Every expression of the manual is one of these, and every one of these is in the manual.
func TestExpressionsOfTheManualAreTested(t *testing.T) {
	documented := make(map[string]bool)
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(documents, "../README.md") {
		for line := range strings.Lines(readDoc(t, strings.TrimPrefix(filepath.ToSlash(document), "../"))) {
			for _, span := range wordstest.CodeSpan.FindAllStringSubmatch(line, -1) {
				if isExpression(span[1]) {
					documented[strings.ReplaceAll(span[1], `\|`, "|")] = true
				}
			}
		}
	}
	known := slices.Concat(slices.Collect(maps.Keys(documentedExpressions)), slices.Collect(maps.Keys(askingWhetherThere)))
	for expression := range documented {
		if !slices.Contains(known, expression) {
			t.Errorf("the documentation has an expression that no test runs: %s", expression)
		}
	}
	for _, expression := range known {
		if !documented[expression] {
			t.Errorf("the documentation does not have %s", expression)
		}
	}
}

// isExpression reports whether the span is an expression, and not a placeholder alone or in an argument.
func isExpression(span string) bool {
	placeholder := strings.Contains(span, "{http.auth.") || strings.Contains(span, "ph(req")
	return placeholder &&
		(strings.Contains(span, " == ") || strings.Contains(span, " != ") || strings.Contains(span, " in ") ||
			strings.Contains(span, " >= ") || strings.Contains(span, " && ") || strings.Contains(span, "ph(req"))
}

// askingWhetherThere are the expressions of the manual about whether there is a value, each with claims for which it is
// true, and for which it is false.
var askingWhetherThere = map[string][2]map[string]any{
	`{http.auth.user.id} != null`:                           {{"sub": "zoe"}, {}},
	`{http.auth.user.id} == "alice"`:                        {{"sub": "alice"}, {}},
	`{http.auth.user.email} == null`:                        {{}, {"email": "zoe@example.com"}},
	`{http.auth.bearer.issuer} == "https://as.example.com"`: {{}, nil},
	`{http.auth.bearer.reason} != null`:                     {{"exp": 1}, {}},
}

// An expression of the manual is true for the claim that it asks for. For a token without the claim, for one where it
// has another type, and for a request without any token it is false: it is not an error, which Caddy answers with 500.
func TestExpressionsOfTheManualAreFalseWithoutTheClaim(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	handler := issuerJSON(t, key, map[string]any{"optional": true})
	others := map[string]any{
		"nothing": nil, "true": true, "a number": 17, "a fraction": 17.5, "a large number": uint64(1) << 63,
		"an empty text": "", "a text": "clerk of sales", "a number as a text": "18", "an empty list": []any{},
		"numbers":          []any{1},
		"a list in a list": []any{[]any{"clerk"}},
		"an empty object":  map[string]any{}, "an object": map[string]any{"clerk": true, "value": "sales"},
	}
	for expression, claims := range documentedExpressions {
		t.Run(expression, func(t *testing.T) {
			matcher := compiled(t, expression)
			evaluate := func(name, token string, want bool) {
				t.Helper()
				r, _, err := visit(t, handler, token, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := matcher.MatchWithError(r); err != nil || got != want {
					t.Errorf("%s: %v, error %v; want %v", name, got, err, want)
				}
			}
			evaluate("as the manual says", saying(t, key, claims), true)
			evaluate("no token", "", false)
			evaluate("no claim", saying(t, key, nil), false)
			for claim := range claims {
				for name, value := range others {
					evaluate(name, saying(t, key, map[string]any{claim: value}), false)
				}
			}
		})
	}
}

func TestExpressionsThatAskWhetherThereIsAValue(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	handler := issuerJSON(t, key, map[string]any{"optional": true})
	for expression, claims := range askingWhetherThere {
		for i, want := range []bool{true, false} {
			token := ""
			if claims[i] != nil {
				token = saying(t, key, claims[i])
			}
			r, _, _ := visit(t, handler, token, nil)
			if got, err := compiled(t, expression).MatchWithError(r); err != nil || got != want {
				t.Errorf("%s: %v, error %v; want %v for %v", expression, got, err, want, claims[i])
			}
		}
	}
}

// Lists and objects are lists and maps in expressions, at every depth, whatever they print.
func TestExpressionsSeeListsAndMaps(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "")
	r, _, err := visit(t, issuerJSON(t, key, nil), saying(t, key, map[string]any{
		"roles": []any{"clerk", "manager"}, "empty": []any{},
		"realm_access": map[string]any{"roles": []any{"clerk"}, "level": 3},
		"addresses":    []any{map[string]any{"city": "Bonn", "lines": []any{"a", "b"}}},
		"matrix":       []any{[]any{1, 2}, []any{3}},
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, expression := range []string{
		`"clerk" in {http.auth.user.roles}`,
		`!("boss" in {http.auth.user.roles})`,
		`{http.auth.user.roles}[1] == "manager"`,
		`{http.auth.user.roles} == ["clerk", "manager"]`,
		`{http.auth.user.roles} + ["boss"] == ["clerk", "manager", "boss"]`,
		`size({http.auth.user.roles}) == 2 && size({http.auth.user.empty}) == 0`,
		`dyn({http.auth.user.roles}).all(r, r.size() > 4)`,
		`dyn({http.auth.user.roles}).exists(r, r.startsWith("man"))`,
		`type({http.auth.user.roles}) == list && type({http.auth.user.realm_access}) == map`,
		`"clerk" in {http.auth.user.realm_access}.roles`,
		`"clerk" in {http.auth.user.realm_access}["roles"]`,
		`"level" in {http.auth.user.realm_access} && {http.auth.user.realm_access}.level == 3`,
		`{http.auth.user.realm_access} == {"roles": ["clerk"], "level": 3}`,
		`dyn({http.auth.user.realm_access}).exists(name, name == "level")`,
		`size({http.auth.user.realm_access}) == 2`,
		`{http.auth.user.addresses}[0].city == "Bonn"`,
		`"b" in {http.auth.user.addresses}[0].lines`,
		`dyn({http.auth.user.addresses}).filter(a, a.city == "Bonn").size() == 1`,
		`{http.auth.user.matrix}[0][1] == 2 && 3 in {http.auth.user.matrix}[1]`,
	} {
		if got, err := compiled(t, expression).MatchWithError(r); err != nil || !got {
			t.Errorf("%s: %v, error %v", expression, got, err)
		}
	}
}

// compiled is Caddy's matcher for an expression.
func compiled(t *testing.T, expression string) *caddyhttp.MatchExpression {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	t.Cleanup(cancel)
	matcher := &caddyhttp.MatchExpression{Expr: expression}
	if err := matcher.Provision(ctx); err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return matcher
}
