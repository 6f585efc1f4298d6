package integration

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

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

// Answers that differ show an attacker which issuers, keys and users exist, and how far a forgery has come
// (CVE-2022-29266, CVE-2026-33758). All bad tokens get the same bytes. So do all bad requests.
func TestAttackAnswerSameForEveryBadToken(t *testing.T) {
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
func TestAttackAnswerRevealsNoInternals(t *testing.T) {
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

// A page of HTML with the attacker's text runs in the browser of everybody who follows a link: CVE-2023-52430,
// CVE-2024-21496. Answers never repeat text of the request, and never redirect (CVE-2024-21497).
func TestAttackAnswerHasNoHTML(t *testing.T) {
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
