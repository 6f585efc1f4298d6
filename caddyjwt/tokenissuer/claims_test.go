package tokenissuer

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An application adds claims to its access tokens. They take the place of those of users, and are those of the request.
func TestAnApplicationAddsClaims(t *testing.T) {
	people := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"sub":"alice","roles":["staff"],`+
			`"claims":{"tenant":"evil","Tenant":"evil","gone":1,"team":{"id":7}}}`)
	}))
	t.Cleanup(people.Close)
	t.Setenv("TOKEN_ISSUER_TEST_TENANT", "acme")
	s := newServer(t)
	s.runs("https://gate.test", "users http "+people.URL, `app /a/ {
		claim tenant "the {env.TOKEN_ISSUER_TEST_TENANT} <inc>"
		claim gone {http.vars.nothing}
		claim from {http.request.remote}
	}
	app /b/`)
	want := "map[from:@ gone:<nil> roles:[staff] team:map[id:7] tenant:the acme <inc>]"
	has := func(pair map[string]any, want string) {
		t.Helper()
		all, some := claimsOf(t, pair), make(map[string]any)
		for _, name := range []string{"tenant", "gone", "from", "team", "roles"} {
			some[name] = all[name]
		}
		if all["tenant"] != "evil" && all["Tenant"] != nil {
			t.Errorf("Tenant is %v", all["Tenant"])
		}
		if got := fmt.Sprint(some); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	pair := s.answers(200, "/a/login", alice)
	has(pair, want)
	if !s.in(pair) {
		t.Error("the gate refuses the token")
	}
	t.Setenv("TOKEN_ISSUER_TEST_TENANT", "other")
	pair = s.answers(200, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]))
	has(pair, strings.Replace(want, "acme", "other", 1))
	has(s.answers(200, "/b/login", alice), "map[from:<nil> gone:1 roles:[staff] team:map[id:7] tenant:evil]")
}

// A claim that cannot be made gives no token: a gate might take a token without it for one of somebody else.
func TestAClaimThatCannotBeMade(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "user alice "+hash, "app /a/ {\nclaim tenant {tenant.of.nobody}\n}")
	s.answers(503, "/a/login", alice)
	t.Setenv("TOKEN_ISSUER_TEST_TENANT", strings.Repeat("x", 1025))
	s.runs("https://gate.test", "user alice "+hash, "app /a/ {\nclaim tenant {env.TOKEN_ISSUER_TEST_TENANT}\n}")
	s.answers(503, "/a/login", alice)
	t.Setenv("TOKEN_ISSUER_TEST_TENANT", "\xff")
	s.answers(503, "/a/login", alice)
	t.Setenv("TOKEN_ISSUER_TEST_TENANT", "acme")
	s.answers(200, "/a/login", alice)
}

// Roles that a user may have fit into a token. What a gate would not take is not given out.
func TestATokenIsNotLongerThanGatesTake(t *testing.T) {
	s := newServer(t)
	var roles []string
	for i := range 60 {
		roles = append(roles, fmt.Sprintf("<%d>%s", i, strings.Repeat("&", 60)))
	}
	user := "user alice " + hash + " " + strings.Join(roles, " ")
	s.runs("https://gate.test", user, "app /a/")
	pair := s.answers(200, "/a/login", alice)
	if !s.in(s.answers(200, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]))) {
		t.Error("the gate refuses the token")
	}
	var claims strings.Builder
	for i := range 16 {
		fmt.Fprintf(&claims, "claim c%d %s\n", i, strings.Repeat("x", 1024))
	}
	s.runs("https://gate.test", user, "app /a/ {\n"+claims.String()+"}")
	s.answers(503, "/a/login", alice)
	log, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil || !strings.Contains(string(log), "and gates take 16384") {
		t.Errorf("the log does not say why: %v", err)
	}
}
