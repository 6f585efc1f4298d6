package integration

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Routing and backend see different paths in one target: opaque, absolute with another scheme or with a user, without a
// slash (RFC 9112 section 3.2). Without a token it never passes. With a good token it may be refused.
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

// Only a part of the site is open. A path is written so that the gate's route takes it for an open one, and the backend
// for a guarded one: dot segments (CVE-2026-33494, CVE-2025-66490, CVE-2026-48020), slashes (CVE-2026-40912,
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

// A matcher for more than a hundred hosts looks names up in another way than one for a few, and once forgot to ignore
// case: CVE-2026-27588. It must guard its hosts in every spelling.
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

// asConsumer are the identity headers for alice where no claim is forwarded.
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
