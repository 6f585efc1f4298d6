package integration

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Text of the attacker's gets into the challenge, where a quote or a line end begins another parameter or header: RFC
// 6750 section 3. Nothing from the token, the target or the Host is in an answer.
func TestAttackAnswerInjection(t *testing.T) {
	s, issuer, key := claimSite(t, "require scope read")
	const mark = `MARK", realm="evil`
	for name, token := range map[string]string{
		"alg":      key.SignRaw(`{"alg":"MARK\", realm=\"evil","kid":"e1"}`, `{}`),
		"kid":      key.Sign(t, issuedBy(issuer), map[string]any{"kid": mark}),
		"typ":      key.Sign(t, issuedBy(issuer), map[string]any{"typ": mark}),
		"iss":      key.Sign(t, issuedBy(mark)),
		"aud":      key.Sign(t, issuedBy(issuer, "aud", mark)),
		"scope":    key.Sign(t, issuedBy(issuer, "scope", mark)),
		"a claim":  key.Sign(t, issuedBy(issuer, mark, 1, "exp", "MARK\r\nX: y")),
		"letters":  key.Sign(t, issuedBy("MARK\u00e9\u7bb1")),
		"escapes":  key.Sign(t, issuedBy(`MARK\", error="none`)),
		"line end": key.Sign(t, issuedBy("MARK\r\nX-Evil: 1")),
		"crit":     key.Sign(t, issuedBy(issuer), map[string]any{"crit": []string{mark}}),
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.send(token)
			a.refusedFor(got, "unsupported_algorithm", "unknown_key", "invalid_type", "unknown_issuer", "invalid_audience",
				"insufficient_scope", "malformed_token")
			if text := fmt.Sprint(got.Header, got.body); strings.Contains(text, "MARK") || strings.Contains(text, "evil") {
				t.Errorf("the attacker's text is in the answer: %s", text)
			}
		})
	}
	for name, request := range map[string]string{
		"Host":         "GET / HTTP/1.1\r\nHost: gate.test:MARK\r\n\r\n",
		"path":         "GET /MARK\" HTTP/1.1\r\nHost: gate.test\r\n\r\n",
		"absolute URL": "GET http://gate.test/MARK%22%0d%0aX HTTP/1.1\r\nHost: MARK\r\n\r\n",
		"forwarded":    "GET / HTTP/1.1\r\nHost: gate.test\r\nX-Forwarded-Host: MARK\r\nX-Forwarded-Proto: MARK\r\n\r\n",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.raw(request)
			if text := fmt.Sprint(got.Header, got.body); strings.Contains(text, "MARK") {
				t.Errorf("the attacker's text is in the answer: %s", text)
			}
			if n := len(a.upstream.take()); n != 0 {
				t.Errorf("%d requests reached the upstream", n)
			}
		})
	}
}

// Answers that differ tell an attacker which issuers, keys and users exist, and how far a forgery has come
// (CVE-2022-29266 and CVE-2026-33758 told even more). All bad tokens get the same bytes, and so do all bad requests.
func TestAttackAnswerIsNoOracle(t *testing.T) {
	s, issuer, key := claimSite(t, consumerAlice(t), "require scope read", "require claim role admin")
	token := key.Sign(t, issuedBy(issuer, "scope", "read"))
	classes := map[int]map[string]string{
		401: {
			"unknown issuer": key.Sign(t, issuedBy("https://x")), "unknown key": key.WithKID("x").Sign(t, issuedBy(issuer)),
			"bad signature": tokentest.FlipSignature(t, token),
			"expired":       key.Sign(t, issuedBy(issuer, "exp", 1)),
			"not yet valid": key.Sign(t, issuedBy(issuer, "nbf", time.Now().Unix()+900)),
			"audience":      key.Sign(t, issuedBy(issuer, "aud", "x")),
			"none":          forged(`{"alg":"none"}`, `{}`, []byte("x")),
			"type":          key.Sign(t, issuedBy(issuer), map[string]any{"typ": "dpop+jwt"}), "garbage": "garbage",
			"dots":                     "...",
			"bound":                    key.Sign(t, issuedBy(issuer, "cnf", map[string]any{})),
			"consumer's bad signature": tokentest.FlipSignature(t, hmacKey(t).Sign(t, claims())),
			"consumer's algorithm":     hmacKey(t).WithAlg("HS512").Sign(t, claims()),
			"unknown consumer":         hmacKey(t).Sign(t, claims("iss", "bob-key")),
			"no exp":                   key.Sign(t, issuedBy(issuer, "exp", nil)), "bad JSON": key.SignRaw(`{`, `{`),
		},
		403: {"scope": key.Sign(t, issuedBy(issuer, "role", "admin")), "claim": token, "both": key.Sign(t, issuedBy(issuer)),
			"consumer": hmacKey(t).Sign(t, claims())},
		400: {"two": token + ", Bearer " + token, "space": "a b", "too long": strings.Repeat("a", 16500), "alphabet": "a!b"},
	}
	for status, tokens := range classes {
		answers := make(map[string][]string)
		for name, token := range tokens {
			s.attack(t, fmt.Sprintf("%d: %s", status, name), func(t *testing.T, a *attempt) {
				got := a.send(token)
				if got.StatusCode != status {
					t.Errorf("status %d, want %d", got.StatusCode, status)
				}
				a.nothingForwarded()
				got.Header.Del("Date")
				text := fmt.Sprint(got.Header, got.body)
				answers[text] = append(answers[text], name)
			})
		}
		if len(answers) != 1 {
			t.Errorf("%d: answers differ: %q", status, answers)
		}
	}
}

// An answer repeats what went wrong inside, with addresses, paths and the text that an authorization server gave:
// CVE-2022-29266, CVE-2026-33758. A client learns that it should try again, and nothing else.
func TestAttackAnswerTellsNothingOfTheInside(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	for name, spoil := range map[string]func(as *tokentest.AS){
		"server that is down": func(as *tokentest.AS) { as.Down() },
		"server with a page": func(as *tokentest.AS) {
			as.AnswerJWKS(500, "<html>MARK internal-host.corp /var/lib/MARK</html>")
		},
		"server with bad keys": func(as *tokentest.AS) { as.AnswerJWKS(200, `{"keys":[{"kty":"MARK"}]}`) },
		"server that sends on": func(as *tokentest.AS) {
			as.AnswerJWKS(302, "MARK", "Location", "https://internal-host.corp/MARK")
		},
		"server with another URL": func(as *tokentest.AS) {
			as.AnswerJWKS(401, "MARK", "WWW-Authenticate", `Basic realm="MARK"`)
		},
	} {
		as := tokentest.NewAS(t, tokentest.WithKeys(key), tokentest.WithClient("gateway", "MARK-client-secret"))
		s := start(t,
			gateFor(issuerByJWKS(as,
				"introspect opaque {\n endpoint "+as.IntrospectionURL()+
					"\n client_id gateway\n client_secret MARK-client-secret\n}")))
		spoil(as)
		for kind, token := range map[string]string{"JWT": key.Sign(t, issuedBy(as.URL)),
			"opaque token": "opaque-" + strings.Repeat("0", 40)} {
			s.attack(t, kind+", "+name, func(t *testing.T, a *attempt) {
				got := a.send(token)
				a.nothingForwarded()
				if kind == "JWT" && got.StatusCode != http.StatusServiceUnavailable || got.StatusCode == http.StatusOK {
					t.Errorf("status %d", got.StatusCode)
				}
				all := fmt.Sprint(got.Header, got.body)
				for _, inner := range []string{"MARK", "internal-host", as.URL, strings.TrimPrefix(as.URL, "http://"), s.socket,
					"gateway", "jwks", "127.0.0.1", "dial", ".go"} {
					if strings.Contains(all, inner) {
						t.Errorf("%q is in the answer: %s", inner, all)
					}
				}
				a.revealsNothing(got)
			})
		}
	}
}

func (a *attempt) nothingForwarded() {
	a.t.Helper()
	if n := len(a.upstream.take()); n != 0 {
		a.t.Errorf("%d requests reached the upstream", n)
	}
}

// A page of HTML with the attacker's text in it runs in the browser of whoever follows a link: CVE-2023-52430,
// CVE-2024-21496. Answers have no text of the request's, whatever is asked for, and redirect nobody (CVE-2024-21497).
func TestAttackAnswerIsNoHTML(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from header Authorization", "token_from query jwt"))
	for name, path := range map[string]string{"query": "/?jwt=" + url.QueryEscape("<script>alert(1)</script>"),
		"path": "/%3Cscript%3E", "redirect": "/?redirect=//evil", "return": "/?next=%2F%5Cevil&rd=https://evil"} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.get(path, "", "Accept", "text/html", "Origin", "https://evil.example", "Referer",
				"https://evil.example/<script>")
			a.refusedFor(got, "malformed_request", "missing_token")
			if got.Header.Get("Location") != "" || got.Header.Get("Set-Cookie") != "" || got.Header.Get("Refresh") != "" ||
				got.body != "" {
				t.Errorf("answer %v %q", got.Header, got.body)
			}
		})
	}
}

// Tokens in log files are as good as tokens in the open: CVE-2026-33620, CVE-2026-44883, CVE-2026-40945. At debug
// level, for a token in each place, good or bad, none of our lines nor of the proxy's has a part of it.
func TestAttackAnswerTokenInTheLog(t *testing.T) {
	places := "token_from header Authorization\ntoken_from header X-Token\ntoken_from query jwt\ntoken_from cookie jwt\n" +
		"token_from form jwt"
	s, issuer, key := claimSite(t, places, consumerAlice(t))
	tokens := map[string]string{
		"good": key.Sign(t, issuedBy(issuer)), "expired": key.Sign(t, issuedBy(issuer, "exp", 1)),
		"badly signed": tokentest.FlipSignature(t, key.Sign(t, issuedBy(issuer))),
		"of nobody":    key.Sign(t, issuedBy("https://x")), "opaque": strings.Repeat("opaque0", 20),
		"a consumer's":      hmacKey(t).Sign(t, claims()),
		"an algorithm":      strings.Repeat("A", 60) + "." + strings.Repeat("B", 60) + "." + strings.Repeat("C", 60),
		"with a secret kid": key.Sign(t, issuedBy(issuer), map[string]any{"kid": strings.Repeat("k", 500)}),
	}
	for kind, token := range tokens {
		for place, send := range map[string]func(a *attempt) answer{
			"header":        func(a *attempt) answer { return a.get("/", token) },
			"custom header": func(a *attempt) answer { return a.get("/", "", "X-Token", token) },
			"query":         func(a *attempt) answer { return a.get("/?jwt="+token, "") },
			"cookie":        func(a *attempt) answer { return a.get("/", "", "Cookie", "jwt="+token) },
			"form":          func(a *attempt) answer { return a.form("/", "jwt="+token) },
			"two places":    func(a *attempt) answer { return a.get("/?jwt="+token, token) },
		} {
			s.attack(t, kind+" in "+place, func(t *testing.T, a *attempt) {
				a.secret(token)
				got := send(a)
				a.revealsNothing(got)
				for _, r := range a.upstream.take() {
					if text := fmt.Sprint(r); strings.Contains(text, pieces(token)[0]) {
						t.Errorf("the token reached the upstream: %s", text)
					}
				}
				if place == "header" || place == "cookie" || place == "form" { // Caddy keeps these out of its own lines
					for line := range strings.Lines(a.since()) {
						for _, piece := range pieces(token) {
							if strings.Contains(line, piece) {
								t.Errorf("a part of the token is in the log: %s", line)
							}
						}
					}
				}
			})
		}
	}
}

// A page was opened with a token in its URL, and the browser tells that URL to whatever the page asks for next, in
// Referer: RFC 6750 section 2.3. The backend gets the URL without the token.
func TestAttackAnswerTokenInTheReferer(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from header Authorization", "token_from query jwt"))
	token := hmacKey(t).Sign(t, claims())
	for referer, want := range map[string]string{
		"http://gate.test/page?jwt=" + token:                "http://gate.test/page",
		"http://gate.test/page?a=1&jwt=" + token + "&b=2":   "http://gate.test/page?a=1&b=2",
		"http://gate.test/page?a=1&%6Awt=" + token + "#top": "http://gate.test/page?a=1",
		"/page?jwt=" + token + "&jwt=" + token:              "/page",
		"http://gate.test/page?a=%zz&b":                     "http://gate.test/page?a=%zz&b",
		"http://gate.test/page":                             "http://gate.test/page",
	} {
		s.attack(t, want, func(t *testing.T, a *attempt) {
			got := a.passed(a.send(token, "Referer", referer))
			if values := got.Header["Referer"]; len(values) != 1 || values[0] != want {
				t.Errorf("Referer %q at the upstream, want %q", values, want)
			}
		})
	}
}

// The access log has requests as they came, tokens in queries and in headers that Caddy does not know included (class
// of CVE-2026-33620 and CVE-2023-22469). The filters that the documentation gives for it, and for the log of errors,
// work.
func TestAttackAnswerTokenInTheAccessLog(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "\tlog {\n\t\tformat filter {\n")
	filter, _, _ := strings.Cut(after, "\n\t}\n}\n")
	if !found || filter == "" {
		t.Fatal("the documentation has no filter any more")
	}
	filter = "format filter {\n" + filter
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key), tokentest.StartDown())
	s := prepare(t)
	config := s.caddyfile(gateFor(issuerByJWKS(as), consumerAlice(t), "token_from header Authorization",
		"token_from header X-Access-Token", "token_from query access_token", "token_from cookie jwt"))
	config = strings.Replace(config, "\tlevel DEBUG", "\tlevel DEBUG\n"+filter, 1)
	config = strings.Replace(config, "\n\tlog\n", "\n\tlog {\n output file "+s.logFile+"\n"+filter+"\n\t}\n", 1)
	s.loadFile(config)
	for name, token := range map[string]string{
		"good": hmacKey(t).Sign(t, claims()), "badly signed": tokentest.FlipSignature(t, hmacKey(t).Sign(t, claims())),
		"of a server that is down": key.Sign(t, issuedBy(as.URL)),
	} {
		for place, send := range map[string]func(a *attempt) answer{
			"header":         func(a *attempt) answer { return a.get("/", token) },
			"another header": func(a *attempt) answer { return a.get("/", "", "X-Access-Token", token) },
			"another spelling": func(a *attempt) answer {
				return a.get("/?access.token="+token+"&Access_Token="+token, "", "X_Access_Token", token, "x.access.token", token)
			},
			"query":      func(a *attempt) answer { return a.get("/?a=1&access_token="+token, "") },
			"cookie":     func(a *attempt) answer { return a.get("/", "", "Cookie", "jwt="+token) },
			"referer":    func(a *attempt) answer { return a.get("/", "", "Referer", "http://gate.test/?access_token="+token) },
			"two places": func(a *attempt) answer { return a.get("/?access_token="+token, "", "X-Access-Token", token) },
		} {
			s.attack(t, name+" in "+place, func(t *testing.T, a *attempt) {
				_ = send(a)
				var text string
				eventually(t, "the access log has the request", func() bool {
					text = a.since()
					return strings.Contains(text, `"logger":"http.log.access`)
				})
				for _, piece := range pieces(token) {
					if strings.Contains(text, piece) {
						t.Errorf("a part of the token is in the log: %s", text)
					}
				}
			})
		}
	}
}

// The query as the client sent it is kept beside the request, and a placeholder or an error page copies the token from
// there into headers, redirects and logs: CVE-2023-1387, and RFC 6750 section 2.3 on why URLs are no place for tokens.
// The original target has no token either.
func TestAttackAnswerTokenInTheOriginalTarget(t *testing.T) {
	s := prepare(t)
	gate := gateFor(consumerAlice(t), "token_from header Authorization", "token_from query jwt")
	s.loadFile(strings.Replace(s.caddyfile(gate), "reverse_proxy "+s.upstream.addr(),
		"uri strip_prefix /old\nheader >X-Back \"{http.request.orig_uri} {http.request.orig_uri.query}\"\nreverse_proxy "+
			s.upstream.addr()+
			" {\n header_up X-Original-URI {http.request.orig_uri}\n}\nhandle_errors {\n redir * "+
			"/login?next={http.request.orig_uri}\n}", 1))
	token := hmacKey(t).Sign(t, claims())
	s.attack(t, "accepted", func(t *testing.T, a *attempt) {
		got := a.get("/old/x?a=1&jwt="+token+"&b=2", "")
		if back := got.Header.Get("X-Back"); back != "/old/x?a=1&b=2 a=1&b=2" {
			t.Errorf("X-Back %q", back)
		}
		if original := a.passed(got).Header.Get("X-Original-Uri"); original != "/old/x?a=1&b=2" {
			t.Errorf("X-Original-URI %q at the upstream", original)
		}
	})
	for name, bad := range map[string]string{"refused": tokentest.FlipSignature(t, token),
		"refused for two": token + "&jwt=" + token} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			got := a.get("/old/x?jwt="+bad, "") // no a.secret: what rewrites before the gate logs what it gets
			if location := got.Header.Get("Location"); location != "/login?next=/old/x" {
				t.Errorf("Location %q", location)
			}
			a.nothingForwarded()
		})
	}
}

// A handler before the gate passes on a copy of the request, while placeholders are asked of the request itself: the
// same as above. Error routes have the request itself again, and with it another gate that takes another token.
func TestAttackAnswerTokenInTheOriginalTargetOfACopy(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	token := hmacKey(t).Sign(t, claims())
	bad := tokentest.FlipSignature(t, token)
	other := newUpstream(t)
	page := "handle_errors {\nroute {\n" + gateFor(consumerAlice(t), "token_from query other", "optional") +
		"\nredir * /login?next={http.request.orig_uri}\n}\n}"
	s := prepare(t)
	for name, before := range map[string]string{
		"tracing":           "tracing",
		"timeouts":          "timeouts {\nwrite_timeout 1m\n}",
		"tracing, timeouts": "tracing\ntimeouts {\nwrite_timeout 1m\n}",
		"forward_auth":      "forward_auth " + other.addr() + " {\nuri /check\n}",
		"handle_response": "reverse_proxy " + other.addr() +
			" {\n@ok status 200\nhandle_response @ok {\nvars seen yes\n}\n}",
	} {
		s.behind("route {\n"+before+"\nGATE\nBACKEND {\nheader_up X-Original-URI {http.request.orig_uri}\n}\n}\n"+page,
			consumerAlice(t), "token_from query jwt")
		s.attack(t, "accepted behind "+name, func(t *testing.T, a *attempt) {
			if original := a.passed(a.get("/x?a=1&jwt="+token, "")).Header.Get("X-Original-Uri"); original != "/x?a=1" {
				t.Errorf("X-Original-URI %q at the upstream", original)
			}
		})
		for target, query := range map[string]string{
			"the token alone": "jwt=" + bad + "&a=1", "another gate's, too": "a=1&jwt=" + bad + "&other=" + token,
		} {
			s.attack(t, "refused behind "+name+", "+target, func(t *testing.T, a *attempt) {
				if location := a.get("/x?"+query, "").Header.Get("Location"); location != "/login?next=/x?a=1" {
					t.Errorf("Location %q", location)
				}
				a.nothingForwarded()
			})
		}
	}
}

// A shared cache keeps the answer to a request whose token was not in Authorization, and hands it to everybody: RFC
// 6750 section 2.3, RFC 9111 section 3.5. Such answers are private, and refusals are not stored at all.
func TestAttackAnswerInASharedCache(t *testing.T) {
	s := start(t,
		gateFor(consumerAlice(t), "token_from header Authorization", "token_from header X-Token", "token_from query jwt",
			"token_from cookie jwt", "token_from form jwt"))
	token := hmacKey(t).Sign(t, claims())
	for _, upstream := range []string{"", "public, max-age=3600", "s-maxage=60", "PUBLIC",
		"max-age=60, Public , s-maxage=1", "no-store"} {
		s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
			if upstream != "" {
				w.Header().Set("Cache-Control", upstream)
			}
			_, _ = w.Write([]byte("ok"))
		}
		for place, send := range map[string]func(a *attempt) answer{
			"query":         func(a *attempt) answer { return a.get("/?jwt="+token, "") },
			"cookie":        func(a *attempt) answer { return a.get("/", "", "Cookie", "jwt="+token) },
			"custom header": func(a *attempt) answer { return a.get("/", "", "X-Token", token) },
			"form":          func(a *attempt) answer { return a.form("/", "jwt="+token) },
		} {
			s.attack(t, place+" with "+upstream, func(t *testing.T, a *attempt) {
				got := send(a)
				a.passed(got)
				directives := strings.ToLower(strings.Join(got.Header["Cache-Control"], ","))
				if !strings.Contains(directives, "private") && !strings.Contains(directives, "no-store") ||
					strings.Contains(directives, "public") || strings.Contains(directives, "s-maxage") {
					t.Errorf("Cache-Control %q", directives)
				}
			})
		}
	}
}

// Some shared caches go by a field of their own, and look at Cache-Control only where it is missing: RFC 9213 section
// 2.2. Whoever sets it, backend or site, it does not undo what the gate says: another user would get the answer to a
// token in a cookie, and one request without a token would have everybody refused.
func TestAttackAnswerInACacheWithAFieldOfItsOwn(t *testing.T) {
	s := prepare(t)
	fields := []string{"CDN-Cache-Control", "Example-Cache-Control", "Surrogate-Control"}
	s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
		for _, field := range fields {
			w.Header().Set(field, "max-age=600")
		}
	}
	site := ""
	for _, field := range fields {
		site += "header " + field + " max-age=600\n"
	}
	s.behind(site+"GATE\nBACKEND", consumerAlice(t), "token_from header Authorization", "token_from cookie jwt")
	token := hmacKey(t).Sign(t, claims())
	clean := func(t *testing.T, got answer) {
		for _, field := range fields {
			if values := got.Header[http.CanonicalHeaderKey(field)]; len(values) > 0 {
				t.Errorf("%s %q", field, values)
			}
		}
	}
	s.attack(t, "accepted", func(t *testing.T, a *attempt) {
		got := a.get("/", "", "Cookie", "jwt="+token)
		a.passed(got)
		clean(t, got)
		if got.Header.Get("Cache-Control") != "private" {
			t.Errorf("Cache-Control %q", got.Header["Cache-Control"])
		}
	})
	s.attack(t, "refused", func(t *testing.T, a *attempt) {
		got := a.get("/", "")
		a.refusedFor(got, "missing_token")
		clean(t, got)
	})
}

// Streams are opened and reset at once, so that the server works for nobody (CVE-2023-39325), or a header block is
// continued without end (CVE-2023-45288). Go bounds both; nothing reaches the backend, and others do not notice.
func TestAttackResourceFloodsOfFrames(t *testing.T) {
	long(t)
	s, issuer, key := identitySite(t)
	good := key.Sign(t, issuedBy(issuer, "sub", "me"))
	fields := hpacked([][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "gate.test"},
		{":path", "/flood"},
		{"authorization", "Bearer " + tokentest.FlipSignature(t, good)}})
	flood := func(t *testing.T, a *attempt, frames func(framer *http2.Framer) error) {
		t.Helper()
		conn, err := a.dial(t.Context(), "", "")
		if err != nil {
			a.unable("%v", err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(deadline())
		_, _ = io.WriteString(conn, http2.ClientPreface)
		go func() { _, _ = io.Copy(io.Discard, conn) }() // what the server answers must not stop it
		framer := http2.NewFramer(conn, nil)
		_ = framer.WriteSettings()
		if err := frames(framer); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			a.unable("the server neither took the frames nor ended the connection: %v", err)
		}
		a.untouched(a.passed(a.overHTTP2().send(good)), asMe)
	}
	before := s.goroutines()
	s.attack(t, "streams that are reset at once", func(t *testing.T, a *attempt) {
		flood(t, a, func(framer *http2.Framer) error {
			for id := uint32(1); id < 10_000; id += 2 {
				if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: fields, EndStream: true,
					EndHeaders: true}); err != nil {
					return err
				}
				if err := framer.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
					return err
				}
			}
			return nil
		})
	})
	s.attack(t, "a header block without end", func(t *testing.T, a *attempt) {
		flood(t, a, func(framer *http2.Framer) error {
			if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields,
				EndStream: true}); err != nil {
				return err
			}
			for i := range 20_000 {
				if err := framer.WriteContinuation(1, false,
					hpacked([][2]string{{"x-" + strconv.Itoa(i), strings.Repeat("x", 500)}})); err != nil {
					return err
				}
			}
			return nil
		})
	})
	s.goroutinesBackTo(before, 10)
}

// Things that a stranger can make long, many or slow: none may cost more than a request does. See also the tests of
// number of parts, of huge claims and of huge forms.
func TestAttackResourceOversizedTokens(t *testing.T) {
	s := start(t,
		gateFor(consumerAlice(t), "token_from header Authorization", "token_from query jwt", "token_from cookie jwt"))
	for _, kilobytes := range []int{8, 15, 17, 60, 900} {
		for name, token := range map[string]string{"letters": strings.Repeat("a", kilobytes<<10),
			"dots": strings.Repeat(".", kilobytes<<10), "header": b64("{"+strings.Repeat(`"a":`, kilobytes<<8)) + ".A.A",
			"brackets":  b64(strings.Repeat("[", kilobytes<<9)) + ".A.A",
			"signature": b64(`{"alg":"HS256"}`) + "." + b64(asJSON(t, claims())) + "." + strings.Repeat("A", kilobytes<<10)} {
			s.attack(t, fmt.Sprintf("%d KB of %s in the header", kilobytes, name), func(t *testing.T, a *attempt) {
				a.cheaply(func() {
					got := a.get("/", token)
					a.neverForwarded(got)
				})
			})
			s.attack(t, fmt.Sprintf("%d KB of %s in the query", kilobytes, name), func(t *testing.T, a *attempt) {
				a.cheaply(func() { a.neverForwarded(a.get("/?jwt="+token, "")) })
			})
		}
	}
}

// Tokens whose refusal costs the most, those with good form and random signatures of large keys, in a row. Each is
// refused, and the good one beside them is not.
func TestAttackResourceExpensiveSignatures(t *testing.T) {
	long(t)
	s, issuer, keys := signedSite(t)
	s.attack(t, "400 random signatures", func(t *testing.T, a *attempt) {
		var tokens []string
		for n := range 100 {
			for _, alg := range []string{"RS256", "PS256", "ES512", "EdDSA"} {
				tokens = append(tokens, tokentest.FlipSignature(t, keys[alg].Sign(t, issuedBy(issuer, "jti", n))))
			}
		}
		a.cheaply(func() {
			for _, token := range tokens {
				if got := a.get("/", token); got.StatusCode != http.StatusUnauthorized {
					t.Fatalf("status %d", got.StatusCode)
				}
			}
		})
		a.nothingForwarded()
		a.passed(a.send(keys["ES512"].Sign(t, issuedBy(issuer))))
	})
}

// A client announces a form and sends it a byte at a time, or not at all, and holds the request for ever. It is given
// up after ten seconds, and others do not wait for it.
func TestAttackResourceSlowForm(t *testing.T) {
	if testing.Short() {
		t.Skip("takes as long as the deadline")
	}
	s := start(t, gateFor(consumerAlice(t), "token_from form jwt", "token_from header Authorization"))
	token := hmacKey(t).Sign(t, claims())
	s.attack(t, "silent after the first bytes", func(t *testing.T, a *attempt) {
		a.secret(token)
		conn, err := a.dial(t.Context(), "", "")
		if err != nil {
			a.unable("%v", err)
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Type: " + formType +
			"\r\nContent-Length: 900000\r\n\r\njwt="))
		a.passed(a.send(token))
		_ = conn.SetDeadline(deadline())
		if _, err := conn.Read(make([]byte, 512)); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the form is not given up")
		}
		a.nothingForwarded()
	})
}

// A request is refused at once, but its announced body never comes, and the server holds the answer back until it has
// read it: each such request costs the attacker nothing and the gate a connection for ever. The answer must come soon.
func TestAttackResourceRefusedWithABodyThatNeverComes(t *testing.T) {
	long(t)
	s := start(t, gateFor(consumerAlice(t), "forward_claim role X-Role"))
	unsafe := hmacKey(t).Sign(t, claims("role", "a\nb")) // found out when the backend is to be told
	for name, fields := range map[string]string{"with a length": "Content-Length: 100\r\n",
		"chunked": "Transfer-Encoding: chunked\r\n"} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.refusedFor(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Type: text/plain\r\n"+fields+"\r\n"),
				"missing_token")
		})
		s.attack(t, name+", with a token", func(t *testing.T, a *attempt) {
			a.refusedFor(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Type: text/plain\r\nAuthorization: Bearer "+unsafe+
				"\r\n"+fields+"\r\n"), "unsafe_claim")
		})
	}
}
