package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// accessLogs are the lines of Caddy's access log.
func (s *site) accessLogs() (entries []map[string]any) {
	s.t.Helper()
	for line := range strings.Lines(s.log()) {
		var e map[string]any
		if json.Unmarshal([]byte(line), &e) == nil && strings.HasPrefix(fmt.Sprint(e["logger"]), "http.log.access") {
			entries = append(entries, e)
		}
	}
	return entries
}

// logs gives the line that a request for this path leaves in the access log. The path must be in no other request: a
// line may be written after the answer.
func (s *site) logs(path string, send func(path string)) (line map[string]any) {
	s.t.Helper()
	send(path)
	eventually(s.t, "the request is logged", func() bool {
		for _, entry := range s.accessLogs() {
			if request, _ := entry["request"].(map[string]any); request["uri"] == path {
				line = entry
			}
		}
		return line != nil
	})
	return line
}

// tallied are the lines that count refusals: the reason and the number of each.
func (s *site) tallied() (lines []string) {
	s.t.Helper()
	for line := range strings.Lines(s.log()) {
		var e struct {
			Level, Logger, Msg, Reason string
			Count                      int
		}
		if json.Unmarshal([]byte(line), &e) == nil && e.Msg == "requests refused" {
			if e.Level != "info" || e.Logger != "http.handlers.bearer_auth" {
				s.t.Errorf("by %s, level %s", e.Logger, e.Level)
			}
			lines = append(lines, fmt.Sprint(e.Reason, " ", e.Count))
		}
	}
	return lines
}

// The access log says why a request was refused, and which issuer its token named, by every protocol. The error page
// says neither.
func TestAccessLogHasTheReason(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s, ways := startEverywhere(t, gateFor(issuerByJWKS(as), consumerAlice(t), "require scope read")+
		"\nhandle_errors {\nrespond \"{err.message} {err.trace} {http.error}\"\n}\n")
	tomorrow := time.Now().Add(24 * time.Hour).Unix()
	const invalid = "the access token is expired, revoked, malformed or otherwise invalid"
	for _, way := range ways {
		for i, test := range []struct {
			name, token          string
			reason, issuer, page any
		}{
			{"of tomorrow", key.Sign(t, issuedBy(as.URL, "nbf", tomorrow, "exp", tomorrow+60)), "not_yet_valid", as.URL,
				invalid},
			{"of an issuer that nobody knows", key.Sign(t, issuedBy("https://other.example.com")), "unknown_issuer", nil,
				invalid},
			{"of an issuer whose name is a placeholder", key.Sign(t, issuedBy("{env.HOME}")), "unknown_issuer", nil, invalid},
			{"no token", "", "missing_token", nil, "an access token is needed"},
			{"not enough scope", key.Sign(t, issuedBy(as.URL)), "insufficient_scope", as.URL,
				"the access token does not give the rights that this resource requires"},
			{"a consumer's, of tomorrow", hmacKey(t).Sign(t, claims("nbf", tomorrow, "exp", tomorrow+60)), "not_yet_valid",
				"alice-key", invalid},
			{"good", key.Sign(t, issuedBy(as.URL, "scope", "read")), nil, nil, nil},
			{"good, of a consumer", hmacKey(t).Sign(t, claims("scope", "read")), nil, nil, nil},
		} {
			t.Run(way.name+", "+test.name, func(t *testing.T) {
				s := s.in(t)
				s.client, s.base = way.client, strings.TrimSuffix(way.url, "/")
				var a answer
				line := s.logs(fmt.Sprint("/", way.name, "/", i), func(path string) { a = s.get(path, test.token) })
				cause, has := line["auth_cause"]
				if has != (test.reason != nil) || has && strings.Contains(a.body, fmt.Sprint(cause)) {
					t.Errorf("auth_cause %v, and the page says %q", cause, a.body)
				}
				if line["auth_reason"] != test.reason || line["auth_issuer"] != test.issuer {
					t.Errorf("auth_reason %v, auth_issuer %v; want %v, %v", line["auth_reason"], line["auth_issuer"], test.reason,
						test.issuer)
				}
				if test.page != nil && !strings.HasPrefix(a.body, fmt.Sprint(test.page, "  {id=")) {
					t.Errorf("the page says %q", a.body)
				}
				if test.reason != nil && strings.Contains(a.body, fmt.Sprint(test.reason)) || strings.Contains(a.body, as.URL) {
					t.Errorf("the page says %q", a.body)
				}
			})
		}
	}
	if lines := s.tallied(); len(lines) != 0 {
		t.Errorf("counted beside the access log: %v", lines)
	}
}

// The fields of a refusal respect the site's own log settings. They stay out of other sites' logs. Without an access
// log, a line with a count says that requests are refused.
func TestAccessLogOfTheSite(t *testing.T) {
	for name, test := range map[string]struct {
		text, host    string
		logged, tells bool
	}{
		"a log":                              {"log", "gate.test", true, false},
		"no log at all":                      {"", "gate.test", false, true},
		"a log of another site":              {"", "gate.test", false, true},
		"this request is left out":           {"log\nlog_skip", "gate.test", false, false},
		"a log for a name with a wildcard":   {"log", "a.wild.test", true, false},
		"no log for a name with a wildcard":  {"", "a.wild.test", false, true},
		"a log, the host with a port":        {"log", "gate.test:8080", true, false},
		"a log, the host in capitals":        {"log", "GATE.test", true, false},
		"a log that only log_name can reach": {"log other {\nno_hostname\n}", "gate.test", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			config := s.caddyfile(test.text + "\n" + gateFor(consumerAlice(t)))
			config = strings.Replace(config, "\tlog\n", "", 1)
			config = strings.Replace(config, "http://gate.test {", "http://gate.test, http://*.wild.test {", 1)
			if name == "a log of another site" {
				config += "http://other.test {\nbind unix/" + s.socket + "\nlog\nrespond other\n}\n"
			}
			s.loadFile(config)
			before := len(s.accessLogs())
			r := s.request(http.MethodGet, "/", nil)
			r.Host = test.host
			if a := s.do(r); a.StatusCode != http.StatusUnauthorized {
				t.Fatalf("status %d", a.StatusCode)
			}
			if test.logged {
				eventually(t, "the request is logged", func() bool { return len(s.accessLogs()) > before })
				if line := s.accessLog(); line["auth_reason"] != "missing_token" {
					t.Errorf("auth_reason %v", line["auth_reason"])
				}
			} else if lines := s.accessLogs()[before:]; len(lines) != 0 {
				t.Errorf("the access log has %v", lines)
			}
			if lines := s.tallied(); (len(lines) == 1 && lines[0] == "missing_token 1") != test.tells || len(lines) > 1 {
				t.Errorf("counted: %v", lines)
			}
		})
	}
}

// A site without an access log gets its count at the latest when its configuration ends.
func TestTallyIsLoggedAtTheEnd(t *testing.T) {
	s := prepare(t)
	s.loadFile(strings.Replace(s.caddyfile(gateFor(consumerAlice(t))), "\tlog\n", "", 1))
	for range 5 {
		s.get("/", "")
	}
	s.loadFile(strings.Replace(s.caddyfile(gateFor(consumerAlice(t))), "\tlog\n", "", 1))
	eventually(t, "the log has the rest", func() bool { return len(s.tallied()) == 2 })
	if got := fmt.Sprint(s.tallied()); got != "[missing_token 1 missing_token 4]" {
		t.Errorf("told: %s", got)
	}
	for range 3 {
		s.get("/", "")
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(s.tallied()[2:]); got != "[missing_token 1 missing_token 2]" {
		t.Errorf("told when Caddy stops: %s", got)
	}
}

// When two gates refuse one request, the access log has the fields of the last one.
func TestAccessLogOfTwoGates(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	zoe, alice := key.Sign(t, issuedBy(as.URL, "sub", "zoe")), hmacKey(t).Sign(t, claims())
	expired := key.Sign(t, issuedBy(as.URL, "sub", "zoe", "exp", 1))
	s := prepare(t)
	second := gateFor(consumerAlice(t), "token_from header X-Second")
	s.behind("route {\nGATE\n"+second+"\nBACKEND\n}\nhandle_errors {\n"+second+"\nrespond page\n}", issuerByJWKS(as))
	for i, test := range []struct {
		name, first, second string
		reason, issuer      any
		cause               string // how it begins
	}{
		{"both let it pass", zoe, alice, nil, nil, ""},
		{"the second refuses", zoe, "", "missing_token", nil, "no token in header X-Second"},
		{"the first refuses, and that of the error route as well", expired, "", "missing_token", nil,
			"no token in header X-Second"},
		{"the first refuses, and that of the error route lets it pass", expired, alice, "expired", as.URL,
			"expired: exp was"},
	} {
		line := s.logs(fmt.Sprint("/", i), func(path string) {
			r := s.request(http.MethodGet, path, nil, "Authorization", "Bearer "+test.first)
			if test.second != "" {
				r.Header.Set("X-Second", test.second)
			}
			s.do(r)
		})
		_, has := line["auth_issuer"]
		if line["auth_reason"] != test.reason || line["auth_issuer"] != test.issuer || has != (test.issuer != nil) {
			t.Errorf("%s: auth_reason %v, auth_issuer %v", test.name, line["auth_reason"], line["auth_issuer"])
		}
		cause, _ := line["auth_cause"].(string)
		if !strings.HasPrefix(cause, test.cause) || (cause == "") != (test.cause == "") {
			t.Errorf("%s: auth_cause %q", test.name, cause)
		}
	}
}

// In a log, lists and objects stay arrays and objects.
func TestAccessLogHasListsAndObjects(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	s.behind("log_append roles {http.auth.user.roles}\nlog_append address {http.auth.user.address}\nGATE\nBACKEND",
		issuerByJWKS(as))
	line := s.logs("/lists", func(path string) {
		s.get(path,
			key.Sign(t,
				issuedBy(as.URL, "roles", []any{"clerk", []any{1}}, "address",
					map[string]any{"city": "Bonn", "lines": []any{"a"}})))
	})
	got, _ := json.Marshal([]any{line["roles"], line["address"]})
	if want := `[["clerk",[1]],{"city":"Bonn","lines":["a"]}]`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
