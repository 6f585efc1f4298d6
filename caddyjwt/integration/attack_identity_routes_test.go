package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// An identity header comes after the body, as a trailer, which backends may merge into the headers: CVE-2026-88004. It
// does not reach the backend, announced or not, by HTTP/1.1 or HTTP/2. Other trailers do.
func TestAttackIdentityTrailer(t *testing.T) {
	for _, lines := range [][]string{nil, {"token_from header Authorization", "token_from form jwt"}} {
		s, issuer, key := identitySite(t, lines...)
		for name, test := range map[string]struct{ announced, trailer string }{
			"announced":                {"X-User", "X-User: admin\r\n"},
			"announced in lower case":  {"x-user, x-consumer-username", "x-user: admin\r\nx-consumer-username: admin\r\n"},
			"not announced":            {"", "X-User: admin\r\n"},
			"another one is announced": {"X-Sum", "X-Sum: 1\r\nX-User: admin\r\nX-Consumer-ID: 1\r\n"},
			"with underscores":         {"X_User", "X_User: admin\r\n"},
			"with dots":                {"X.User", "X.User: admin\r\n"},
			"all":                      {strings.Join(managed, ", "), strings.Join(managed, ": admin\r\n") + ": admin\r\n"},
		} {
			for _, contentType := range []string{"text/plain", formType} {
				s.attack(t, fmt.Sprintf("%s, %s, places %d", name, contentType, len(lines)), func(t *testing.T, a *attempt) {
					token := key.Sign(t, issuedBy(issuer, "sub", "me"))
					a.secret(token)
					announce := ""
					if test.announced != "" {
						announce = "Trailer: " + test.announced + "\r\n"
					}
					answered := a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer " + token + "\r\nContent-Type: " +
						contentType + "\r\n" + announce +
						"Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n0\r\n" + test.trailer + "\r\n")
					if answered.StatusCode == http.StatusBadRequest { // a server may refuse what it takes for a bad trailer
						a.neverForwarded(answered)
						return
					}
					got := a.passed(answered)
					a.untouched(got, asMe)
					if got.Body != "a=1" {
						t.Errorf("body %q at the upstream", got.Body)
					}
				})
			}
		}
		s.attack(t, fmt.Sprintf("Authorization as a trailer, places %d", len(lines)), func(t *testing.T, a *attempt) {
			token := key.Sign(t, issuedBy(issuer, "sub", "me"))
			a.secret(token)
			a.neverForwarded(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nTrailer: Authorization\r\nTransfer-Encoding: " +
				"chunked\r\n\r\n1\r\na\r\n0\r\nAuthorization: Bearer " + token + "\r\n\r\n"))
			a.neverForwarded(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" +
				"Authorization: Bearer " + token + "\r\n\r\n"))
		})
		s.attack(t, fmt.Sprintf("over HTTP/2, places %d", len(lines)), func(t *testing.T, a *attempt) {
			token := key.Sign(t, issuedBy(issuer, "sub", "me"))
			a.secret(token)
			r := a.request("POST", "/", io.MultiReader(strings.NewReader("a=1")), "Authorization", "Bearer "+token,
				"Content-Type", formType)
			r.Trailer = http.Header{"X-User": {"admin"}, "X-Consumer-Id": {"1"}, "X_user": {"admin"}, "X-Sum": {"1"}}
			got := a.passed(a.overHTTP2().do(r))
			a.untouched(got, asMe)
			if got.Trailer.Get("X-Sum") != "1" {
				t.Errorf("trailers %v at the upstream, want the harmless one", got.Trailer)
			}
		})
	}
}

// The same with an error route behind a handler that passes on a copy of the request. When the copy is refused or its
// backend is down, the error route gets the original request.
func TestAttackIdentityTrailerOnErrorRoutesOfACopy(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	credential := "Authorization: Bearer " + hmacKey(t).Sign(t, claims()) + "\r\n"
	before := newUpstream(t)
	s := prepare(t)
	for name, first := range map[string]string{
		"nothing":      "",
		"tracing":      "tracing",
		"forward_auth": "forward_auth " + before.addr() + " {\nuri /check\n}",
	} {
		s.behind("route {\n"+first+"\nGATE\nreverse_proxy 127.0.0.1:1\n}\nhandle_errors {\nBACKEND\n}", consumerAlice(t),
			"forward_claims X-User sub")
		for _, announced := range []string{"", "Trailer: X-Sum\r\n", "Trailer: X-User\r\n",
			"Trailer: X-Sum, X-Consumer-Username\r\n"} {
			for who, field := range map[string]string{"a stranger": "", "alice": credential} {
				s.attack(t, name+", "+announced+", "+who, func(t *testing.T, a *attempt) {
					a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\n" + field + "Transfer-Encoding: chunked\r\n" + announced +
						"\r\n3\r\na=1\r\n0\r\nX-Sum: 1\r\nX-User: admin\r\nX_User: admin\r\nX-Consumer-Username: admin\r\n\r\n")
					requests := a.upstream.take()
					if len(requests) != 1 {
						t.Fatalf("%d requests reached the error route, want 1", len(requests))
					}
					for field := range requests[0].Trailer {
						if field != "X-Sum" {
							t.Errorf("trailer %s: %q", field, requests[0].Trailer[field])
						}
					}
				})
			}
		}
	}
}

// Routes that let requests pass without a token pass on the client's headers as if somebody had checked them:
// CVE-2026-30851 again. Optional, anonymous and preflight requests carry no identity but ours.
func TestAttackIdentityHeaderWhereNoTokenIsNeeded(t *testing.T) {
	var fields []string
	for _, name := range managed {
		for _, spelling := range spellings(name) {
			fields = append(fields, spelling, "admin")
		}
	}
	guest := "consumer guest {\n}"
	for name, test := range map[string]struct {
		line   string
		want   map[string]string
		method string
		header []string
	}{
		"optional":  {"optional", nil, "GET", nil},
		"anonymous": {guest + "\nanonymous guest", asGuest, "GET", nil},
		"preflight": {"allow_preflight", nil, "OPTIONS",
			[]string{"Origin", "https://evil.example", "Access-Control-Request-Method", "GET"}},
		"preflight before anonymous": {guest + "\nanonymous guest\nallow_preflight", nil, "OPTIONS",
			[]string{"Origin", "https://evil.example", "Access-Control-Request-Method", "GET"}},
		"another scheme": {"optional", nil, "GET", []string{"Authorization", "Basic eDp5"}},
	} {
		s, _, _ := identitySite(t, test.line)
		for _, connection := range []string{"", "X-Consumer-Username", "close, x-consumer-username, X-Anonymous-Consumer"} {
			s.attack(t, name+" with Connection "+connection, func(t *testing.T, a *attempt) {
				header := append(append([]string{}, fields...), test.header...)
				if connection != "" {
					header = append(header, "Connection", connection)
				}
				a.untouched(a.passed(a.do(a.request(test.method, "/", nil, header...))), test.want)
			})
		}
		s.attack(t, name+" with trailers", func(t *testing.T, a *attempt) {
			if test.method == "OPTIONS" {
				return
			}
			got := a.passed(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nTrailer: X-User, X-Consumer-Username\r\n" +
				"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-User: admin\r\nX-Consumer-Username: admin\r\n\r\n"))
			a.untouched(got, test.want)
		})
		s.attack(t, name+" over HTTP/2", func(t *testing.T, a *attempt) {
			other := a.overHTTP2()
			a.untouched(a.passed(other.do(other.request(test.method, "/", nil,
				append(append([]string{}, fields...), test.header...)...))), test.want)
		})
	}
}

// A bad token must not pass where no token would: an expired session would turn into a guest, or the gate into a way
// around itself.
func TestAttackIdentityBadTokenIsNotAnonymous(t *testing.T) {
	for _, line := range []string{"optional", "consumer guest {\n}\nanonymous guest"} {
		s, issuer, key := identitySite(t, line)
		token := key.Sign(t, issuedBy(issuer))
		for name, value := range map[string]string{"expired": key.Sign(t, issuedBy(issuer, "exp", 1)),
			"badly signed": tokentest.FlipSignature(t, token), "garbage": "garbage", "two": token + ", Bearer " + token,
			"dots": "..", "of nobody": key.Sign(t, issuedBy("x"))} {
			s.attack(t, name+" with "+line[:8], func(t *testing.T, a *attempt) {
				a.refusedFor(a.send(value), "expired", "invalid_signature", "malformed_token", "malformed_request",
					"unknown_issuer")
			})
		}
		s.attack(t, "empty with "+line[:8], func(t *testing.T, a *attempt) {
			a.refusedFor(a.get("/", "", "Authorization", "Bearer "), "malformed_request")
		})
	}
}

// The backend of an error route gets refused requests, with the client's token and with an identity that the client
// made up. Both are removed, and nothing from behind the gate is served in place of the refusal.
func TestAttackIdentityHeaderOnErrorRoutes(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	pages := newUpstream(t)
	gate := gateFor(issuerByJWKS(as), "forward_claims X-User sub", "forward_claims X-Roles roles",
		"token_from header Authorization", "token_from query jwt", "token_from cookie jwt", "token_from form jwt")
	s.loadFile(bothProtocols(strings.Replace(s.caddyfile(gate), "reverse_proxy "+s.upstream.addr(),
		"reverse_proxy "+s.upstream.addr()+"\nhandle_errors {\n reverse_proxy "+pages.addr()+"\n}", 1)))
	expired := key.Sign(t, issuedBy(as.URL, "exp", 1))
	var fields []string
	for _, name := range managed {
		for _, spelling := range spellings(name) {
			fields = append(fields, spelling, "admin")
		}
	}
	fields = append(fields, "Connection", "X-User")
	for name, send := range map[string]func(a *attempt) answer{
		"no token":      func(a *attempt) answer { return a.get("/x?a=1", "", fields...) },
		"in the header": func(a *attempt) answer { return a.get("/x?a=1", expired, fields...) },
		"in the query":  func(a *attempt) answer { return a.get("/x?a=1&jwt="+expired, "", fields...) },
		"in the cookie": func(a *attempt) answer { return a.get("/x?a=1", "", append(fields, "Cookie", "jwt="+expired)...) },
		"in the form":   func(a *attempt) answer { return a.form("/x?a=1", "jwt="+expired, fields...) },
		"in all of them": func(a *attempt) answer {
			return a.form("/x?a=1&jwt="+expired, "jwt="+expired,
				append(fields, "Authorization", "Bearer "+expired, "Cookie", "jwt="+expired)...)
		},
		"twice in a field": func(a *attempt) answer {
			return a.get("/x?a=1", "", append(fields, "Authorization", "Basic x, Bearer "+expired)...)
		},
		"opaque target": func(a *attempt) answer {
			return a.raw("GET http:jwt=" + expired + " HTTP/1.1\r\nHost: gate.test\r\nX-User: admin\r\nAuthorization: Bearer " +
				expired + "\r\n\r\n")
		},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			pages.take()
			got := send(a)
			if n := len(a.upstream.take()); n != 0 {
				t.Errorf("%d requests reached the upstream", n)
			}
			if got.StatusCode == http.StatusOK && got.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("no challenge in the answer")
			}
			for _, page := range pages.take() {
				a.untouched(page, nil)
				var all bytes.Buffer
				fmt.Fprint(&all, page.URI, page.Header, page.Trailer, page.Body)
				for _, piece := range pieces(expired) {
					if strings.Contains(all.String(), piece) && name != "in all of them" {
						t.Errorf("the token reached the error page's backend: %s", all.String())
					}
				}
			}
		})
	}
}

// The first backend is down, and the proxy sends the request to another one, which may belong to somebody else:
// CVE-2026-41181. The second request has no token either, and the same identity as the first.
func TestAttackIdentityRetriedWithAnotherBackend(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	gate := gateFor(issuerByJWKS(as), "forward_claims X-User sub", "forward_claims X-Roles roles",
		"token_from header Authorization", "token_from header X-Token", "token_from query jwt", "token_from cookie jwt",
		"token_from form jwt")
	dead := "unix/" + filepath.Join(t.TempDir(), "nobody")
	s.loadFile(strings.Replace(s.caddyfile(gate), "reverse_proxy "+s.upstream.addr(),
		"reverse_proxy "+dead+" "+s.upstream.addr()+" {\n lb_policy first\n lb_retries 3\n fail_duration 1ms\n}", 1))
	token := key.Sign(t, issuedBy(as.URL, "sub", "me"))
	for name, send := range map[string]func(a *attempt) answer{
		"header": func(a *attempt) answer { return a.get("/", token, claimedInEverySpelling()...) },
		"custom header": func(a *attempt) answer {
			return a.get("/", "", append(claimedInEverySpelling(), "X-Token", token)...)
		},
		"query": func(a *attempt) answer { return a.get("/?jwt="+token, "", claimedInEverySpelling()...) },
		"cookie": func(a *attempt) answer {
			return a.get("/", "", append(claimedInEverySpelling(), "Cookie", "jwt="+token)...)
		},
		"form": func(a *attempt) answer { return a.form("/", "jwt="+token, claimedInEverySpelling()...) },
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.passed(send(a))
			a.untouched(got, asMe)
			if text := fmt.Sprint(got); strings.Contains(text, pieces(token)[0]) {
				t.Errorf("the token reached the other backend: %s", text)
			}
		})
	}
}

// FastCGI hands headers over as variables in which hyphens are underscores, and the original URL as REQUEST_URI:
// CVE-2026-52845, and CVE-2016-5385 for Proxy. The script sees our identity alone, and no token.
func TestAttackIdentityBehindFastCGI(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	socket := filepath.Join(filepath.Dir(s.socket), "fcgi")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	var mu sync.Mutex
	var dump string
	go func() {
		_ = fcgi.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			dump = fmt.Sprint(r.RequestURI, r.URL, r.Header, fcgi.ProcessEnv(r))
			s.upstream.mu.Lock()
			s.upstream.requests = append(s.upstream.requests,
				seen{Method: r.Method, URI: r.URL.String(), Header: r.Header.Clone()})
			s.upstream.mu.Unlock()
		}))
	}()
	gate := gateFor(issuerByJWKS(as), consumerAlice(t), "forward_claims X-User sub", "forward_claims X-Roles roles",
		"token_from header Authorization", "token_from query jwt", "token_from cookie jwt")
	for name, backend := range map[string]string{
		"transport fastcgi": "reverse_proxy unix/" + socket + " {\n transport fastcgi {\n root /srv\n split .php\n }\n}",
		"php_fastcgi":       "root * /srv\nphp_fastcgi unix/" + socket + " {\n try_files {path} index.php\n}",
	} {
		s.loadFile(strings.Replace(s.caddyfile(gate), "reverse_proxy "+s.upstream.addr(), backend, 1))
		token := key.Sign(t, issuedBy(as.URL, "sub", "me"))
		for place, send := range map[string]func(a *attempt, fields []string) answer{
			"header": func(a *attempt, fields []string) answer { return a.get("/index.php?a=1", token, fields...) },
			"query":  func(a *attempt, fields []string) answer { return a.get("/index.php?jwt="+token+"&a=1", "", fields...) },
			"cookie": func(a *attempt, fields []string) answer {
				return a.get("/index.php?a=1", "", append(fields, "Cookie", "jwt="+token)...)
			},
		} {
			s.attack(t, name+", token in the "+place, func(t *testing.T, a *attempt) {
				if place != "query" {
					a.secret(token)
				}
				var fields []string
				for _, name := range managed {
					for _, spelling := range spellings(name) {
						fields = append(fields, spelling, "admin")
					}
				}
				got := a.passed(send(a, append(fields, "Proxy", "http://evil.example:8080", "proxy", "http://evil.example:8080")))
				a.untouched(got, asMe)
				mu.Lock()
				defer mu.Unlock()
				if strings.Contains(dump, "evil.example") {
					t.Errorf("the client has set HTTP_PROXY: %s", dump)
				}
				for _, piece := range pieces(token) {
					if strings.Contains(dump, piece) {
						t.Errorf("the token reached the script: %s", dump)
					}
				}
			})
		}
	}
}
