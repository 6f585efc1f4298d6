package tokenissuer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// hashedAs is a hash of alice's password that is another one each time.
func hashedAs(t *testing.T, password string) string {
	t.Helper()
	text, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A session ends with the password of its user, and when the name has come to another directory. Other sessions go on.
func TestASessionEndsWithThePasswordAndThePerson(t *testing.T) {
	s := newServer(t)
	own := "user alice " + hash
	bob := "user bob " + hash
	refreshes := func(status int, pair map[string]any) map[string]any {
		return s.answers(status, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]))
	}
	s.runs("https://gate.test", own, bob, "app /a/ {\ngrace 30s\n}")
	pair, graced := s.answers(200, "/a/login", alice), s.answers(200, "/a/login", alice)
	other := s.answers(200, "/a/login", `{"user":"bob","password":"secret"}`)
	refreshes(200, graced)
	s.runs("https://gate.test", "user alice "+hashedAs(t, "new"), bob, "app /a/ {\ngrace 30s\n}")
	refreshes(401, pair)
	refreshes(401, graced) // nor does the grace last
	refreshes(200, other)
	s.answers(401, "/a/login", alice)

	pair = s.answers(200, "/a/login", `{"user":"alice","password":"new"}`)
	s.runs("https://gate.test", own, bob, "app /a/") // the hash from before
	refreshes(401, pair)
	pair, still := s.answers(200, "/a/login", alice), s.answers(200, "/a/login", alice)
	still = refreshes(200, still)
	file := filepath.Join(s.dir, "users")
	if err := os.WriteFile(file, []byte("alice:"+hash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.runs("https://gate.test", bob, "users file "+file, "app /a/")
	refreshes(401, pair)
	pair = s.answers(200, "/a/login", alice)
	s.runs("https://gate.test", bob, "users http http://127.0.0.1:1/", "app /a/")
	refreshes(401, still) // that server is never asked without a password
	refreshes(401, pair)
}

// Another server may know another person under the name, and cannot be asked. The same server at the same address can.
func TestASessionEndsWithTheServerOfItsUser(t *testing.T) {
	s := newServer(t)
	yes := func() *httptest.Server {
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		t.Cleanup(server.Close)
		return server
	}
	one, other := yes(), yes()
	s.runs("https://gate.test", "users http "+one.URL, "app /a/")
	pair := s.answers(200, "/a/login", alice)
	s.runs("https://gate.test", "users http "+one.URL, "app /a/")
	pair = s.answers(200, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]))
	s.runs("https://gate.test", "users http "+other.URL, "app /a/")
	s.answers(401, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]))
}

// What a directory says of a user is in the next access token, and not only in that of the next sign-in.
func TestATokenHasTheRolesOfToday(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "user alice "+hash+" admin staff", "app /a/")
	pair := s.answers(200, "/a/login", alice)
	if roles := fmt.Sprint(claimsOf(t, pair)["roles"]); roles != "[admin staff]" {
		t.Errorf("roles %v", roles)
	}
	s.runs("https://gate.test", "user alice "+hash+" staff", "app /a/")
	pair = s.answers(200, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]))
	if roles := fmt.Sprint(claimsOf(t, pair)["roles"]); roles != "[staff]" {
		t.Errorf("roles %v", roles)
	}
	s.runs("https://gate.test", "user alice "+hash, "app /a/")
	pair = s.answers(200, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]))
	if roles, there := claimsOf(t, pair)["roles"]; there {
		t.Errorf("roles %v", roles)
	}
}

// Groups of the users of a file are their roles.
func TestUsersOfAFileHaveTheirGroups(t *testing.T) {
	s := newServer(t)
	file, groups := filepath.Join(s.dir, "users"), filepath.Join(s.dir, "groups")
	for path, text := range map[string]string{file: "alice:" + hash + "\n", groups: "admin: bob alice\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.runs("https://gate.test", "users file "+file+" {\ngroups "+groups+"\n}", "app /a/")
	if roles := fmt.Sprint(claimsOf(t, s.answers(200, "/a/login", alice))["roles"]); roles != "[admin]" {
		t.Errorf("roles %v", roles)
	}
}
