package claims_test

import (
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
)

// A value of Any has the same text as its claim, except for what Any does not keep.
func TestTextOf(t *testing.T) {
	for _, text := range []string{
		`"x"`, `""`, `"a,b"`, `7`, `-1.5`, `true`, `[]`, `["a","b"]`, `["a,b"]`, `["a"," b"]`, `["a",1]`, `[null]`, `{}`,
		`{"a":1,"b":[{"c":"<&>"}]}`, `[["a","b"],[]]`, `"[\"a\"]"`, `["\u0001"]`, `{"":{"":[]}}`,
	} {
		value := claim(t, text)
		want, _ := value.Text()
		if got := claims.TextOf(value.Any()); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for text, want := range map[string]string{
		`null`:                  ``,
		`{"b":1,"a":2}`:         `{"a":2,"b":1}`,
		`[1.0,1e2,-0.50]`:       `[1,100,-0.5]`,
		`["\u003c",1]`:          `["<",1]`,
		`[9223372036854775808]`: `9223372036854775808`,
	} {
		if got := claims.TextOf(claim(t, text).Any()); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for name, value := range map[string]any{"a function": func() {}, "not UTF-8": []any{"\xff", 1}, "too deep": deep(40)} {
		if got := claims.TextOf(value); name != "not UTF-8" && got != "" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// deep is a list that is nested n deep.
func deep(n int) any {
	if n == 0 {
		return "x"
	}
	return []any{deep(n - 1)}
}
