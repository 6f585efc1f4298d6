package caddyjwt_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Mistakes about the JOSE header name what is written, its cure and its line. None of them calls a member a claim.
func TestMistakesAboutTheHeader(t *testing.T) {
	for lines, want := range map[string]string{
		"forward_header co X-Company": `forward_header co X-Company: the header comes first, then the member: did you mean ` +
			`"X-Company co"? (for a header named "co", write "Co")`,
		"forward_header {http.auth.bearer.header.co} X-Company": `did you mean "X-Company co"?`,
		"forward_header X-Company {http.auth.bearer.header.co}": "a path is a name, not a placeholder: write co",
		"forward_header X-Key {http.auth.bearer.kid}":           "a path is a name, not a placeholder: write kid",
		"forward_header X-Company: co":                          "leave out the colon after the header's name",
		"forward_header X-Company":                              "expected: forward_header <Header> <path> [",
		"forward_header X-Company co hex":                       "an encoding is",
		"forward_header X-Company c*":                           "a path names one member of the header",
		"forward_header X-Company a..b":                         `forward_header: invalid path "a..b"`,
		"forward_header Host co":                                "forward_header Host co: it has a meaning of its own",
		"forward_header Authorization co":                       "forward_header Authorization co: ",
		"forward_header X-Consumer-Username co":                 "already taken",
		"forward_claims X-A a\nforward_header x-a b":            "forward_header x-a b: the header is already taken",
		"forward_header X-A a {\nX-B b\n}":                      "forward_header: its headers stand on its line",
		"require header":                                        "expected: require header <path> [<value...>], or",
		"require header co=acme":                                "a blank separates path and value: require header co acme",
		"require header co == acme":                             "values follow the path without an operator: require header",
		"require header co != acme":                             "here: require not header co <value...>",
		"require header n >= 5":                                 "here: require header n at_least <number>",
		"require header co not acme":                            `"not" stands before "header": require not header co acme`,
		"require header co acm*":                                "a header is compared exactly",
		"require header $.co acme":                              `a path begins with a name, not with "$": co`,
		"require header co[0] acme":                             "a path has no brackets",
		"require header co like":                                "require header co like: a pattern must follow",
		"require not header n at_least 5":                       "require not header n: a bound cannot be turned around",
		"require not header":                                    "expected: require not header <path> [<value...>], or",
	} {
		got := adapted(t, inGate(lines))
		if !strings.HasPrefix(got, "error") || !strings.Contains(got, want) ||
			strings.Contains(got, "claim") && !strings.Contains(lines, "claims") {
			t.Errorf("%s\ngives %swant  %s", lines, got, want)
		}
	}
}

// Placeholders about the header have the types of JSON, print as what forward_header sends, and are empty for a request
// that is refused.
func TestPlaceholdersOfTheHeader(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	handler := issuerJSON(t, key, map[string]any{
		"forward_header": []any{map[string]any{"member": "list", "header": "X-List"}},
	})
	token := key.Sign(t, map[string]any{"iss": "https://as.example.com", "aud": "https://orders.example.com",
		"exp": time.Now().Add(time.Hour).Unix(), "co": "claim"},
		map[string]any{"co": "intersystems", "typ": "at+JWT", "list": []any{"a,b", "c"}, "n": 5, "token": "x", "enc1": "y",
			"in": map[string]any{"a.b": true}})
	r, repl, err := visit(t, handler, token, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"alg": "ES256", "kid": "k1", "typ": "at+JWT", "enc": nil, "header.co": "intersystems", "header.n": int64(5),
		"header.in.a\\.b": true, "header./in/a.b": true, "header.absent": nil, "header.": nil, "header": nil, "co": nil,
		"header.token": "x", "token": nil, "header.alg": "ES256",
	} {
		if got, known := repl.Get("http.auth.bearer." + name); !known || got != want {
			t.Errorf("%s is %v, known %v; want %v", name, got, known, want)
		}
	}
	sent := r.Header.Get("X-List")
	if got := repl.ReplaceAll("{http.auth.bearer.header.list}", ""); got != sent || got == "" {
		t.Errorf("prints %q, and the backend gets %q", got, sent)
	}
	for expression, want := range map[string]bool{
		`{http.auth.bearer.header.co} == "intersystems"`:                                        true,
		`type({http.auth.bearer.header.n}) == int && {http.auth.bearer.header.n} >= 5`:          true,
		`type({http.auth.bearer.header.list}) == list && "c" in {http.auth.bearer.header.list}`: true,
		`type({http.auth.bearer.header.in}) == map && "a.b" in {http.auth.bearer.header.in}`:    true,
		`{http.auth.bearer.header.absent} == null && {http.auth.bearer.enc} == null`:            true,
		`{http.auth.bearer.kid} == "k2" || {http.auth.bearer.header.co} == {http.auth.user.co}`: false,
	} {
		m := &caddyhttp.MatchExpression{Expr: expression}
		if err := m.Provision(caddy.Context{Context: t.Context()}); err != nil {
			t.Fatal(err)
		}
		if got, err := m.MatchWithError(r); err != nil || got != want {
			t.Errorf("%s: %v, %v", expression, got, err)
		}
	}
	_, repl, err = visit(t, handler, tokentest.FlipSignature(t, token), nil)
	if err == nil {
		t.Fatal("passes")
	}
	for _, name := range []string{"alg", "kid", "typ", "enc", "header.co"} {
		if got, known := repl.Get("http.auth.bearer." + name); !known || got != nil {
			t.Errorf("refused: %s is %v, known %v", name, got, known)
		}
	}
}
