package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// allOfThem is every placeholder that a manual or a template may name, in one text.
const allOfThem = "[{http.auth.user.id}|{http.auth.user.email}|{http.auth.user.no.such}|" +
	"{http.auth.bearer.issuer}|{http.auth.bearer.reason}|{http.auth.bearer.error}|" +
	"{http.auth.bearer.error_description}|{http.auth.bearer.other}]"

// everywhere has that text wherever an administrator may put it, in front of a backend, of a page and of errors.
const everywhere = `log_append email {http.auth.user.email}
	header >X-Header TOLD
	route {
		GATE
		request_header X-Request TOLD
	}
	error /error "no such page" 404
	respond /page TOLD
	reverse_proxy * UPSTREAM {
		header_up X-Up TOLD
		header_down X-Down TOLD
	}
	handle_errors 404 {
		header X-Page TOLD
		respond TOLD
	}
	handle_errors {
		header X-Page TOLD
		reverse_proxy UPSTREAM {
			header_up X-Up TOLD
			header_down X-Down TOLD
		}
	}`

// expiredTold is allOfThem for an expired token.
const expiredTold = "[|||ISSUER|expired|invalid_token|" +
	"the access token is expired, revoked, malformed or otherwise invalid|]"

// A backend must never get the text "{http.auth.user.id}" as the name of a user. It would make an account of that name,
// for everybody who has none.
func TestPlaceholdersAreKnownOnEveryOutcome(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	zoe := key.Sign(t, issuedBy(as.URL, "sub", "zoe", "email", "zoe@example.com"))
	nameless := key.Sign(t, issuedBy(as.URL, "sub", nil))
	expired := key.Sign(t, issuedBy(as.URL, "sub", "zoe", "exp", 1))
	alice := hmacKey(t).Sign(t, claims())
	for name, test := range map[string]struct{ line, second, method, token, want string }{
		"optional, no token": {line: "optional", want: "[|||||||]"},
		"anonymous":          {line: "anonymous alice", want: "[alice|||||||]"},
		"a preflight": {
			line: "allow_preflight", method: http.MethodOptions, want: "[|||||||]",
		},
		"a public path, a good token":                {line: "public / /page /error", token: zoe, want: "[|||||||]"},
		"a good token":                               {token: zoe, want: "[zoe|zoe@example.com||ISSUER||||]"},
		"a good token without these claims":          {token: nameless, want: "[|||ISSUER||||]"},
		"a consumer's token":                         {token: alice, want: "[alice|||||||]"},
		"refused, and an error route with a backend": {token: expired, want: expiredTold},
		"no token, and an error route":               {want: "[||||missing_token|||]"},
		"two gates, the second without a token":      {second: "optional", token: zoe, want: "[|||||||]"},
		"two gates, the second one refuses":          {second: "realm second", token: zoe, want: "[||||missing_token|||]"},
		"two gates, the first one refuses":           {second: "optional", token: expired, want: expiredTold},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			lines := []string{issuerByJWKS(as), consumerAlice(t), test.line}
			text := everywhere
			if test.second != "" {
				second := gateFor(issuerByJWKS(as), "token_from header X-Second", test.second)
				text = strings.Replace(text, "GATE", "GATE\n"+second, 1)
			}
			s.behind(strings.NewReplacer("TOLD", "`"+allOfThem+"`", "UPSTREAM", s.upstream.addr()).Replace(text), lines...)
			want := strings.Replace(test.want, "ISSUER", as.URL, 1)
			for _, path := range []string{"/", "/page", "/error"} {
				s.tells(path, test.method, test.token, want)
			}
			eventually(t, "the access log has all three", func() bool { return strings.Count(s.log(), `"email":`) == 3 })
			if strings.Contains(s.log(), `"email":"{`) {
				t.Error("the access log has a placeholder")
			}
		})
	}
}

// The error code and its description are those of the challenge, for every code. Where the challenge has none, and
// where there is no challenge, the placeholders are empty.
func TestPlaceholdersHaveTheErrorOfTheChallenge(t *testing.T) {
	const down = "https://down.example.com"
	good := hmacKey(t).Sign(t, claims())
	s := prepare(t)
	s.behind(`BACKEND
		GATE
		handle_errors {
			respond "{http.auth.bearer.error}|{http.auth.bearer.error_description}" {err.status_code}
		}`, consumerAlice(t), issuerWithKeys(down, "jwks http://127.0.0.1:1/"), "require scope never")
	for name, test := range map[string]struct {
		tokens []string
		status int
		code   string
	}{
		"no token":                  {nil, 401, ""},
		"a bad token":               {[]string{"x.y.z"}, 401, "invalid_token"},
		"two tokens":                {[]string{good, good}, 400, "invalid_request"},
		"a token without the scope": {[]string{good}, 403, "insufficient_scope"},
		"no keys for the token": {
			[]string{tokentest.NewKey(t, "ES256", "e1").Sign(t, issuedBy(down))}, 503, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.in(t)
			r := s.request(http.MethodGet, "/", nil)
			for _, token := range test.tokens {
				r.Header.Add("Authorization", "Bearer "+token)
			}
			a := s.do(r)
			want := "|"
			if field := a.Header.Get("WWW-Authenticate"); field != "" {
				challenge, err := parseChallenge(field)
				if err != nil {
					t.Fatal(err)
				}
				want = challenge["error"] + "|" + challenge["error_description"]
			}
			code, _, _ := strings.Cut(a.body, "|")
			if a.StatusCode != test.status || a.body != want || code != test.code {
				t.Errorf("status %d, %q; want status %d, code %q, and what the challenge says: %q",
					a.StatusCode, a.body, test.status, test.code, want)
			}
		})
	}
}

// tells wants every text that came of a request to be this one.
func (s *site) tells(path, method, token, want string) {
	s.t.Helper()
	if method == "" {
		method = http.MethodGet
	}
	r := s.request(method, path, nil, "Origin", "https://app.example.com")
	if method == http.MethodOptions {
		r.Header.Set("Access-Control-Request-Method", "PUT")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a := s.do(r)
	texts := map[string]string{"X-Header": a.Header.Get("X-Header"), "X-Page": a.Header.Get("X-Page"),
		"X-Down": a.Header.Get("X-Down")}
	if strings.Contains(a.body, "[") {
		texts["body"] = a.body
	}
	for _, request := range s.upstream.take() {
		texts["X-Request"], texts["X-Up"] = request.Header.Get("X-Request"), request.Header.Get("X-Up")
	}
	found := 0
	for where, text := range texts {
		switch {
		case text == "":
		case text != want:
			s.t.Errorf("%s: %s says %s, want %s", path, where, text, want)
		default:
			found++
		}
	}
	if found < 2 {
		s.t.Errorf("%s: status %d, body %q: the text came in %d places", path, a.StatusCode, a.body, found)
	}
}
