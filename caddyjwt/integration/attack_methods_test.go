package integration

import (
	"fmt"
	"strings"
	"testing"
)

// A list of methods takes one for harmless, or does not know it: HEAD, TRACE, lower case, made-up ones. All are guarded
// alike.
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

// Where preflights pass without a token, attackers send any OPTIONS request. Only what a browser sends before a
// cross-origin request is a preflight: one Origin, one method, no credentials.
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
