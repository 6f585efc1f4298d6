package tokenissuer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func bearerOf(pair map[string]any) string { return "Bearer " + fmt.Sprint(pair["access_token"]) }

// in reports whether a gate takes the access token of a pair.
func (s *server) in(pair map[string]any) bool {
	s.t.Helper()
	response, _ := s.sends("GET", "/a/7", "", "Authorization", bearerOf(pair))
	return response.StatusCode == 200
}

// claimsOf are the claims of the access token of a pair.
func claimsOf(t *testing.T, pair map[string]any) (set map[string]any) {
	t.Helper()
	parts := strings.Split(fmt.Sprint(pair["access_token"]), ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(text, &set)
	}
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// With group_by, logout ends all sessions of the group at once, their refresh tokens included, and revoke ends one. Who
// signs in afterwards is in.
func TestLogoutEndsTheSessionsOfAGroup(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "user alice "+hash, "user bob "+hash, "app /a/ {\ngroup_by claim sub\n}")
	bob := strings.Replace(alice, "alice", "bob", 1)
	first, second := s.answers(200, "/a/login", alice), s.answers(200, "/a/login", alice)
	third := s.answers(200, "/a/login", bob)
	if group := claimsOf(t, first)["group"]; group != "sub=alice" {
		t.Errorf("group %v", group)
	}
	s.answers(204, "/a/revoke", "", "Authorization", bearerOf(first))
	if s.in(first) || !s.in(second) || !s.in(third) {
		t.Error("revoke ends more or less than one session")
	}
	s.answers(204, "/a/logout", "", "Authorization", bearerOf(s.answers(200, "/a/login", alice)))
	if s.in(second) || !s.in(third) {
		t.Error("logout ends more or less than a group")
	}
	s.answers(401, "/a/refresh", fmt.Sprintf(again, second["refresh_token"]))
	s.answers(200, "/a/refresh", fmt.Sprintf(again, third["refresh_token"]))
	if fresh := s.answers(200, "/a/login", alice); !s.in(fresh) {
		t.Error("a session from after the logout is out")
	} else {
		s.answers(200, "/a/refresh", fmt.Sprintf(again, fresh["refresh_token"]))
	}
}

// A group of a cookie is one browser. Nobody can join it who only sees the claim.
func TestACookieMakesAGroup(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "user alice "+hash, "app /a/ {\ngroup_by cookie __Host-group\n}")
	response, text := s.sends("POST", "/a/login", alice)
	cookies := response.Cookies()
	if len(cookies) != 1 || cookies[0].Name != "__Host-group" || !cookies[0].HttpOnly || !cookies[0].Secure ||
		cookies[0].SameSite != http.SameSiteStrictMode || cookies[0].Path != "/" || len(cookies[0].Value) < 16 {
		t.Fatalf("cookies %v", cookies)
	}
	var first map[string]any
	if err := json.Unmarshal([]byte(text), &first); err != nil {
		t.Fatal(err)
	}
	group, cookie := fmt.Sprint(claimsOf(t, first)["group"]), "__Host-group="+cookies[0].Value
	if strings.Contains(text+group, cookies[0].Value) {
		t.Error("the answer tells the value of the cookie")
	}
	same := s.answers(200, "/a/login", alice, "Cookie", cookie)
	other := s.answers(200, "/a/login", alice, "Cookie", "__Host-group="+group) // who has seen the claim
	short := s.answers(200, "/a/login", alice, "Cookie", "__Host-group=x")
	if claimsOf(t, same)["group"] != group || claimsOf(t, other)["group"] == group ||
		claimsOf(t, short)["group"] == group {
		t.Errorf("groups %v, %v, %v, %v", group, claimsOf(t, same)["group"], claimsOf(t, other)["group"],
			claimsOf(t, short)["group"])
	}
	s.answers(400, "/a/login", alice, "Cookie", cookie+"; "+cookie)
	s.answers(204, "/a/logout", "", "Authorization", bearerOf(same))
	if s.in(first) || s.in(same) || !s.in(other) {
		t.Error("logout ends more or less than a group")
	}
}

// A server says who may sign in, under which name, and what else there is to say. Roles are groups for a gate.
func TestAServerKnowsTheUsers(t *testing.T) {
	status := http.StatusOK
	there := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ User, Password string }
		if json.NewDecoder(r.Body).Decode(&asked) != nil || asked.User+asked.Password != "alicesecret" ||
			r.Header.Get("X-Key") != "k" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"sub":"Alice","roles":["admin"],"claims":{"dept":"x","email":"a@b.test"}}`)
	}))
	defer there.Close()
	s := newServer(t)
	s.runs("https://gate.test", "user bob "+hash+" staff", "users http "+there.URL+" {\nheader_up X-Key k\n}",
		"app /a/ {\ngroup_by claim dept\n}")
	pair := s.answers(200, "/a/login", alice)
	set := claimsOf(t, pair)
	if pair["sub"] != "Alice" || set["sub"] != "Alice" || fmt.Sprint(set["roles"]) != "[admin]" ||
		set["email"] != "a@b.test" || set["group"] != "dept=x" || !s.in(pair) {
		t.Errorf("%v, %v", pair, set)
	}
	next := s.answers(200, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]))
	if set := claimsOf(t, next); fmt.Sprint(set["roles"]) != "[admin]" || set["email"] != "a@b.test" {
		t.Errorf("after a refresh: %v", set)
	}
	s.answers(401, "/a/login", strings.Replace(alice, "secret", "x", 1))
	bob := s.answers(200, "/a/login", strings.Replace(alice, "alice", "bob", 1))
	if set := claimsOf(t, bob); fmt.Sprint(set["roles"]) != "[staff]" || set["group"] != nil {
		t.Errorf("of the configuration: %v", set)
	}
	status = http.StatusInternalServerError
	if got := s.answers(503, "/a/login", alice); got["error"] != "temporarily_unavailable" {
		t.Errorf("without an answer: %v", got)
	}
}

// Longer lifetimes end no session, and shorter ones do not make good again what was revoked.
func TestLifetimesThatChange(t *testing.T) {
	s := newServer(t)
	s.runs("https://gate.test", "user alice "+hash, "app /a/")
	pair := s.answers(200, "/a/login", alice)
	s.runs("https://gate.test", "user alice "+hash, "app /a/ {\nrefresh_lifetime 30m\n}")
	pair = s.answers(200, "/a/refresh", fmt.Sprintf(again, pair["refresh_token"]))
	s.answers(200, "/a/refresh", fmt.Sprintf(again, s.answers(200, "/a/login", alice)["refresh_token"]))
	s.runs("https://gate.test", "user alice "+hash, "app /a/ {\naccess_lifetime 10s\nrefresh_lifetime 10s\n}")
	if !s.in(pair) {
		t.Error("a token from before is out")
	}
	s.answers(204, "/a/logout", "", "Authorization", bearerOf(pair))
	if s.in(pair) {
		t.Error("a token is good after its logout")
	}
	s.answers(200, "/a/refresh", fmt.Sprintf(again, s.answers(200, "/a/login", alice)["refresh_token"]))
}
