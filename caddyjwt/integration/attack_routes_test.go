package integration

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The target is written in a form of which routing sees another path, or none, than the backend does: opaque, absolute
// with another scheme or with a user, without a slash (RFC 9112 section 3.2). With a good token it may be refused, and
// without one it never passes.
func TestAttackRouteTargetForms(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	token := hmacKey(t).Sign(t, claims())
	for _, target := range []string{"http:admin", "http:http://gate.test/admin", "http:/admin", "http:///admin",
		"http://user:pw@gate.test/admin", "ftp://gate.test/admin", "gopher://gate.test/",
		"mailto:admin", "javascript:alert(1)", "admin", "*", "//admin", "//gate.test/admin", "http://gate.test",
		"https://gate.test/admin", "http://other.test/admin", "file:///etc/passwd",
		"?admin", "#admin", "/\x00", "/%00", "/a b", "http://gate.test:80@evil/", "h2c://gate.test/", "../admin", ".",
		"http:"} {
		for _, method := range []string{"GET", "OPTIONS", "CONNECT", "POST"} {
			s.attack(t, fmt.Sprintf("%s %q without a token", method, target), func(t *testing.T, a *attempt) {
				got := a.raw(method + " " + target + " HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\n\r\n")
				if got.StatusCode >= 500 {
					t.Errorf("status %d", got.StatusCode)
				}
				if requests := a.upstream.take(); len(requests) != 0 {
					t.Errorf("reached the upstream: %v", requests)
				}
			})
		}
		s.attack(t, fmt.Sprintf("GET %q with a token", target), func(t *testing.T, a *attempt) {
			a.secret(token)
			got := a.raw("GET " + target + " HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer " + token + "\r\n\r\n")
			if got.StatusCode >= 500 {
				t.Errorf("status %d", got.StatusCode)
			}
			for _, r := range a.upstream.take() {
				if !strings.HasPrefix(r.URI, "/") || r.Header.Get("X-Consumer-Username") != "alice" {
					t.Errorf("reached the upstream as %q of %q", r.URI, r.Header.Get("X-Consumer-Username"))
				}
			}
		})
	}
}

// Only a part of the site is open, and paths are written so that the gate's route takes them for open ones and the
// backend for others: dot segments (CVE-2026-33494, CVE-2025-66490, CVE-2026-48020), slashes (CVE-2026-40912,
// CVE-2025-47952, CVE-2026-52844), parameters, fragments (CVE-2023-47106, CVE-2026-41059), queries (CVE-2025-54576).
func TestAttackRoutePathsAroundTheGate(t *testing.T) {
	s := start(t,
		"@guarded not path /public /public/*\n"+
			strings.Replace(gateFor(consumerAlice(t)), "bearer_auth", "bearer_auth @guarded", 1))
	s.attack(t, "control: the open part is open", func(t *testing.T, a *attempt) { a.passed(a.get("/public/x", "")) })
	for _, path := range []string{"/admin", "/public/../admin", "/public/%2e%2e/admin", "/public/%2E%2E/admin",
		"/public/.%2e/admin", "/public/..%2fadmin", "/public%2f..%2fadmin", "/public/%2e%2e%2fadmin",
		"/./admin", "//admin", "///admin", "/admin%2fx", "/%5cadmin", "/\\admin", "/admin;x=1", "/admin%00.png",
		"/admin/.;/x", "/public#/../admin", "/admin?x=/public/", "/admin?/public/x", "/admin#/public/",
		"/publicx", "/public./../admin", "/x/public/", "/%2fpublic/../admin", "/.//public/../../admin",
		"/admin/../public/../admin", "/ADMIN", "/public/../public/../admin", "/%61dmin", "/public/x/../../admin"} {
		for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS"} {
			s.attack(t, method+" "+path, func(t *testing.T, a *attempt) {
				got := a.raw(method + " " + path +
					" HTTP/1.1\r\nHost: gate.test\r\nX-Forwarded-Uri: /public/\r\nX-Original-URL: /public/\r\nContent-Length: 0\r\n" +
					"\r\n")
				a.neverForwarded(got)
			})
		}
	}
}

// An exception for a path is larger than it looks: Caddy's matcher for paths cleans and decodes what it compares, knows
// no case, and the backend gets the target as it came. The form that the threat model recommends opens only what is
// plainly under the path.
func TestAttackRoutePathsAroundAnException(t *testing.T) {
	s := start(t,
		exceptionOfTheThreatModel(t)+"\n"+
			strings.Replace(gateFor(consumerAlice(t)), "bearer_auth", "bearer_auth @guarded", 1))
	for _, path := range []string{"/public", "/public/", "/public/x", "/public/a-b_c/app.min.js",
		"/public/x?back=/../%2e%2e;y"} {
		s.attack(t, "control: "+path+" is open", func(t *testing.T, a *attempt) { a.passed(a.get(path, "")) })
	}
	for _, path := range []string{
		"/api/../public/x", "/api/%2e%2e/public/x", "/api/%2E%2e/public/x", "/api/..%2fpublic/x", "/api/..%5cpublic/x",
		"/api/..;/public/x",
		"/public/../orders", "/public/%2e%2e/orders", "/public/x/..", "/public/x/.", "/public/..", "/public/...",
		"/public/.hidden", "/public/x..y",
		"/PUBLIC/x", "/Public/x", "//public/x", "/public//x", "/public/x;y", "/public/x%00", "/public/x%0a", "/public/%78",
		"/public\\x", "/publicx",
		"/public.", "/public/x.", "/./public/x", "/public%2fx", "/public%3f/../orders", "/public#/../orders", "/orders",
		"/orders?/public/x", "/",
	} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			s.attack(t, method+" "+path, func(t *testing.T, a *attempt) {
				a.neverForwarded(a.raw(method + " " + path + " HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\n\r\n"))
			})
		}
	}
}

// exceptionOfTheThreatModel is the matcher as docs/threat-model.md writes it.
func exceptionOfTheThreatModel(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	matcher := regexp.MustCompile(`(?m)^\t@guarded .*$`).FindString(string(text))
	if matcher == "" {
		t.Fatal("docs/threat-model.md shows no exception for a path any more")
	}
	return strings.TrimSpace(matcher)
}

// The site is asked for by another spelling of its name, and the request falls through to a route without the gate:
// CVE-2026-27588, CVE-2022-23632.
func TestAttackRouteHostSpellings(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	for _, host := range []string{"gate.test", "GATE.TEST", "Gate.Test", "gate.test.", "gate.test:80", "gate.test:8080",
		"gate.test:", "xgate.test", "gate.test.evil", "", "gate.test@evil", "127.0.0.1", "[::1]", "gate.test,evil",
		"gate.test evil", "gate%2etest"} {
		s.attack(t, fmt.Sprintf("%q", host), func(t *testing.T, a *attempt) {
			got := a.raw("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
			if got.StatusCode >= 500 {
				t.Errorf("status %d", got.StatusCode)
			}
			if n := len(a.upstream.take()); n != 0 {
				t.Errorf("%d requests reached the upstream", n)
			}
		})
	}
	s.attack(t, "two Host fields", func(t *testing.T, a *attempt) {
		a.neverForwarded(a.raw("GET / HTTP/1.1\r\nHost: gate.test\r\nHost: other.test\r\n\r\n"))
	})
	s.attack(t, "HTTP/1.0 without Host", func(t *testing.T, a *attempt) {
		if _ = a.raw("GET / HTTP/1.0\r\n\r\n"); len(a.upstream.take()) != 0 {
			t.Error("reached the upstream")
		}
	})
}

// A matcher for more than a hundred hosts looks them up in another way than one for a few, and forgot that names have
// no case: CVE-2026-27588. What is guarded by such a matcher is guarded in every spelling, and in each it is the same
// site.
func TestAttackRouteHostAmongMany(t *testing.T) {
	var many strings.Builder
	for i := range 150 {
		fmt.Fprintf(&many, " host-%d.test", i)
	}
	s := prepare(t)
	gate := "@guarded host gate.test" + many.String() + "\n" +
		strings.Replace(gateFor(consumerAlice(t)), "bearer_auth", "bearer_auth @guarded", 1)
	s.loadFile(strings.Replace(s.caddyfile(gate), "http://gate.test {", "http:// {", 1))
	token := hmacKey(t).Sign(t, claims())
	s.attack(t, "control: another host is open", func(t *testing.T, a *attempt) {
		a.passed(a.raw("GET / HTTP/1.1\r\nHost: open.test\r\n\r\n"))
	})
	for _, host := range []string{"gate.test", "GATE.TEST", "Gate.tesT", "gate.test:80", "GATE.TEST:8080", "host-7.test",
		"HOST-149.test"} {
		s.attack(t, host+" without a token", func(t *testing.T, a *attempt) {
			a.refusedFor(a.raw("GET / HTTP/1.1\r\nHost: "+host+"\r\n\r\n"), "missing_token")
			a.neverForwarded(a.raw("GET http://" + host + "/ HTTP/1.1\r\nHost: open.test\r\n\r\n")) // RFC 9112 section 3.2.2
		})
		s.attack(t, host+" with a token", func(t *testing.T, a *attempt) {
			a.secret(token)
			a.untouched(a.passed(a.raw("GET / HTTP/1.1\r\nHost: "+host+"\r\nAuthorization: Bearer "+token+"\r\n\r\n")),
				asConsumer)
		})
	}
}

// asConsumer is what the backend is told about alice where no claim is forwarded.
var asConsumer = map[string]string{
	"X-Consumer-Id": "42", "X-Consumer-Custom-Id": "c-42", "X-Consumer-Username": "alice",
	"X-Consumer-Groups":       "staff,editors",
	"X-Credential-Identifier": "alice-key",
}

// The TLS handshake names an open site, and the request in it a guarded one: CVE-2018-21246, CVE-2026-50149,
// CVE-2026-32305. The gate stands where the request is routed, by Host, whatever the handshake said.
func TestAttackRouteServerNameOfAnotherSite(t *testing.T) {
	s := prepare(t)
	address := s.loadOnAPort(func(port string) string {
		return strings.Replace(s.caddyfile(gateFor(consumerAlice(t))), "auto_https off",
			"auto_https disable_redirects\n\tskip_install_trust", 1) +
			fmt.Sprintf("https://open.test:%[1]s {\n bind 127.0.0.1\n tls internal\n respond \"open\"\n}\n"+
				"https://gate.test:%[1]s {\n bind 127.0.0.1\n tls internal\n %[2]s\n reverse_proxy %[3]s\n}\n",
				port, gateFor(consumerAlice(t)), s.upstream.addr())
	})
	_, port, _ := net.SplitHostPort(address)
	roots := s.internalRoots()
	by := func(t *testing.T, a *attempt, name, host, protocol, authorization string) answer {
		t.Helper()
		transport := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: name}, ForceAttemptHTTP2: protocol == "h2",
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", address)
			},
		}
		defer transport.CloseIdleConnections()
		a = &attempt{site: a.in(t), tokens: a.tokens, began: a.began}
		a.client = &http.Client{Transport: transport, Timeout: 30 * time.Second}
		a.base = "https://" + net.JoinHostPort(host, port)
		return a.get("/", authorization)
	}
	token := hmacKey(t).Sign(t, claims())
	eventually(t, "both sites have certificates", func() bool {
		for _, name := range []string{"open.test", "gate.test"} {
			conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: name})
			if err != nil {
				return false
			}
			_ = conn.Close()
		}
		return true
	})
	for _, protocol := range []string{"http/1.1", "h2"} {
		s.attack(t, "control: the open site is open, "+protocol, func(t *testing.T, a *attempt) {
			if got := by(t, a, "open.test", "open.test", protocol, ""); got.body != "open" {
				t.Errorf("status %d, body %q", got.StatusCode, got.body)
			}
		})
		for _, name := range []string{"open.test", "gate.test"} {
			s.attack(t, "handshake with "+name+", no token, "+protocol, func(t *testing.T, a *attempt) {
				got := by(t, a, name, "gate.test", protocol, "")
				if got.StatusCode != http.StatusMisdirectedRequest {
					a.refusedFor(got, "missing_token")
				}
				a.nothingForwarded()
			})
			s.attack(t, "handshake with "+name+", a token, "+protocol, func(t *testing.T, a *attempt) {
				a.secret(token)
				got := by(t, a, name, "gate.test", protocol, token)
				if got.StatusCode != http.StatusMisdirectedRequest {
					a.untouched(a.passed(got), asConsumer)
				}
			})
		}
	}
}

// A method is treated as harmless, or unknown to a list: HEAD, TRACE, lower case, made-up ones. All are guarded alike.
func TestAttackRouteMethods(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "allow_preflight"))
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
		"PROPFIND", "FOO", "get", "options", "Options", "GET/", "PRI", "M-SEARCH", "QUERY"} {
		s.attack(t, method, func(t *testing.T, a *attempt) {
			got := a.raw(method + " / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\n\r\n")
			a.neverForwarded(got)
		})
		s.attack(t, method+" with half a preflight", func(t *testing.T, a *attempt) {
			a.neverForwarded(a.raw(method + " / HTTP/1.1\r\nHost: gate.test\r\nOrigin: https://x\r\nContent-Length: 0\r\n\r\n"))
		})
		if method != "OPTIONS" {
			s.attack(t, method+" with the fields of a preflight", func(t *testing.T, a *attempt) {
				a.neverForwarded(a.raw(method +
					" / HTTP/1.1\r\nHost: gate.test\r\nOrigin: https://x\r\nAccess-Control-Request-Method: GET\r\nContent-Length: " +
					"0\r\n\r\n"))
			})
		}
	}
}

// Where preflights pass without a token, every OPTIONS request wants to be one. Only what a browser sends before a
// cross-origin request is: one Origin, one method, no credentials.
func TestAttackRoutePreflights(t *testing.T) {
	fields := map[string]string{
		"no Origin":    "Access-Control-Request-Method: GET\r\n",
		"no method":    "Origin: https://x\r\n",
		"empty Origin": "Origin:\r\nAccess-Control-Request-Method: GET\r\n",
		"empty method": "Origin: https://x\r\nAccess-Control-Request-Method:\r\n",
		"two Origins":  "Origin: https://x\r\nOrigin: https://y\r\nAccess-Control-Request-Method: GET\r\n",
		"two methods": "Origin: https://x\r\nAccess-Control-Request-Method: GET\r\n" +
			"Access-Control-Request-Method: PUT\r\n",
		"a list of methods":      "Origin: https://x\r\nAccess-Control-Request-Method: GET, PUT\r\n",
		"with a cookie":          "Origin: https://x\r\nAccess-Control-Request-Method: GET\r\nCookie: a=b\r\n",
		"with a bad token":       "Origin: https://x\r\nAccess-Control-Request-Method: GET\r\nAuthorization: Bearer bad\r\n",
		"nothing":                "",
		"underscored names":      "Origin: https://x\r\nAccess_Control_Request_Method: GET\r\n",
		"only requested headers": "Origin: https://x\r\nAccess-Control-Request-Headers: authorization\r\n",
	}
	for _, gate := range []string{gateFor(consumerAlice(t), "allow_preflight"), gateFor(consumerAlice(t))} {
		s := start(t, gate)
		allowed := strings.Contains(gate, "allow_preflight")
		for name, text := range fields {
			s.attack(t, fmt.Sprintf("%s, allowed %t", name, allowed), func(t *testing.T, a *attempt) {
				a.refusedFor(a.raw("OPTIONS / HTTP/1.1\r\nHost: gate.test\r\n"+text+"\r\n"), "missing_token", "malformed_token",
					"malformed_request")
			})
		}
		s.attack(t, fmt.Sprintf("a genuine one, allowed %t", allowed), func(t *testing.T, a *attempt) {
			got := a.raw("OPTIONS / HTTP/1.1\r\nHost: gate.test\r\nOrigin: https://x\r\nAccess-Control-Request-Method: GET\r\n" +
				"\r\n")
			if allowed {
				a.untouched(a.passed(got), nil)
			} else {
				a.refusedFor(got, "missing_token")
			}
		})
	}
	s := start(t, gateFor(consumerAlice(t), "allow_preflight", "token_from header Authorization", "token_from query jwt"))
	s.attack(t, "with a body that is a request", func(t *testing.T, a *attempt) {
		got := a.raw("OPTIONS / HTTP/1.1\r\nHost: gate.test\r\nOrigin: https://x\r\nAccess-Control-Request-Method: GET\r\n" +
			"Content-Length: 32\r\n\r\nGET /admin HTTP/1.1\r\nHost: gate\r\n")
		if n := len(a.upstream.take()); n > 1 || got.StatusCode >= 500 {
			t.Errorf("%d requests reached the upstream, status %d", n, got.StatusCode)
		}
	})
}

// A client upgrades the connection to HTTP/2 in clear text, or to TLS with HTTP inside (RFC 2817), and what it sends
// then goes to the backend without passing the gate: CVE-2026-88008, CVE-2022-41721. The offer does not reach the
// backend, with a token or without.
func TestAttackRouteUpgradeToHTTP(t *testing.T) {
	for _, line := range []string{"", "optional", "allow_preflight"} {
		s := start(t, gateFor(consumerAlice(t), line))
		s.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
			if offer := r.Header.Get("Upgrade"); offer != "" {
				w.Header().Set("Connection", "Upgrade")
				w.Header().Set("Upgrade", offer)
				w.WriteHeader(http.StatusSwitchingProtocols)
			}
		}
		token := hmacKey(t).Sign(t, claims())
		for name, text := range map[string]string{
			"h2c":              "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
			"H2C":              "Connection: upgrade\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
			"in a list":        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
			"without settings": "Connection: Upgrade\r\nUpgrade: h2c\r\n",
			"h2":               "Connection: Upgrade\r\nUpgrade: h2\r\n",
			"HTTP/2.0":         "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n",
			"TLS":              "Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n",
			"TLS alone":        "Connection: Upgrade\r\nUpgrade: tls/1.3\r\n",
			"HTTP, spaced":     "Connection: Upgrade\r\nUpgrade: foo , http /1.1\r\n",
			"two fields":       "Connection: Upgrade\r\nUpgrade: foo\r\nUpgrade: h2c\r\n",
		} {
			for who, authorization := range map[string]string{"with a token": "Authorization: Bearer " + token + "\r\n",
				"without a token": ""} {
				s.attack(t, name+" "+who+" "+line, func(t *testing.T, a *attempt) {
					a.secret(token)
					got := a.raw("GET / HTTP/1.1\r\nHost: gate.test\r\n" + authorization + text + "\r\n")
					if got.StatusCode == http.StatusSwitchingProtocols {
						t.Errorf("the connection was switched")
					}
					if authorization == "" && line != "optional" && got.StatusCode != http.StatusUnauthorized {
						t.Errorf("status %d, want 401", got.StatusCode)
					}
					for _, r := range a.upstream.take() {
						if r.Header["Upgrade"] != nil || r.Header["Http2-Settings"] != nil {
							t.Errorf("the offer reached the upstream: %v", r.Header)
						}
					}
				})
			}
		}
	}
}

// A WebSocket handshake is let through because it is "only an upgrade", or loses our headers to its Connection field.
// It needs a token like any other request, and the backend learns who it is.
func TestAttackRouteWebSocket(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	s.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
	}
	token := hmacKey(t).Sign(t, claims())
	handshake := "GET /ws?access_token=x HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade, X-Consumer-Username, " +
		"X-Consumer-ID\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for name, text := range map[string]string{"without": "",
		"in the subprotocol": "Sec-WebSocket-Protocol: bearer, " + token + "\r\n",
		"as a cookie":        "Cookie: access_token=" + token + "\r\n"} {
		s.attack(t, name+" a token", func(t *testing.T, a *attempt) {
			a.refusedFor(a.raw(handshake+text+"\r\n"), "missing_token")
		})
	}
	s.attack(t, "with a token", func(t *testing.T, a *attempt) {
		a.secret(token)
		got := a.raw(handshake + "Authorization: Bearer " + token + "\r\nX-Consumer-Username: admin\r\n\r\n")
		if got.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("status %d, want 101", got.StatusCode)
		}
		requests := a.upstream.take()
		if len(requests) != 1 {
			t.Fatalf("%d requests reached the upstream, want 1", len(requests))
		}
		if name := requests[0].Header["X-Consumer-Username"]; len(name) != 1 || name[0] != "alice" ||
			requests[0].Header.Get("Authorization") != "" {
			t.Errorf("%v at the upstream", requests[0].Header)
		}
	})
}

// A browser cannot set headers for a WebSocket and sends the token in the URL, where it travels on and into logs. Where
// that place is configured, the token authenticates the handshake and goes no further.
func TestAttackRouteWebSocketWithATokenInTheURL(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from query access_token"))
	s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
	}
	token := hmacKey(t).Sign(t, claims())
	handshake := func(query, more string) string {
		return "GET /ws?a=1" + query +
			" HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade, X-Consumer-Username\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + more + "\r\n"
	}
	s.attack(t, "without one", func(t *testing.T, a *attempt) { a.refusedFor(a.raw(handshake("", "")), "missing_token") })
	s.attack(t, "in the subprotocol", func(t *testing.T, a *attempt) {
		a.refusedFor(a.raw(handshake("", "Sec-WebSocket-Protocol: bearer, "+token+"\r\n")), "missing_token")
	})
	s.attack(t, "a bad one", func(t *testing.T, a *attempt) {
		a.secret(token)
		a.refusedFor(a.raw(handshake("&access_token="+tokentest.FlipSignature(t, token), "")), "invalid_signature")
	})
	s.attack(t, "a good one", func(t *testing.T, a *attempt) {
		a.secret(token)
		if got := a.raw(handshake("&access_token="+token,
			"X-Consumer-Username: admin\r\n")); got.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("status %d, want 101", got.StatusCode)
		}
		requests := a.upstream.take()
		if len(requests) != 1 {
			t.Fatalf("%d requests reached the upstream, want 1", len(requests))
		}
		a.untouched(requests[0], asConsumer)
		if requests[0].URI != "/ws?a=1" || strings.Contains(fmt.Sprint(requests[0]), pieces(token)[0]) {
			t.Errorf("%v at the upstream", requests[0])
		}
	})
}

// Two requests come over one connection and the second has no token; a gateway that keeps identity by connection lets
// it pass as the first one's user (class of CVE-2026-88007). So does one that leaves a body unread.
func TestAttackRouteConnectionIsReused(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	token := hmacKey(t).Sign(t, claims())
	good := "Authorization: Bearer " + token + "\r\n"
	for name, test := range map[string]struct {
		requests string
		want     []int
	}{
		"second without a token": {"GET /1 HTTP/1.1\r\nHost: gate.test\r\n" + good +
			"\r\nGET /2 HTTP/1.1\r\nHost: gate.test\r\n\r\n", []int{200, 401}},
		"first without a token": {"GET /1 HTTP/1.1\r\nHost: gate.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: gate.test\r\n" + good +
			"\r\n", []int{401, 200}},
		"second in a refused body": {"POST /1 HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 41\r\n\r\nGET /smuggled " +
			"HTTP/1.1\r\nHost: gate.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: gate.test\r\n" + good + "\r\n",
			[]int{401, 200}},
		"second in a chunked body": {"POST /1 HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET " +
			"/\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: gate.test\r\n\r\n", []int{401, 401}},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			conn, err := a.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(deadline())
			_, _ = io.WriteString(conn, test.requests)
			reader := bufio.NewReader(conn)
			for i, want := range test.want {
				response, err := http.ReadResponse(reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != want {
					t.Errorf("request %d: status %d, want %d", i+1, response.StatusCode, want)
				}
			}
			for _, r := range a.upstream.take() {
				if r.Header.Get("X-Consumer-Username") != "alice" || strings.Contains(r.URI, "smuggled") {
					t.Errorf("%s of %q at the upstream", r.URI, r.Header.Get("X-Consumer-Username"))
				}
			}
		})
	}
	for name, text := range map[string]string{
		"length and chunked": "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
		"two lengths": "Content-Length: 0\r\nContent-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: gate.test\r\n" +
			"\r\n",
		"chunked, xchunked":   "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"chunked twice":       "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"negative length":     "Content-Length: -1\r\n\r\n",
		"length with a plus":  "Content-Length: +5\r\n\r\nhello",
		"hexadecimal length":  "Content-Length: 0x5\r\n\r\nhello",
		"chunk size overflow": "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			_ = a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\n" + text)
			if requests := a.upstream.take(); len(requests) != 0 {
				t.Errorf("reached the upstream: %v", requests)
			}
		})
	}
}

// Handlers around the gate change what it guards: a rewrite before it, a route that answers errors with content, a
// second gate that is laxer. Nothing is served without a token, and the laxer one gives no identity.
func TestAttackRouteOtherHandlers(t *testing.T) {
	s := prepare(t)
	site := s.caddyfile(gateFor(consumerAlice(t)))
	s.loadFile(strings.Replace(site, "reverse_proxy "+s.upstream.addr(),
		"rewrite /old /new\nuri strip_prefix /api\nrespond /secret \"secret content\"\nreverse_proxy "+s.upstream.addr()+
			"\nhandle_errors {\n @gate expression {http.auth.bearer.reason} != null\n header @gate X-Reason "+
			"{http.auth.bearer.reason}\n respond \"{http.error.status_code} {http.error.message}\"\n}", 1))
	for _, path := range []string{"/", "/old", "/new", "/api/secret", "/secret", "/api/../secret", "/index.html"} {
		s.attack(t, path+" without a token", func(t *testing.T, a *attempt) {
			got := a.get(path, "")
			a.refusedFor(got, "missing_token")
			if strings.Contains(got.body, "secret") {
				t.Errorf("body %q", got.body)
			}
		})
	}
	s.attack(t, "the page of an error tells the class of the mistake and nothing more", func(t *testing.T, a *attempt) {
		got := a.send(tokentest.FlipSignature(t, hmacKey(t).Sign(t, claims())))
		a.refusedFor(got, "invalid_signature")
		for _, inner := range []string{s.socket, "signature", "claims:", "alice-key", "goroutine", ".go:", "bearer_auth"} {
			if strings.Contains(got.body, inner) {
				t.Errorf("body %q", got.body)
			}
		}
	})
	s.load("route {\n" + gateFor(consumerAlice(t)) + "\n" + gateFor(consumerAlice(t), "optional") + "\n}")
	s.attack(t, "a laxer gate behind the strict one", func(t *testing.T, a *attempt) {
		a.refusedFor(a.get("/", "", "X-Consumer-Username", "admin"), "missing_token")
	})
	s.attack(t, "a laxer gate behind the strict one, with a token", func(t *testing.T, a *attempt) {
		got := a.passed(a.send(hmacKey(t).Sign(t, claims()), "X-Consumer-Username", "admin"))
		for _, name := range got.Header["X-Consumer-Username"] {
			if name != "alice" {
				t.Errorf("%q at the upstream", name)
			}
		}
	})
}

// Files lie behind the gate, and a handler that looks for them, or that replaces answers by them, serves one in place
// of the refusal. Nothing of a guarded file is in an answer to a request without a token.
func TestAttackRouteFilesBehindTheGate(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"index.html", "secret.txt", "401.html"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte("guarded content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	token := hmacKey(t).Sign(t, claims())
	gate := gateFor(consumerAlice(t))
	for name, handlers := range map[string]string{
		"file_server":                "root * " + root + "\n" + gate + "\nfile_server browse",
		"try_files":                  "root * " + root + "\n" + gate + "\ntry_files {path} /index.html\nfile_server",
		"file_server that passes on": "root * " + root + "\n" + gate + "\nfile_server {\n pass_thru\n}",
		"intercept before it": "route {\n root * " + root +
			"\n intercept {\n @refused status 401 403 400\n handle_response @refused {\n rewrite * /401.html\n file_server\n " +
			"}\n }\n" + gate + "\n file_server\n}",
		"templates and encode": "root * " + root + "\nencode gzip\ntemplates\n" + gate + "\nfile_server",
		"an error route without a page": "root * " + root + "\n" + gate +
			"\nfile_server\nhandle_errors 404 {\n rewrite * /index.html\n file_server\n}",
	} {
		s := prepare(t)
		s.loadFile(strings.Replace(s.caddyfile(handlers), "reverse_proxy "+s.upstream.addr(), "", 1))
		s.attack(t, "control: "+name+" with a token", func(t *testing.T, a *attempt) {
			a.secret(token)
			if got := a.get("/secret.txt", token); got.StatusCode != http.StatusOK || got.body != "guarded content" {
				t.Errorf("status %d, body %q", got.StatusCode, got.body)
			}
		})
		for _, path := range []string{"/", "/secret.txt", "/index.html", "/401.html", "/missing", "//secret.txt",
			"/./secret.txt", "/x/../secret.txt", "/secret.txt/", "/SECRET.TXT", "/%73ecret.txt", "/secret.txt?x=/public"} {
			for _, field := range []string{"", "Range: bytes=0-3\r\n", "If-None-Match: *\r\n",
				"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n", "Authorization: Bearer bad\r\n"} {
				s.attack(t, name+", "+path+" "+strings.TrimSpace(field), func(t *testing.T, a *attempt) {
					got := a.raw("GET " + path + " HTTP/1.1\r\nHost: gate.test\r\nAccept: text/html\r\n" + field + "\r\n")
					a.refusedFor(got, "missing_token", "malformed_token")
					if strings.Contains(got.body, "content") || got.Header.Get("Etag") != "" || got.Header.Get("Last-Modified") != "" {
						t.Errorf("the answer tells of a file: %v %q", got.Header, got.body)
					}
				})
			}
		}
	}
}

// The configuration is reloaded while requests come; between the old and the new one there must be no moment without a
// gate, nor one in which good tokens are refused.
func TestAttackRouteReloadUnderLoad(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	s.attack(t, "ten reloads", func(t *testing.T, a *attempt) {
		token := hmacKey(t).Sign(t, claims())
		a.secret(token)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var good, bad atomic.Int64
		for worker := range 4 {
			authorization, want := "", http.StatusUnauthorized
			if worker%2 == 0 {
				authorization, want = "Bearer "+token, http.StatusOK
			}
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					r, _ := http.NewRequestWithContext(context.Background(), "GET", "http://gate.test/", nil)
					if authorization != "" {
						r.Header.Set("Authorization", authorization)
					}
					response, err := a.client.Do(r)
					if err != nil {
						continue // a connection of the old server's: it closes those that are idle
					}
					_ = response.Body.Close()
					if response.StatusCode != want {
						t.Errorf("status %d, want %d", response.StatusCode, want)
						return
					}
					if want == http.StatusOK {
						good.Add(1)
					} else {
						bad.Add(1)
					}
				}
			})
		}
		for i := range 10 {
			s.load(gateFor(consumerAlice(t), fmt.Sprintf("realm r%d", i)))
		}
		close(stop)
		wg.Wait()
		if good.Load() == 0 || bad.Load() == 0 {
			t.Errorf("%d requests passed, %d were refused", good.Load(), bad.Load())
		}
		for _, r := range a.upstream.take() {
			if r.Header.Get("X-Consumer-Username") != "alice" {
				t.Errorf("reached the upstream: %v", r)
			}
		}
	})
}
