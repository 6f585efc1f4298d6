package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

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

// A page was opened with a token in its URL. The browser sends that URL in Referer with whatever the page asks for next
// (RFC 6750 section 2.3). The backend gets the URL without the token.
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

// The access log has requests as they came, with tokens in queries and in headers that Caddy does not know (class of
// CVE-2026-33620 and CVE-2023-22469). The filters work that the documentation gives for this log and for the log of
// errors.
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

// Caddy keeps the original query beside the request. A placeholder or an error page copies the token from there into
// headers, redirects and logs: CVE-2023-1387, and RFC 6750 section 2.3 on why a URL should carry no token. The original
// target has no token either.
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

// The same where a handler before the gate passes on a copy of the request, while placeholders read the original. Error
// routes have the original again, and with it another gate that takes another token.
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
