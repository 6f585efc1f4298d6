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
