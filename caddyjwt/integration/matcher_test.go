package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// callers are tokens of those who call in the tests of the matcher: each has another reason to match.
type callers struct {
	as     *tokentest.AS
	tokens map[string]string
}

func newCallers(t *testing.T) *callers {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	sign := func(changes ...any) string { return key.Sign(t, issuedBy(as.URL, changes...)) }
	return &callers{as, map[string]string{
		"nobody": "",
		"plain":  sign("sub", "plain"),
		"clerk":  sign("sub", "clerk", "roles", []string{"clerk"}, "groups", []string{"staff"}, "scope", "orders:read"),
		"admin": sign("sub", "admin", "roles", []string{"clerk", "admin"}, "groups", "staff",
			"scope", "orders:read orders:write"),
		"alice":   hmacKey(t).Sign(t, claims("roles", "admin", "groups", "banned")),
		"expired": sign("sub", "admin", "roles", "admin", "exp", 1),
	}}
}

// parties are the blocks that all of them need.
func (c *callers) parties(t *testing.T) []string {
	return []string{consumerAlice(t), issuerByJWKS(c.as)}
}

// A matcher behind a gate matches by the rules of "require". Nobody without an identity matches, except below "not".
func TestMatcherBehindAGate(t *testing.T) {
	who := newCallers(t)
	s := prepare(t)
	for matcher, want := range map[string]string{
		"bearer claim roles admin":                                                 "admin alice",
		"bearer claim roles":                                                       "admin alice clerk",
		"bearer claim roles boss clerk":                                            "admin clerk",
		"bearer claim sub":                                                         "admin alice clerk plain",
		"bearer claim none":                                                        "",
		"bearer scope orders:read":                                                 "admin clerk",
		"bearer scope orders:read orders:write":                                    "admin",
		"bearer group staff":                                                       "admin alice clerk",
		"bearer group banned":                                                      "",
		"bearer group nobodies editors":                                            "alice",
		"bearer consumer alice":                                                    "alice",
		"bearer consumer clerk":                                                    "",
		"bearer issuer https://other.example " + "THEM":                            "admin clerk plain",
		"bearer issuer https://other.example":                                      "",
		"bearer claim sub like a* *k":                                              "admin alice clerk",
		"bearer claim groups like st*":                                             "admin clerk",
		"bearer not claim groups staff":                                            "alice plain",
		"bearer not claim roles like cl*":                                          "alice plain",
		"bearer not claim roles":                                                   "plain",
		"bearer not scope orders:write":                                            "alice clerk plain",
		"bearer not group staff":                                                   "plain",
		"bearer not group editors":                                                 "admin clerk plain",
		"bearer any {\nscope orders:write\nclaim sub plain\n}":                     "admin plain",
		"bearer any {\nnot claim roles\ngroup editors\n}":                          "alice plain",
		"not bearer any {\nscope orders:read\ngroup editors\n}":                    "nobody plain",
		"not bearer group staff":                                                   "nobody plain",
		"not bearer issuer THEM":                                                   "alice nobody",
		"{\nbearer group staff\nbearer claim roles admin\n}":                       "admin alice",
		"bearer {\ngroup staff\nclaim roles admin\nissuer THEM\n}":                 "admin",
		"{\nbearer claim sub\nnot bearer group staff\n}":                           "plain",
		"{\nbearer group staff\npath /elsewhere\n}":                                "",
		"{\nnot {\nbearer group staff\nbearer claim roles admin\n}\n}":             "clerk nobody plain",
		"{\nnot bearer scope orders:write\nnot bearer claim roles admin\n}":        "clerk nobody plain",
		"{\nbearer scope orders:read\nexpression `{http.auth.user.id} != null`\n}": "admin clerk",
	} {
		t.Run(matcher, func(t *testing.T) {
			s := s.in(t)
			s.behind("@them "+strings.ReplaceAll(matcher, "THEM", who.as.URL)+`
				respond @them "yes"
				respond "no"
				GATE`, append(who.parties(t), "optional")...)
			for name, token := range who.tokens {
				a := s.get("/", token)
				wanted := "no"
				if strings.Contains(" "+want+" ", " "+name+" ") {
					wanted = "yes"
				}
				if name == "expired" {
					wanted = ""
				}
				if a.body != wanted {
					t.Errorf("%s: status %d, %q; want %q", name, a.StatusCode, a.body, wanted)
				}
			}
		})
	}
}

// Behind a gate, every directive takes the matcher. Those that Caddy would run before the gate stand in a route.
func TestMatcherInDirectivesBehindAGate(t *testing.T) {
	who := newCallers(t)
	s := prepare(t)
	for name, text := range map[string]string{
		"reverse_proxy":      "GATE\nreverse_proxy @them UPSTREAM\nrespond @others no",
		"handle":             "GATE\nhandle @them {\nBACKEND\n}\nhandle {\nrespond no\n}",
		"route":              "route {\nGATE\nroute @them {\nBACKEND\n}\nrespond no\n}",
		"error":              "GATE\nerror @others 418\nBACKEND\nhandle_errors 418 {\nrespond no 200\n}",
		"request_header":     "GATE\nrequest_header @them X-Them yes\n@marked header X-Them yes\nROUTE",
		"header in a route":  "route {\nGATE\nheader @others X-No no\n@marked not bearer group nobody\nBACKEND\n}",
		"rewrite in a route": "route {\nGATE\nrewrite @them /them\n@marked path /them\nROUTE\n}",
		"vars in a route":    "route {\nGATE\nvars @them their yes\n@marked vars their yes\nROUTE\n}",
		"redir in a route":   "route {\nGATE\nredir @others /no\nBACKEND\n}",
		"a second gate": "route {\nGATE\nbearer_auth @them {\nPARTIES\ntoken_from header X-Second\noptional\n}\n" +
			"@marked expression `{http.auth.user.id} == null`\nROUTE\n}",
		"an error page of another error": "GATE\nerror 404\nhandle_errors 404 {\n" +
			"handle @them {\nBACKEND\n}\nrespond no 200\n}",
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			text := strings.ReplaceAll(text, "ROUTE", "route {\nreverse_proxy @marked UPSTREAM\nrespond no\n}")
			parties := strings.Join(who.parties(t), "\n")
			text = strings.NewReplacer("UPSTREAM", s.upstream.addr(), "PARTIES", parties).Replace(text)
			s.behind("@them bearer claim roles admin\n@others not bearer claim roles admin\n"+text, who.parties(t)...)
			for _, caller := range []string{"admin", "clerk"} {
				a := s.get("/", who.tokens[caller])
				reached := len(s.upstream.take()) == 1 && a.Header.Get("X-No") == ""
				if reached != (caller == "admin") || a.StatusCode >= 400 {
					t.Errorf("%s: status %d, %q, reached the backend: %v", caller, a.StatusCode, a.body, reached)
				}
			}
		})
	}
}

// With several gates, the last one that has handled the request decides.
func TestMatcherAfterSeveralGates(t *testing.T) {
	who := newCallers(t)
	s := prepare(t)
	second := gateFor(append(who.parties(t), "token_from header X-Second", "optional")...)
	s.behind(`@admins bearer claim roles admin
		route {
			GATE
			vars @admins first admin
			`+second+`
			vars @admins second admin
			respond "{vars.first}|{vars.second}"
		}`, append(who.parties(t), "optional")...)
	for name, test := range map[string][3]string{
		"the first one knows an admin":  {"admin", "nobody", "admin|"},
		"the second one does":           {"nobody", "admin", "|admin"},
		"both do":                       {"admin", "alice", "admin|admin"},
		"another caller for the second": {"admin", "clerk", "admin|"},
	} {
		a := s.get("/", who.tokens[test[0]], "X-Second", who.tokens[test[1]])
		if who.tokens[test[1]] == "" {
			a = s.get("/", who.tokens[test[0]])
		}
		if a.body != test[2] {
			t.Errorf("%s: status %d, %q; want %q", name, a.StatusCode, a.body, test[2])
		}
	}
}

// A refused request has no identity in error routes, whatever its token says: no match, and no error.
func TestMatcherInErrorRoutes(t *testing.T) {
	who := newCallers(t)
	s := prepare(t)
	s.behind(`GATE
		BACKEND
		handle_errors {
			@admins bearer claim roles
			@known not bearer issuer nobody
			respond @admins "matched"
			respond @known "not matched: {http.auth.bearer.error}"
		}`, append(who.parties(t), "require scope never")...)
	for caller, want := range map[string]string{
		"nobody": "not matched: ", "admin": "not matched: insufficient_scope", "alice": "not matched: insufficient_scope",
		"expired": "not matched: invalid_token",
	} {
		if a := s.get("/", who.tokens[caller]); a.body != want || a.StatusCode < 401 {
			t.Errorf("%s: status %d, %q; want %q", caller, a.StatusCode, a.body, want)
		}
	}
}

// Where a gate lets requests pass without a token, they have the identity of the anonymous consumer, or none.
func TestMatcherWithoutAToken(t *testing.T) {
	who := newCallers(t)
	s := prepare(t)
	for line, want := range map[string]string{
		"optional": "no", "public /": "no", "allow_preflight": "no", "anonymous alice": "alice", "anonymous guest": "no",
	} {
		parties := append(who.parties(t), line, "consumer guest {\ngroups guests\n}")
		s.behind(`@alice {
				bearer consumer alice
				bearer group staff
			}
			respond @alice "alice"
			respond "no"
			GATE`, parties...)
		r := s.request(http.MethodGet, "/", nil, "Origin", "https://app.example.com")
		if line == "allow_preflight" {
			r.Method = http.MethodOptions
			r.Header.Set("Access-Control-Request-Method", "PUT")
		}
		if a := s.do(r); a.body != want {
			t.Errorf("%s: status %d, %q; want %q", line, a.StatusCode, a.body, want)
		}
	}
}

// Wherever no gate has handled the request, nobody knows who is calling. Neither the matcher nor its opposite may then
// decide anything: the request ends with status 500.
func TestMatcherIsAnErrorWhereNoGateHasRun(t *testing.T) {
	who := newCallers(t)
	s := prepare(t)
	for name, text := range map[string]string{
		"header":                 "header @them X-Them yes\nGATE\nBACKEND",
		"redir":                  "redir @them /elsewhere\nGATE\nBACKEND",
		"rewrite":                "rewrite @them /elsewhere\nGATE\nBACKEND",
		"uri":                    "uri @them strip_prefix /\nGATE\nBACKEND",
		"method":                 "method @them POST\nGATE\nBACKEND",
		"vars":                   "vars @them a b\nGATE\nBACKEND",
		"request_body":           "request_body @them {\nmax_size 1MB\n}\nGATE\nBACKEND",
		"log_skip":               "log_skip @them\nGATE\nBACKEND",
		"the gate itself":        "bearer_auth @them {\nPARTIES\n}\nBACKEND",
		"a route before":         "route {\nrespond @them open\nGATE\n}\nBACKEND",
		"a gate for other paths": "bearer_auth /other/* {\nPARTIES\n}\nreverse_proxy @them UPSTREAM",
		"no gate":                "reverse_proxy @them UPSTREAM",
		"a handle without one":   "handle /other/* {\nGATE\n}\nhandle @them {\nBACKEND\n}",
		"a verdict by hand":      "route {\nvars bearer_auth.verdict alice\nreverse_proxy @them UPSTREAM\n}",
	} {
		for _, matcher := range []string{"bearer group staff", "not bearer group banned"} {
			t.Run(name+", "+matcher, func(t *testing.T) {
				s := s.in(t)
				parties := strings.Join(who.parties(t), "\n")
				text := strings.NewReplacer("UPSTREAM", s.upstream.addr(), "PARTIES", parties).Replace(text)
				s.behind("@them "+matcher+"\n"+text, who.parties(t)...)
				for _, caller := range []string{"nobody", "clerk", "alice"} {
					a := s.get("/", who.tokens[caller])
					if a.StatusCode != http.StatusInternalServerError || a.body != "" || a.Header.Get("Location") != "" {
						t.Errorf("%s: status %d, body %q", caller, a.StatusCode, a.body)
					}
					s.nothingForwarded()
				}
			})
		}
	}
}

// An error page before every gate is not served either: Caddy then answers with the first error's status, without a
// body.
func TestMatcherInErrorRoutesBeforeEveryGate(t *testing.T) {
	who := newCallers(t)
	s := prepare(t)
	for _, matcher := range []string{"bearer group staff", "not bearer group banned"} {
		s.behind("@them "+matcher+`
			route {
				error 404
				GATE
			}
			handle_errors {
				respond @them open
				respond closed
			}`, who.parties(t)...)
		if a := s.get("/", who.tokens["clerk"]); a.StatusCode != http.StatusNotFound || a.body != "" {
			t.Errorf("%s: status %d, body %q", matcher, a.StatusCode, a.body)
		}
	}
}

// The log says what to change. The error page gets a status, so that it can be chosen by it.
func TestMatcherWithoutAGateIsLogged(t *testing.T) {
	who := newCallers(t)
	s := prepare(t)
	for _, page := range []string{"", "handle_errors 500 {\nrespond `{err.status_code} {err.message}` 500\n}"} {
		s.behind("@them bearer group staff\nredir @them /elsewhere\nGATE\nBACKEND\n"+page, who.parties(t)...)
		began := len(s.log())
		a := s.get("/", who.tokens["clerk"])
		const cure = "put a bearer_auth before the matcher"
		shown := strings.Contains(a.body, "500 matcher bearer: ")
		if a.StatusCode != http.StatusInternalServerError || (page != "") != shown {
			t.Errorf("status %d, body %q", a.StatusCode, a.body)
		}
		eventually(t, "the log says what to change", func() bool { return strings.Contains(s.log()[began:], cure) })
	}
}

// Beside other matchers of the same name, Caddy may ask the others first. If one of them says no, the matcher is not
// asked: the request then does not match, gate or not.
func TestMatcherBesideOthersWithoutAGate(t *testing.T) {
	s := prepare(t)
	for range 5 { // Caddy puts them in a new order each time it loads a configuration
		s.behind(`@them {
				path /them
				bearer group staff
			}
			@others not {
				path /them
				bearer group staff
			}
			handle @them {
				BACKEND
			}
			handle @others {
				respond others
			}`)
		for path, want := range map[string]map[int]string{
			"/them":   {500: ""},
			"/others": {500: "", 200: "others"},
		} {
			a := s.get(path, "")
			if body, known := want[a.StatusCode]; !known || a.body != body {
				t.Errorf("%s: status %d, body %q", path, a.StatusCode, a.body)
			}
			s.nothingForwarded()
		}
	}
}

// The recipe of the manual.
func TestMatcherRecipe(t *testing.T) {
	who := newCallers(t)
	beta := newUpstream(t)
	s := prepare(t)
	s.recipe("Matching by caller", 1, "https://auth.example.com", who.as.URL, "https://api.example.com", audience,
		"localhost:9001", beta.addr(), "testers", "staff")
	for name, test := range map[string]struct {
		method, caller string
		status         int
		beta           bool
	}{
		"a tester reads":                    {http.MethodGet, "clerk", 200, true},
		"a tester writes without the scope": {http.MethodPost, "clerk", 403, false},
		"a tester writes with the scope":    {http.MethodPost, "admin", 200, true},
		"somebody else reads":               {http.MethodGet, "plain", 200, false},
		"somebody else writes":              {http.MethodDelete, "plain", 403, false},
		"nobody":                            {http.MethodGet, "nobody", 401, false},
	} {
		r := s.request(test.method, "/", nil)
		if token := who.tokens[test.caller]; token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		a := s.do(r)
		main, tested := len(s.upstream.take()), len(beta.take())
		reached := main+tested == 1
		if a.StatusCode != test.status || (tested == 1) != test.beta || main+tested > 1 || reached != (a.StatusCode == 200) {
			t.Errorf("%s: status %d, %d requests reached the backend and %d the other one", name, a.StatusCode, main, tested)
		}
	}
}
