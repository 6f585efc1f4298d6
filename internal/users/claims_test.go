package users_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

// Some readers of JSON, Go's among them, take names for equal that differ in case, or that fold to the same letters.
func TestAttackADirectoryDoesNotSetWhatTheIssuerSets(t *testing.T) {
	for _, name := range []string{
		"iss", "sub", "sid", "app", "jti", "aud", "client_id", "iat", "exp", "nbf", "group", "cnf", "typ", "events", "act",
		"may_act", "scope", "roles", "auth_time", "acr", "amr", "nonce", "azp", "authorization_details", "sub_id",
		"Sub", "SUB", "\u017fub", "I\u017f\u017f",
		"", "a\x00", "\xff", strings.Repeat("x", 129),
	} {
		if err := users.CheckClaim(name); err == nil {
			t.Errorf("%q passes", name)
		}
		text, err := json.Marshal(map[string]any{"email": "x", name: "y"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := users.Claims(text); err == nil && name != "\xff" { // which Marshal replaces
			t.Errorf("%s passes", text)
		}
	}
	for _, name := range []string{"email", "name", "subject", "https://example.com/x"} {
		if err := users.CheckClaim(name); err != nil {
			t.Error(err)
		}
	}
}

func TestClaimsAreASmallObject(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "{}": "", " { } ": "", "{ \"a\" : [ 1, \"<\" ] }\n": `{"a":[1,"<"]}`,
		`{"a":"` + strings.Repeat("x", users.MaxClaims-8) + `"}`: `{"a":"` + strings.Repeat("x", users.MaxClaims-8) + `"}`,
	} {
		if got, err := users.Claims([]byte(text)); string(got) != want || err != nil || (got == nil) != (want == "") {
			t.Errorf("%q becomes %q, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"null", "[]", "1", `"secret"`, "{", `{"a":1}x`, `{"a":1,"a":2}`, "{\"a\":\"\xff\"}",
		`{"a":"` + strings.Repeat("secret", users.MaxClaims/6) + `"}`,
		`{"a":` + strings.Repeat("[", 9) + strings.Repeat("]", 9) + `}`,
	} {
		if got, err := users.Claims([]byte(text)); got != nil || err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q becomes %q, %v", text, got, err)
		}
	}
}

func TestRolesAreFewAndShort(t *testing.T) {
	many := make([]string, users.MaxRoles)
	for i := range many {
		many[i] = strings.Repeat("x", users.MaxAllRoles/users.MaxRoles)
	}
	long := slices.Repeat([]string{strings.Repeat("x", users.MaxRole)}, users.MaxAllRoles/users.MaxRole)
	if err := users.CheckRoles(long); err != nil {
		t.Error(err)
	}
	if err := users.CheckRoles(many); err != nil {
		t.Error(err)
	}
	for _, roles := range [][]string{
		append(slices.Clone(many), "x"), {""}, {strings.Repeat("x", users.MaxRole+1)}, {"a\n"}, {"\xff"},
		append(slices.Clone(long), "x"),
	} {
		if err := users.CheckRoles(roles); err == nil {
			t.Errorf("%q passes", roles)
		}
		_, err := users.NewInline(users.InlineConfig{Accounts: []users.Account{
			{Name: "alice", Hash: hash(t, "p", 4), Roles: roles},
		}})
		if setting.Field(err) != "Accounts[0].Roles" {
			t.Errorf("%q: %v", setting.Field(err), err)
		}
	}
}

func TestAttackAServerCannotGiveMoreThanUsersMayHave(t *testing.T) {
	first := inline(t, nil, account(t, "alice", "p", 4))
	for _, u := range []users.User{
		{Name: "bob", Roles: make([]string, users.MaxRoles+1)}, {Name: "bob", Claims: json.RawMessage(`{"sub":"alice"}`)},
		{Name: "bob", Claims: json.RawMessage(`x`)},
	} {
		j := joint(t, first, &odd{user: &u})
		if got, err := j.Check(t.Context(), "bob", "p"); got != nil || err == nil || errors.Is(err, users.ErrRefused) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	good := &odd{user: &users.User{Name: "bob", Claims: json.RawMessage(`{"email":"b"}`)}}
	if u := passes(t, joint(t, first, good), "bob", "p"); string(u.Claims) != `{"email":"b"}` {
		t.Errorf("%+v", u)
	}
}
