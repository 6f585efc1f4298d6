package integration

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// managed are the headers by which the backend of identitySite learns who is calling.
var managed = []string{"X-Consumer-ID", "X-Consumer-Custom-ID", "X-Consumer-Username", "X-Consumer-Groups",
	"X-Credential-Identifier", "X-Anonymous-Consumer", "X-User", "X-Roles"}

// identitySite takes tokens of an issuer and of a consumer, over HTTP/1.1 and HTTP/2.
func identitySite(t *testing.T, lines ...string) (s *site, issuer string, key *tokentest.Key) {
	key = tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s = prepare(t)
	s.loadFile(bothProtocols(s.caddyfile(gateFor(append([]string{issuerByJWKS(as), consumerAlice(t),
		"forward_claims X-User sub", "forward_claims X-Roles roles"}, lines...)...))))
	return s, as.URL, key
}

// bothProtocols makes Caddy speak HTTP/2 without TLS as well.
func bothProtocols(caddyfile string) string {
	return strings.Replace(caddyfile, "admin off", "admin off\n\tservers {\n\t\tprotocols h1 h2c\n\t}", 1)
}

// overHTTP2 is the same site, asked by HTTP/2 with prior knowledge.
func (a *attempt) overHTTP2() *attempt {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{DialContext: a.dial, Protocols: protocols}
	a.t.Cleanup(transport.CloseIdleConnections)
	other := *a
	other.site = a.in(a.t)
	other.client = &http.Client{Transport: transport}
	return &other
}

// untouched wants the backend to have got these headers only as the gate sets them: by the name of RFC 9110, and by
// every name that a CGI-like backend reads as the same.
func (a *attempt) untouched(got seen, want map[string]string) {
	a.t.Helper()
	told := make(map[string][]string)
	for _, fields := range []http.Header{got.Header, got.Trailer} {
		for name, values := range fields {
			alias := textproto.CanonicalMIMEHeaderKey(strings.Map(func(r rune) rune {
				if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
					return r
				}
				return '-'
			}, name))
			told[alias] = append(told[alias], values...)
		}
	}
	for _, name := range managed {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if value, ok := want[name]; ok {
			if len(told[name]) != 1 || told[name][0] != value {
				a.t.Errorf("%s: %q at the upstream, want %q", name, told[name], value)
			}
		} else if told[name] != nil {
			a.t.Errorf("%s: %q at the upstream, want none", name, told[name])
		}
	}
}

// asAlice and asMe are the headers of the backend for the two kinds of tokens.
var (
	asAlice = map[string]string{
		"X-Consumer-Id": "42", "X-Consumer-Custom-Id": "c-42", "X-Consumer-Username": "alice",
		"X-Consumer-Groups": "staff,editors", "X-Credential-Identifier": "alice-key", "X-User": "alice",
	}
	asMe    = map[string]string{"X-User": "me"}
	asGuest = map[string]string{"X-Consumer-Username": "guest", "X-Anonymous-Consumer": "true"}
)

// spellings are names that some backend reads as the header's name.
func spellings(name string) []string {
	all := []string{name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"),
		strings.ToLower(strings.ReplaceAll(name, "-", "_")),
		strings.ReplaceAll(name, "-", "."), strings.Replace(name, "-", "_", 1), "x" + strings.Replace(name, "-", "_.", 1)[1:]}
	return all[:7]
}

// A client sends identity headers of its own, in names that the backend cannot tell apart: CVE-2026-30851 (Caddy's
// forward_auth), CVE-2026-52845 (names with underscores before FastCGI). Whatever the outcome, the backend sees only
// ours. A claim that is absent leaves no header.
func TestAttackIdentityHeaderFromTheClient(t *testing.T) {
	s, issuer, key := identitySite(t)
	for _, name := range managed {
		for _, spelling := range spellings(name) {
			s.attack(t, spelling, func(t *testing.T, a *attempt) {
				a.untouched(a.passed(a.send(key.Sign(t, issuedBy(issuer, "sub", "me")), spelling, "admin")), asMe)
				a.untouched(a.passed(a.send(hmacKey(t).Sign(t, claims()), spelling, "admin", spelling, "root")), asAlice)
			})
			s.attack(t, spelling+" over HTTP/2", func(t *testing.T, a *attempt) {
				a.untouched(a.passed(a.overHTTP2().send(key.Sign(t, issuedBy(issuer, "sub", "me")), spelling, "admin")), asMe)
			})
		}
	}
	s.attack(t, "all at once, twice", func(t *testing.T, a *attempt) {
		var fields []string
		for range 2 {
			for _, name := range managed {
				for _, spelling := range spellings(name) {
					fields = append(fields, spelling, "admin")
				}
			}
		}
		a.untouched(a.passed(a.send(key.Sign(t, issuedBy(issuer, "sub", "me")), fields...)), asMe)
	})
}

// Some backends, such as lighttpd's CGI variables, replace every character of a header's name but letters and digits by
// an underscore. To them X~Consumer~ID is X-Consumer-ID: CVE-2026-52845 with rarer characters.
func TestAttackIdentityHeaderFromTheClientInRareCharacters(t *testing.T) {
	s, issuer, key := identitySite(t)
	for _, c := range "!#$%&'*+^`|~" {
		s.attack(t, "X"+string(c)+"User", func(t *testing.T, a *attempt) {
			a.untouched(a.passed(a.send(key.Sign(t, issuedBy(issuer, "sub", "me")), "X"+string(c)+"User", "admin",
				"X-Consumer"+string(c)+"Username", "admin")), asMe)
		})
	}
}

// The client names our header in Connection, and the reverse proxy removes it after the gate has set it. The backend
// then sees nobody, or applies its default: CVE-2024-45410, CVE-2026-29054, CVE-2021-33197, GHSA-w9mr-28mw-j8hg.
func TestAttackIdentityHeaderNamedInConnection(t *testing.T) {
	s, issuer, key := identitySite(t)
	for name, fields := range map[string][]string{
		"alone":                 {"Connection", "X-User"},
		"lower case":            {"connection", "x-user"},
		"upper case":            {"CONNECTION", "X-USER"},
		"after close":           {"Connection", "close, x-user"},
		"after keep-alive":      {"Connection", "keep-alive, X-User, X-Consumer-Username"},
		"between empty options": {"Connection", ",,X-User,,"},
		"with tabs":             {"Connection", "close,\tX-User\t"},
		"two fields":            {"Connection", "close", "Connection", "X-User"},
		"two fields, two names": {"Connection", "X-User", "Connection", "X-Consumer-Username"},
		"with underscores":      {"Connection", "X_User, X-User"},
		"with Upgrade":          {"Connection", "Upgrade, X-User", "Upgrade", "websocket"},
		"all names":             {"Connection", strings.Join(managed, ", ")},
		"in Proxy-Connection":   {"Proxy-Connection", "X-User"},
		"in Keep-Alive":         {"Connection", "Keep-Alive, X-User", "Keep-Alive", "X-User"},
		"in TE":                 {"Connection", "TE, X-User", "TE", "trailers"},
		"in quotes":             {"Connection", `"X-User", X-User`},
		"a thousand times":      {"Connection", strings.Repeat("X-User, ", 1000) + "X-User"},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			var text strings.Builder
			for i := 0; i < len(fields); i += 2 {
				text.WriteString(fields[i] + ": " + fields[i+1] + "\r\n")
			}
			for _, test := range []struct {
				token string
				want  map[string]string
			}{{key.Sign(t, issuedBy(issuer, "sub", "me")), asMe}, {hmacKey(t).Sign(t, claims()), asAlice}} {
				a.secret(test.token)
				a.untouched(a.passed(a.raw("GET / HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer "+test.token+"\r\n"+
					text.String()+"\r\n")), test.want)
			}
		})
	}
	s.attack(t, "Connection: Authorization does not hide the token", func(t *testing.T, a *attempt) {
		token := key.Sign(t, issuedBy(issuer, "sub", "me"))
		a.secret(token)
		got := a.passed(a.raw("GET / HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer " + token +
			"\r\nConnection: Authorization\r\n\r\n"))
		a.untouched(got, asMe)
	})
}

// A claim has line ends, NUL or other control characters. They begin a new header behind a lenient proxy, or break the
// request with a 502. Such a token is refused as the client's mistake.
func TestAttackIdentityControlCharactersInClaims(t *testing.T) {
	s, issuer, key := identitySite(t)
	for _, text := range []string{"a\r\nX-Admin: 1", "a\nX-Admin: 1", "a\rX-Admin: 1", "a\x00b", "a\tb", "a\x1b[31m",
		"a\x7fb", "a\u0085b", "a\u2028b", "a\u2029b", "\r\n\r\nGET /admin HTTP/1.1", "a\vb", "a\fb", "a\u009bb"} {
		for _, claim := range []string{"sub", "roles"} {
			s.attack(t, fmt.Sprintf("%s %q", claim, text), func(t *testing.T, a *attempt) {
				a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, claim, text))), "unsafe_claim", "malformed_token")
			})
		}
	}
	s.attack(t, "inside an array", func(t *testing.T, a *attempt) {
		a.refusedFor(a.send(key.Sign(t, issuedBy(issuer, "roles", []string{"a", "b\r\nX-Admin: 1"}))), "unsafe_claim")
	})
	for name, roles := range map[string]any{"in an object": map[string]any{"a": "b\r\nX-Admin: 1"},
		"in an object's name": map[string]any{"a\r\nb": 1}, "in a deep array": []any{[]any{"a\r\nb"}}} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.send(key.Sign(t, issuedBy(issuer, "sub", "me", "roles", roles)))
			if got.StatusCode != http.StatusOK {
				a.refusedFor(got, "unsafe_claim")
				return
			}
			if value := a.passed(got).Header["X-Roles"]; len(value) != 1 || strings.ContainsAny(value[0], "\r\n\x00") {
				t.Errorf("X-Roles %q at the upstream", value)
			}
		})
	}
}

// A claim is written so that the backend reads more into it: a comma in one element makes two, a quote closes a text,
// other letters look like ours. A comma in an element cannot add an element, and text arrives as it was signed.
func TestAttackIdentityListsAndLetters(t *testing.T) {
	s, issuer, key := identitySite(t)
	for name, test := range map[string]struct {
		roles any
		want  string
	}{
		"a plain list":          {[]string{"a", "b"}, "a,b"},
		"a comma in a text":     {"a,admin", "a%2Cadmin"},
		"a comma in an element": {[]string{"a,admin"}, "a%2Cadmin"},
		"a comma in one of two": {[]string{"a", "b,admin,c"}, "a,b%2Cadmin%2Cc"},
		"a comma beside none":   {[]string{"", "b,admin,c"}, `["","b\u002cadmin\u002cc"]`},
		"a text like a list":    {`["admin"]`, "%5B%22admin%22]"},
		"an element like one":   {[]string{`["admin"]`}, "%5B%22admin%22]"},
		"an escape":             {"%20admin", "%2520admin"},
		"a full-width comma":    {[]string{"a，admin"}, "a，admin"},
		"an escaped comma":      {[]string{`a\,admin`}, `a\%2Cadmin`},
		"a semicolon":           {[]string{"a;admin"}, "a;admin"},
		"letters beyond ASCII":  {"Zoë 箱", "Zoë 箱"},
		"blanks around":         {" admin ", "%20admin%20"},
		"a number":              {7, "7"},
		"true":                  {true, "true"},
		"a quote":               {`a"b`, "a%22b"},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.passed(a.send(key.Sign(t, issuedBy(issuer, "sub", "me", "roles", test.roles))))
			if value := got.Header["X-Roles"]; len(value) != 1 || value[0] != test.want {
				t.Errorf("X-Roles %q at the upstream, want %q", value, test.want)
			}
		})
	}
}

// A client says in headers of proxies which resource, method or address it asks for: CVE-2026-33495, CVE-2026-40575,
// CVE-2023-27487, CVE-2025-64101, CVE-2024-21494. The gate looks at the request alone, also for certificates.
func TestAttackIdentityForwardedHeadersDecideNothing(t *testing.T) {
	s, _, _ := identitySite(t, "allow_preflight")
	for _, field := range [][2]string{{"X-Forwarded-Uri", "/public"}, {"X-Original-URL", "/public"},
		{"X-Rewrite-URL", "/public"}, {"X-Forwarded-Method", "OPTIONS"}, {"X-HTTP-Method-Override", "OPTIONS"},
		{"X-Forwarded-For", "127.0.0.1"}, {"X-Real-IP", "127.0.0.1"}, {"Forwarded", "for=127.0.0.1;proto=https"},
		{"X-Forwarded-Prefix", "/public"}, {"X-Forwarded-Proto", "https"}, {"X-Forwarded-Path", "/public"},
		{"X-Envoy-Original-Path", "/public"}, {"X-Forwarded-User", "admin"}, {"Remote-User", "admin"},
		{"Client-Cert", ":AAAA:"}, {"X-SSL-Client-Cert", "AAAA"}, {"X-Forwarded-Client-Cert", "Hash=1"},
		{"User-Agent", "kube-probe/1.30"}, {"User-Agent", "GoogleHC/1.0"}, {"X-Forwarded-Host", "other.test"}} {
		s.attack(t, field[0]+" "+field[1], func(t *testing.T, a *attempt) {
			a.refusedFor(a.get("/", "", field[0], field[1], "Origin", "https://x", "Access-Control-Request-Method", "GET"),
				"missing_token")
		})
	}
}

// Many clients come at once, each with its own token. A shared map or buffer would give the identity of one to another.
func TestAttackIdentityMixedUpUnderLoad(t *testing.T) {
	long(t)
	s, issuer, key := identitySite(t)
	s.attack(t, "a thousand clients", func(t *testing.T, a *attempt) {
		var wg sync.WaitGroup
		for client := range 1000 {
			user := fmt.Sprintf("user-%d", client)
			token := key.Sign(t, issuedBy(issuer, "sub", user))
			wg.Go(func() {
				for i := range 3 {
					r, _ := http.NewRequestWithContext(context.Background(), "GET", fmt.Sprintf("http://gate.test/%s/%d", user, i),
						nil)
					r.Header.Set("Authorization", "Bearer "+token)
					response, err := a.client.Do(r)
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}
			})
		}
		wg.Wait()
		requests := a.upstream.take()
		if len(requests) != 3000 {
			t.Errorf("%d requests reached the upstream, want 3000", len(requests))
		}
		for _, r := range requests {
			if got := r.Header["X-User"]; len(got) != 1 || !strings.HasPrefix(r.URI, "/"+got[0]+"/") {
				t.Errorf("%s came as %q", r.URI, got)
			}
		}
	})
}
