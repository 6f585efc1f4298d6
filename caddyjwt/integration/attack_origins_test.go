package integration

import (
	"net/http"
	"strings"
	"testing"
)

// lookalikes are origins that only look like the friend's. Whoever compares beginnings, ends, or letters in any case
// takes one of them for it.
func lookalikes() map[string]string {
	return map[string]string{
		"another site": stranger, "null": "null", "Null": "Null", "a star": "*", "nothing": "", "a blank": " ",
		"a longer domain":    friend + ".evil.example",
		"the name before it": "https://evilapp.example.com",
		"a subdomain":        "https://x.app.example.com", "the parent": "https://example.com",
		"no scheme": "app.example.com",
		"http":      "http://app.example.com", "another scheme": "ftp://app.example.com",
		"capitals":               "https://APP.example.com",
		"capitals in the scheme": "HTTPS://app.example.com", "the port": friend + ":443", "another port": friend + ":8443",
		"a slash": friend + "/", "a path": friend + "/x", "a query": friend + "?x", "a fragment": friend + "#x",
		"a dot": friend + ".", "a user": "https://app.example.com@evil.example",
		"as a user":     "https://evil.example@app.example.com",
		"as a fragment": stranger + "#" + friend, "as a path": stranger + "/" + friend, "as a query": stranger + "?" + friend,
		"a list": friend + ", " + stranger, "a list in blanks": friend + " " + stranger, "reversed": stranger + " " + friend,
		"another letter": "https://аpp.example.com", "another letter, encoded": "https://xn--pp-6kc.example.com",
		"an escape": "https://app%2eexample.com", "an underscore": "https://app_example.com",
		"a tab":       friend + "\t" + stranger,
		"a backslash": friend + "\\", "a quote": friend + "\"", "a NUL in an escape": friend + "%00",
		"a backtick": friend + "`.evil.example",
		"a wide dot": "https://app。example.com", "an address": "https://127.0.0.1",
		"very long": "https://" + strings.Repeat("a", 4000),
	}
}

// A page of another origin asks for an answer that it may read. A gateway sends back whatever Origin says, as rs/cors
// once did for a list with "*" (CVE-2018-20744). Here no answer names another origin, nor every origin, whatever the
// backend says.
func TestAttackOriginIsReflected(t *testing.T) {
	for _, word := range []string{"", "credentials"} {
		s := start(t, gateFor(consumerAlice(t), corsBlock(word, "max_age 1h"), "public /open"))
		s.upstream.answer = allowsEverybody
		token := hmacKey(t).Sign(t, claims())
		for name, origin := range lookalikes() {
			for what, text := range map[string]string{
				"a preflight": "OPTIONS / HTTP/1.1\r\nAccess-Control-Request-Method: GET\r\n",
				"a preflight for all": "OPTIONS / HTTP/1.1\r\nAccess-Control-Request-Method: DELETE\r\n" +
					"Access-Control-Request-Headers: authorization\r\n",
				"a refusal":       "GET / HTTP/1.1\r\n",
				"an answer":       "GET / HTTP/1.1\r\nAuthorization: Bearer " + token + "\r\n",
				"a public answer": "POST /open HTTP/1.1\r\nContent-Length: 0\r\n",
			} {
				s.attack(t, word+" "+name+", "+what, func(t *testing.T, a *attempt) {
					a.secret(token)
					got := a.raw(text + "Host: gate.test\r\nOrigin: " + origin + "\r\n\r\n")
					if strings.HasPrefix(what, "a preflight") {
						if got.StatusCode < 400 {
							t.Errorf("status %d", got.StatusCode)
						}
						a.nothingForwarded()
					}
					a.readable(got, origin, false)
				})
			}
		}
		s.attack(t, word+" control: the friend", func(t *testing.T, a *attempt) {
			a.readable(a.get("/", token, "Origin", friend), friend, true)
		})
	}
}

// With cors, the gate answers preflights without a token. Whatever else is in such a request makes it an ordinary one,
// and nothing of it reaches the backend.
func TestAttackOriginPreflightWithMore(t *testing.T) {
	token := hmacKey(t).Sign(t, claims())
	genuine := "Host: gate.test\r\nOrigin: " + friend + "\r\nAccess-Control-Request-Method: GET\r\n"
	for _, line := range []string{"", "optional expired", "forward_token"} {
		s := start(t, gateFor(consumerAlice(t), corsBlock("credentials"), line, "token_from header Authorization",
			"token_from header X-Token", "token_from cookie t", "token_from query jwt"))
		for name, text := range map[string]string{
			"nothing more":       "OPTIONS / HTTP/1.1\r\n" + genuine + "\r\n",
			"a bad token":        "OPTIONS / HTTP/1.1\r\n" + genuine + "Authorization: Bearer bad\r\n\r\n",
			"a bad cookie":       "OPTIONS / HTTP/1.1\r\n" + genuine + "Cookie: t=bad\r\n\r\n",
			"another place":      "OPTIONS / HTTP/1.1\r\n" + genuine + "X-Token: bad\r\n\r\n",
			"a token in the URL": "OPTIONS /?jwt=" + token + " HTTP/1.1\r\n" + genuine + "\r\n",
			"a body":             "OPTIONS / HTTP/1.1\r\n" + genuine + "Content-Length: 4\r\n\r\nbody",
			"a chunked body": "OPTIONS / HTTP/1.1\r\n" + genuine +
				"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
			"a WebSocket":         "OPTIONS / HTTP/1.1\r\n" + genuine + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
			"HTTP/2":              "OPTIONS / HTTP/1.1\r\n" + genuine + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
			"an expectation":      "OPTIONS / HTTP/1.1\r\n" + genuine + "Expect: 100-continue\r\n\r\n",
			"two origins":         "OPTIONS / HTTP/1.1\r\n" + genuine + "Origin: " + stranger + "\r\n\r\n",
			"two methods":         "OPTIONS / HTTP/1.1\r\n" + genuine + "Access-Control-Request-Method: PUT\r\n\r\n",
			"another method":      "GET / HTTP/1.1\r\n" + genuine + "\r\n",
			"a method in a field": "OPTIONS / HTTP/1.1\r\n" + genuine + "X-HTTP-Method-Override: DELETE\r\n\r\n",
			"an identity":         "OPTIONS / HTTP/1.1\r\n" + genuine + "X-Consumer-Username: admin\r\n\r\n",
			"small letters":       "options / HTTP/1.1\r\n" + genuine + "\r\n",
		} {
			s.attack(t, line+" "+name, func(t *testing.T, a *attempt) {
				a.secret(token)
				got := a.raw(text)
				for _, r := range a.upstream.take() {
					if line != "optional expired" || r.Header.Get("X-Consumer-Username") != "" || r.Header.Get("Cookie") != "" ||
						r.Header.Get("Authorization") != "" || r.Header.Get("Upgrade") == "h2c" {
						t.Errorf("reached the upstream: %v", r)
					}
				}
				if got.StatusCode < 400 && got.StatusCode != http.StatusNoContent && line != "optional expired" {
					t.Errorf("status %d", got.StatusCode)
				}
			})
		}
	}
}

// A shared cache gives one origin the answer that was meant for another, or one without Origin: the page is shut out,
// or let in. Every answer says that it varies by Origin, once.
func TestAttackOriginPoisonsACache(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), corsBlock(), "public /open"))
	for name, vary := range map[string][]string{
		"none": nil, "another": {"Accept-Encoding"}, "Origin": {"Origin"}, "in a list": {"Accept, ORIGIN"}, "every": {"*"},
		"a name like it": {"X-Origin, Origins"}, "twice": {"Origin", "Origin"},
	} {
		s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Vary"] = vary
			w.Header().Set("Cache-Control", "public, max-age=600")
			w.WriteHeader(http.StatusEarlyHints) // Caddy's proxy passes it on, and empties the header afterwards
			w.WriteHeader(http.StatusOK)
		}
		for _, origin := range []string{friend, stranger, ""} {
			s.attack(t, name+" from "+origin, func(t *testing.T, a *attempt) {
				r := a.request(http.MethodGet, "/open", nil)
				if origin != "" {
					r.Header.Set("Origin", origin)
				}
				got := a.do(r)
				n := 0
				for _, field := range got.Header["Vary"] {
					for part := range strings.SplitSeq(field, ",") {
						if part = strings.TrimSpace(part); part == "*" || strings.EqualFold(part, "Origin") {
							n++
						}
					}
				}
				if want := map[bool]int{true: 2, false: 1}[name == "twice"]; n != want {
					t.Errorf("Vary %q", got.Header["Vary"])
				}
				if allowed := got.Header.Get("Access-Control-Allow-Origin"); (allowed == friend) != (origin == friend) {
					t.Errorf("Access-Control-Allow-Origin %q", allowed)
				}
			})
		}
	}
}

// A page of another site makes the browser of a user send a form, and the browser adds the cookie with the token.
func TestAttackOriginForgedForms(t *testing.T) {
	token := hmacKey(t).Sign(t, claims())
	expired := hmacKey(t).Sign(t, claims("exp", 1764000000))
	for _, line := range []string{"", "optional", "optional expired", "forward_token", "error_format problem",
		corsBlock(), corsBlock("credentials"), "public /open", "token_from header Authorization"} {
		s := start(t, gateFor(consumerAlice(t), "token_from cookie t", line))
		for browser, fields := range map[string]string{
			"cross-site":            "Sec-Fetch-Site: cross-site\r\nOrigin: " + stranger + "\r\n",
			"a subdomain":           "Sec-Fetch-Site: same-site\r\nOrigin: http://x.gate.test\r\n",
			"without Origin":        "Sec-Fetch-Site: cross-site\r\n",
			"an old one":            "Origin: " + stranger + "\r\n",
			"an old one, sandboxed": "Origin: null\r\n",
			"a sandbox":             "Sec-Fetch-Site: cross-site\r\nOrigin: null\r\n",
			"another port":          "Origin: http://gate.test:8080\r\n",
			"a longer name":         "Origin: http://gate.test.evil.example\r\n",
			"a forwarded host": "Origin: " + stranger +
				"\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example\r\n",
			"two sites":       "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n",
			"a list of sites": "Sec-Fetch-Site: same-origin, cross-site\r\n",
			"two origins":     "Origin: http://gate.test\r\nOrigin: " + stranger + "\r\n",
			"fields that Connection names": "Connection: Sec-Fetch-Site, Origin\r\nSec-Fetch-Site: cross-site\r\nOrigin: " +
				stranger + "\r\n",
		} {
			for what, text := range map[string]string{
				"a form":             "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n",
				"a form with a file": "POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 3\r\n",
				"text":               "POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n",
				"no type":            "POST / HTTP/1.1\r\nContent-Length: 3\r\n",
				"JSON":               "PUT / HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 3\r\n",
				"DELETE":             "DELETE / HTTP/1.1\r\nContent-Length: 3\r\n",
				"an override":        "POST / HTTP/1.1\r\nX-HTTP-Method-Override: GET\r\nContent-Length: 3\r\n",
				"a WebSocket": "GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
					"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 3\r\n",
			} {
				s.attack(t, line+", "+browser+", "+what, func(t *testing.T, a *attempt) {
					a.secret(token)
					a.refusedFor(a.raw(text+"Host: gate.test\r\n"+fields+"Cookie: t="+token+"\r\n\r\na=b"), "cross_origin")
				})
			}
			s.attack(t, line+", "+browser+", an expired token", func(t *testing.T, a *attempt) {
				a.secret(expired)
				a.refusedFor(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\n"+fields+"Cookie: t="+expired+
					"\r\n\r\n"), "cross_origin")
			})
		}
		s.attack(t, line+", control: a form of the site", func(t *testing.T, a *attempt) {
			a.passed(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\nSec-Fetch-Site: same-origin\r\n" +
				"Origin: http://gate.test\r\nCookie: t=" + token + "\r\n\r\n"))
		})
		s.attack(t, line+", control: a form of the site, old browser", func(t *testing.T, a *attempt) {
			a.passed(a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\nOrigin: http://gate.test\r\n" +
				"Cookie: t=" + token + "\r\n\r\n"))
		})
		s.attack(t, line+", control: a link on another site", func(t *testing.T, a *attempt) {
			a.passed(a.raw("GET / HTTP/1.1\r\nHost: gate.test\r\nSec-Fetch-Site: cross-site\r\nCookie: t=" + token +
				"\r\n\r\n"))
		})
	}
	s := start(t, gateFor(consumerAlice(t), "token_from cookie t", corsBlock("credentials"), "public /open"))
	s.attack(t, "control: a page of a friend", func(t *testing.T, a *attempt) {
		got := a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\nSec-Fetch-Site: cross-site\r\nOrigin: " +
			friend + "\r\nCookie: t=" + token + "\r\n\r\n")
		a.passed(got)
		a.readable(got, friend, true)
	})
	s.attack(t, "a form to a public page", func(t *testing.T, a *attempt) {
		r := a.passed(a.raw("POST /open HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\n" +
			"Sec-Fetch-Site: cross-site\r\nCookie: t=" + token + "\r\n\r\n"))
		if r.Header.Get("Cookie") != "" || r.Header.Get("X-Consumer-Username") != "" {
			t.Errorf("the backend got %v", r.Header)
		}
	})
}
