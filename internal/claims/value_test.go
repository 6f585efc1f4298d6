package claims_test

import (
	"reflect"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
)

func claim(tb testing.TB, json string) claims.Value {
	tb.Helper()
	v, ok := decode(tb, `{"x":`+json+`}`).Claim("x")
	if !ok {
		tb.Fatal("no claim")
	}
	return v
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		json, want string
		matches    bool
	}{
		{`"admin"`, "admin", true},
		{`"\u0061dmin"`, "admin", true},
		{`"admin"`, "Admin", false},
		{`"admin"`, "adm", false},
		{`"admin user"`, "admin", false},
		{`"admin,user"`, "admin", false},
		{`1`, "1", true},
		{`1.0`, "1", false},
		{`"1"`, "1", true},
		{`true`, "true", true},
		{`true`, "false", false},
		{`null`, "null", false},
		{`null`, "", false},
		{`["user","admin"]`, "admin", true},
		{`["user","administrator"]`, "admin", false},
		{`[1,true]`, "true", true},
		{`[]`, "", false},
		{`[null]`, "null", false},
		{`[["admin"]]`, "admin", false},
		{`[{"value":"admin","display":"Administrators"}]`, "admin", true},
		{`[{"v\u0061lue":"admin"}]`, "admin", true},
		{`[{"value":7}]`, "7", true},
		{`[{"VALUE":"admin"}]`, "admin", false},
		{`[{"display":"admin"}]`, "admin", false},
		{`[{"value":["admin"]}]`, "admin", false},
		{`[{"value":{"value":"admin"}}]`, "admin", false},
		{`{"value":"admin"}`, "admin", false},
		{`{"admin":true}`, "admin", false},
	} {
		if got := claim(t, tt.json).Matches(tt.want); got != tt.matches {
			t.Errorf("%s matches %q: %v", tt.json, tt.want, got)
		}
	}
	if (claims.Value{}).Matches("") {
		t.Error("the zero value matches")
	}
}

func TestAny(t *testing.T) {
	for _, tt := range []struct {
		json string
		want any
	}{
		{`null`, nil},
		{`true`, true},
		{`"\u00e9"`, "é"},
		{`0`, int64(0)},
		{`-9223372036854775808`, int64(-9223372036854775808)},
		{`9223372036854775807`, int64(9223372036854775807)},
		{`9223372036854775808`, "9223372036854775808"},
		{`1.5`, 1.5},
		{`1e3`, 1000.0},
		{`1e400`, "1e400"},
		{`-1e400`, "-1e400"},
		{`1e-400`, 0.0},
		{`[]`, []any{}},
		{`[1,"a",[null]]`, []any{int64(1), "a", []any{nil}}},
		{`{}`, map[string]any{}},
		{`{"a":{"b\u0021":[false]}}`, map[string]any{"a": map[string]any{"b!": []any{false}}}},
	} {
		if got := claim(t, tt.json).Any(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %#v, want %#v", tt.json, got, tt.want)
		}
	}
	if (claims.Value{}).Any() != nil {
		t.Error("the zero value is something")
	}
}

// What Any gave has the text of the value, but for what Any does not keep.
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

// deep is a list in a list, and so on.
func deep(n int) any {
	if n == 0 {
		return "x"
	}
	return []any{deep(n - 1)}
}
