package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// The target is written in a form of which routing sees another path, or none, than the backend does: opaque, absolute
// with another scheme or with a user, without a slash (RFC 9112 section 3.2). With a good token it may be refused, and
// without one it never passes.
func TestAttackRouteTargetForms(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	token := hmacKey(t).Sign(t, claims())
	for _, target := range []string{"http:admin", "http:http://gate.test/admin", "http:/admin", "http:///admin", "http://user:pw@gate.test/admin", "ftp://gate.test/admin", "gopher://gate.test/",
		"mailto:admin", "javascript:alert(1)", "admin", "*", "//admin", "//gate.test/admin", "http://gate.test", "https://gate.test/admin", "http://other.test/admin", "file:///etc/passwd",
		"?admin", "#admin", "/\x00", "/%00", "/a b", "http://gate.test:80@evil/", "h2c://gate.test/", "../admin", ".", "http:"} {
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
	s := start(t, "@guarded not path /public /public/*\n"+strings.Replace(gateFor(consumerAlice(t)), "bearer_auth", "bearer_auth @guarded", 1))
	s.attack(t, "control: the open part is open", func(t *testing.T, a *attempt) { a.passed(a.get("/public/x", "")) })
	for _, path := range []string{"/admin", "/public/../admin", "/public/%2e%2e/admin", "/public/%2E%2E/admin", "/public/.%2e/admin", "/public/..%2fadmin", "/public%2f..%2fadmin", "/public/%2e%2e%2fadmin",
		"/./admin", "//admin", "///admin", "/admin%2fx", "/%5cadmin", "/\\admin", "/admin;x=1", "/admin%00.png", "/admin/.;/x", "/public#/../admin", "/admin?x=/public/", "/admin?/public/x", "/admin#/public/",
		"/publicx", "/public./../admin", "/x/public/", "/%2fpublic/../admin", "/.//public/../../admin", "/admin/../public/../admin", "/ADMIN", "/public/../public/../admin", "/%61dmin", "/public/x/../../admin"} {
		for _, method := range []string{"GET", "POST", "HEAD", "OPTIONS"} {
			s.attack(t, method+" "+path, func(t *testing.T, a *attempt) {
				got := a.raw(method + " " + path + " HTTP/1.1\r\nHost: gate.test\r\nX-Forwarded-Uri: /public/\r\nX-Original-URL: /public/\r\nContent-Length: 0\r\n\r\n")
				a.kept(got)
			})
		}
	}
}

// The site is asked for by another spelling of its name, and the request falls through to a route without the gate:
// CVE-2026-27588, CVE-2022-23632.
func TestAttackRouteHostSpellings(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	for _, host := range []string{"gate.test", "GATE.TEST", "Gate.Test", "gate.test.", "gate.test:80", "gate.test:8080", "gate.test:", "xgate.test", "gate.test.evil", "", "gate.test@evil", "127.0.0.1", "[::1]", "gate.test,evil", "gate.test evil", "gate%2etest"} {
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
		a.kept(a.raw("GET / HTTP/1.1\r\nHost: gate.test\r\nHost: other.test\r\n\r\n"))
	})
	s.attack(t, "HTTP/1.0 without Host", func(t *testing.T, a *attempt) {
		if _ = a.raw("GET / HTTP/1.0\r\n\r\n"); len(a.upstream.take()) != 0 {
			t.Error("reached the upstream")
		}
	})
}

// A method is treated as harmless, or unknown to a list: HEAD, TRACE, lower case, made-up ones. All are guarded alike.
func TestAttackRouteMethods(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "allow_preflight"))
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "FOO", "get", "options", "Options", "GET/", "PRI", "M-SEARCH", "QUERY"} {
		s.attack(t, method, func(t *testing.T, a *attempt) {
			got := a.raw(method + " / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 0\r\n\r\n")
			a.kept(got)
		})
		s.attack(t, method+" with half a preflight", func(t *testing.T, a *attempt) {
			a.kept(a.raw(method + " / HTTP/1.1\r\nHost: gate.test\r\nOrigin: https://x\r\nContent-Length: 0\r\n\r\n"))
		})
		if method != "OPTIONS" {
			s.attack(t, method+" with the fields of a preflight", func(t *testing.T, a *attempt) {
				a.kept(a.raw(method + " / HTTP/1.1\r\nHost: gate.test\r\nOrigin: https://x\r\nAccess-Control-Request-Method: GET\r\nContent-Length: 0\r\n\r\n"))
			})
		}
	}
}

// Where preflights pass without a token, every OPTIONS request wants to be one. Only what a browser sends before a
// cross-origin request is: one Origin, one method, no credentials.
func TestAttackRoutePreflights(t *testing.T) {
	fields := map[string]string{
		"no Origin":              "Access-Control-Request-Method: GET\r\n",
		"no method":              "Origin: https://x\r\n",
		"empty Origin":           "Origin:\r\nAccess-Control-Request-Method: GET\r\n",
		"empty method":           "Origin: https://x\r\nAccess-Control-Request-Method:\r\n",
		"two Origins":            "Origin: https://x\r\nOrigin: https://y\r\nAccess-Control-Request-Method: GET\r\n",
		"two methods":            "Origin: https://x\r\nAccess-Control-Request-Method: GET\r\nAccess-Control-Request-Method: PUT\r\n",
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
				a.repelled(a.raw("OPTIONS / HTTP/1.1\r\nHost: gate.test\r\n"+text+"\r\n"), "missing_token", "malformed_token", "malformed_request")
			})
		}
		s.attack(t, fmt.Sprintf("a genuine one, allowed %t", allowed), func(t *testing.T, a *attempt) {
			got := a.raw("OPTIONS / HTTP/1.1\r\nHost: gate.test\r\nOrigin: https://x\r\nAccess-Control-Request-Method: GET\r\n\r\n")
			if allowed {
				a.untouched(a.passed(got), nil)
			} else {
				a.repelled(got, "missing_token")
			}
		})
	}
	s := start(t, gateFor(consumerAlice(t), "allow_preflight", "token_from header Authorization", "token_from query jwt"))
	s.attack(t, "with a body that is a request", func(t *testing.T, a *attempt) {
		got := a.raw("OPTIONS / HTTP/1.1\r\nHost: gate.test\r\nOrigin: https://x\r\nAccess-Control-Request-Method: GET\r\nContent-Length: 32\r\n\r\nGET /admin HTTP/1.1\r\nHost: gate\r\n")
		if n := len(a.upstream.take()); n > 1 || got.StatusCode >= 500 {
			t.Errorf("%d requests reached the upstream, status %d", n, got.StatusCode)
		}
	})
}

// A client upgrades the connection to HTTP/2 in clear text, and what it sends then goes to the backend without passing
// the gate: CVE-2026-88008, CVE-2022-41721. The offer does not reach the backend, with a token or without.
func TestAttackRouteUpgradeToHTTP2(t *testing.T) {
	for _, line := range []string{"", "optional", "allow_preflight"} {
		s := start(t, gateFor(consumerAlice(t), line))
		s.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(strings.ToLower(r.Header.Get("Upgrade")), "h2c") {
				w.Header().Set("Connection", "Upgrade")
				w.Header().Set("Upgrade", "h2c")
				w.WriteHeader(http.StatusSwitchingProtocols)
			}
		}
		token := hmacKey(t).Sign(t, claims())
		for name, text := range map[string]string{
			"h2c":              "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
			"H2C":              "Connection: upgrade\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
			"in a list":        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
			"without settings": "Connection: Upgrade\r\nUpgrade: h2c\r\n",
			"two fields":       "Connection: Upgrade\r\nUpgrade: foo\r\nUpgrade: h2c\r\n",
		} {
			for who, authorization := range map[string]string{"with a token": "Authorization: Bearer " + token + "\r\n", "without a token": ""} {
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
						if strings.Contains(strings.ToLower(fmt.Sprint(r.Header["Upgrade"])), "h2c") {
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
	handshake := "GET /ws?access_token=x HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade, X-Consumer-Username, X-Consumer-ID\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for name, text := range map[string]string{"without": "", "in the subprotocol": "Sec-WebSocket-Protocol: bearer, " + token + "\r\n", "as a cookie": "Cookie: access_token=" + token + "\r\n"} {
		s.attack(t, name+" a token", func(t *testing.T, a *attempt) { a.repelled(a.raw(handshake+text+"\r\n"), "missing_token") })
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
		if name := requests[0].Header["X-Consumer-Username"]; len(name) != 1 || name[0] != "alice" || requests[0].Header.Get("Authorization") != "" {
			t.Errorf("%v at the upstream", requests[0].Header)
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
		"second without a token": {"GET /1 HTTP/1.1\r\nHost: gate.test\r\n" + good + "\r\nGET /2 HTTP/1.1\r\nHost: gate.test\r\n\r\n", []int{200, 401}},
		"first without a token":  {"GET /1 HTTP/1.1\r\nHost: gate.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: gate.test\r\n" + good + "\r\n", []int{401, 200}},
		"second in a refused body": {"POST /1 HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 41\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: gate.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: gate.test\r\n" + good + "\r\n",
			[]int{401, 200}},
		"second in a chunked body": {"POST /1 HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: gate.test\r\n\r\n", []int{401, 401}},
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
		"length and chunked":  "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
		"two lengths":         "Content-Length: 0\r\nContent-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: gate.test\r\n\r\n",
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
	s.loadFile(strings.Replace(site, "reverse_proxy "+s.upstream.addr(), "rewrite /old /new\nuri strip_prefix /api\nrespond /secret \"secret content\"\nreverse_proxy "+s.upstream.addr()+
		"\nhandle_errors {\n @gate expression {http.auth.bearer.reason} != \"\"\n header @gate X-Reason {http.auth.bearer.reason}\n respond \"{http.error.status_code} {http.error.message}\"\n}", 1))
	for _, path := range []string{"/", "/old", "/new", "/api/secret", "/secret", "/api/../secret", "/index.html"} {
		s.attack(t, path+" without a token", func(t *testing.T, a *attempt) {
			got := a.get(path, "")
			a.repelled(got, "missing_token")
			if strings.Contains(got.body, "secret") {
				t.Errorf("body %q", got.body)
			}
		})
	}
	s.attack(t, "the page of an error tells the reason and nothing more", func(t *testing.T, a *attempt) {
		got := a.send(hmacKey(t).Sign(t, claims("exp", 1)))
		a.repelled(got, "expired")
		for _, inner := range []string{s.socket, "claims:", "alice-key", "goroutine", ".go:"} {
			if strings.Contains(got.body, inner) {
				t.Errorf("body %q", got.body)
			}
		}
	})
	s.load("route {\n" + gateFor(consumerAlice(t)) + "\n" + gateFor(consumerAlice(t), "optional") + "\n}")
	s.attack(t, "a laxer gate behind the strict one", func(t *testing.T, a *attempt) {
		a.repelled(a.get("/", "", "X-Consumer-Username", "admin"), "missing_token")
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
