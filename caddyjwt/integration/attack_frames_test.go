package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// HTTP/2 and HTTP/3 carry names and values that HTTP/1.1 cannot. A gateway that translates them smuggles headers or
// whole requests into the backend's connection: RFC 9113 section 8.2, RFC 9114 section 4.2; CVE-2021-31920 is of this
// class. Field names that belong to a connection of HTTP/1.1 (CVE-2024-45410) are malformed here. The gate passes none
// of them on.
func TestAttackIdentityMalformedFrames(t *testing.T) {
	s, ways, issuer, key := identityEverywhere(t)
	token := key.Sign(t, issuedBy(issuer, "sub", "me"))
	bearer := [2]string{"authorization", "Bearer " + token}
	// arrived are the requests of this attempt that reached the upstream. A request of an earlier attempt may arrive only
	// now, if a bad trailer ended its stream. It must not carry an identity either.
	arrived := func(a *attempt, path string) (requests []seen) {
		for _, got := range a.upstream.take() {
			a.untouched(got, asMe)
			if got.URI == path {
				requests = append(requests, got)
			}
		}
		return requests
	}
	serial := 0
	next := func() string { serial++; return fmt.Sprintf("/%d", serial) }
	for _, by := range framers(s, ways) {
		s.attack(t, "control: passes by "+by.name, func(t *testing.T, a *attempt) {
			a.secret(token)
			path := next()
			if status := by.send(a, by.to("POST", path, bearer)); status != "200" {
				t.Errorf("status %q", status)
			}
			if got := arrived(a, path); len(got) != 1 {
				t.Errorf("%d requests reached the upstream", len(got))
			}
		})
		for name, field := range map[string][2]string{
			"upper-case name":            {"X-User", "admin"},
			"one upper-case letter":      {"x-User", "admin"},
			"line end in a name":         {"a\r\nx-user", "admin"},
			"line end in a value":        {"a", "b\r\nX-User: admin"},
			"bare CR in a value":         {"a", "b\rX-User: admin"},
			"bare LF in a value":         {"a", "b\nX-User: admin"},
			"NUL in a value":             {"a", "b\x00"},
			"NUL in a name":              {"x-user\x00", "admin"},
			"colon and line end":         {"x-user: admin\r\na", "b"},
			"colon in a name":            {"x-user:", "admin"},
			"space in a name":            {"x-user ", "admin"},
			"space before a name":        {" x-user", "admin"},
			"a letter beyond ASCII":      {"x-u\u017fer", "admin"},
			"Connection":                 {"connection", "x-user"},
			"Connection, close":          {"connection", "close, x-user"},
			"Connection, upper case":     {"Connection", "X-User"},
			"Keep-Alive":                 {"keep-alive", "x-user"},
			"Proxy-Connection":           {"proxy-connection", "x-user"},
			"Transfer-Encoding":          {"transfer-encoding", "chunked"},
			"Upgrade":                    {"upgrade", "h2c"},
			"TE other than trailers":     {"te", "gzip, x-user"},
			"pseudo-header late":         {":path", "/admin"},
			"unknown pseudo-header":      {":user", "admin"},
			"pseudo-header of an answer": {":status", "200"},
			"empty name":                 {"", "admin"},
		} {
			s.attack(t, name+" by "+by.name, func(t *testing.T, a *attempt) {
				a.secret(token)
				path := next()
				status := by.send(a, by.to("POST", path, bearer, field))
				if got := arrived(a, path); len(got) != 0 || status == "200" {
					t.Errorf("status %q, and reached the upstream: %v", status, got)
				}
			})
			s.attack(t, name+" as a trailer by "+by.name, func(t *testing.T, a *attempt) {
				a.secret(token)
				_ = by.send(a, by.to("POST", "/", bearer, [2]string{"trailer", "x-user"}), [][2]string{field})
				arrived(a, "") // the head may have travelled on before the trailer came
			})
		}
		s.attack(t, "Authorization twice by "+by.name, func(t *testing.T, a *attempt) {
			a.secret(token)
			path := next()
			status := by.send(a, by.to("POST", path, bearer, [2]string{"authorization", "Bearer x"}))
			if got := arrived(a, path); len(got) != 0 || status != "400" {
				t.Errorf("status %q, want 400, and reached the upstream: %v", status, got)
			}
		})
		s.attack(t, "Authorization in a second header block by "+by.name, func(t *testing.T, a *attempt) {
			a.secret(token)
			path := next()
			status := by.send(a, by.to("POST", path, [2]string{"trailer", "authorization"}), [][2]string{bearer})
			if got := arrived(a, path); len(got) != 0 || status == "200" {
				t.Errorf("status %q, and reached the upstream: %v", status, got)
			}
		})
		for name, trailer := range map[string][][2]string{
			"as it is":            {{"x-user", "admin"}, {"x-consumer-username", "admin"}},
			"with underscores":    {{"x_user", "admin"}, {"x_consumer_username", "admin"}},
			"with dots":           {{"x.user", "admin"}, {"x.consumer.username", "admin"}},
			"beside an announced": {{"x-sum", "1"}, {"x-user", "admin"}, {"x-consumer-id", "1"}},
			"twice":               {{"x-user", "admin"}, {"x-user", "root"}},
		} {
			for about, fields := range map[string][][2]string{
				"not announced":              {bearer},
				"not announced, with length": {bearer, {"content-length", "1"}},
				"another one announced":      {bearer, {"trailer", "x-sum"}},
				"announced": {bearer,
					{"trailer", "x-user, x_user, x.user, x-consumer-username, x_consumer_username, x-sum"}},
				"announced, with length":  {bearer, {"trailer", "x-user, x_user, x.user"}, {"content-length", "1"}},
				"announced in upper case": {bearer, {"trailer", "X-USER"}},
			} {
				s.attack(t, "trailer "+name+", "+about+", by "+by.name, func(t *testing.T, a *attempt) {
					a.secret(token)
					path := next()
					if status := by.send(a, by.to("POST", path, fields...), trailer); status != "200" {
						t.Errorf("status %q, want 200", status)
					}
					if got := arrived(a, path); len(got) != 1 {
						t.Errorf("%d requests reached the upstream, want 1", len(got))
					}
				})
			}
		}
	}
}

// HTTP/2 and HTTP/3 carry the target in fields of its own. The server makes a URL of them, which routing and backend
// may read differently. CONNECT has no path at all, and extended CONNECT (RFC 8441, RFC 9220) opens a tunnel. Without a
// token nothing passes. With one, only requests with a path do.
func TestAttackRouteTargetsInFrames(t *testing.T) {
	s, ways := startEverywhere(t, gateFor(consumerAlice(t), "allow_preflight"))
	token, other := hmacKey(t).Sign(t, claims()), hmacKey(t).Sign(t, claims("sub", "bob", "exp", time.Now().Unix()+200))
	for _, by := range framers(s, ways) {
		full := func(method, authority, path string) [][2]string {
			return [][2]string{{":method", method}, {":scheme", by.scheme}, {":authority", authority}, {":path", path}}
		}
		heads := map[string][][2]string{
			"CONNECT":                    {{":method", "CONNECT"}, {":authority", by.host}},
			"CONNECT with a path":        full("CONNECT", by.host, "/admin"),
			"extended CONNECT":           append(full("CONNECT", by.host, "/admin"), [2]string{":protocol", "websocket"}),
			"extended CONNECT for h2c":   append(full("CONNECT", by.host, "/admin"), [2]string{":protocol", "h2c"}),
			":protocol with GET":         append(full("GET", by.host, "/admin"), [2]string{":protocol", "websocket"}),
			"two paths":                  append(full("GET", by.host, "/public"), [2]string{":path", "/admin"}),
			"two methods":                append(full("GET", by.host, "/admin"), [2]string{":method", "OPTIONS"}),
			"two authorities":            append(full("GET", by.host, "/admin"), [2]string{":authority", "other.test"}),
			"another Host":               append(full("GET", by.host, "/admin"), [2]string{"host", "other.test"}),
			"no authority, Host instead": {{":method", "GET"}, {":scheme", by.scheme}, {":path", "/admin"}, {"host", by.host}},
			"no path":                    {{":method", "GET"}, {":scheme", by.scheme}, {":authority", by.host}},
			"no scheme":                  {{":method", "GET"}, {":authority", by.host}, {":path", "/admin"}},
			"no method":                  {{":scheme", by.scheme}, {":authority", by.host}, {":path", "/admin"}},
			"another scheme":             {{":method", "GET"}, {":scheme", "ftp"}, {":authority", by.host}, {":path", "/admin"}},
			"user in the authority":      full("GET", "admin@"+by.host, "/admin"),
			"method with a space":        full("GET /admin HTTP/1.1", by.host, "/"),
			"method with a line end":     full("GET / HTTP/1.1\r\nX-Consumer-Username: admin\r\n\r\nGET", by.host, "/"),
			"method with a NUL":          full("GET\x00", by.host, "/"),
			"method without letters":     full("", by.host, "/"),
			"method in lower case":       full("get", by.host, "/admin"),
			"the field of a websocket": append(full("GET", by.host, "/admin"),
				[2]string{"sec-websocket-protocol", "bearer, " + other}),
			"a header named :protocol": append(full("CONNECT", by.host, "/admin"), [2]string{"x", "y"},
				[2]string{":protocol", "websocket"}),
			"OPTIONS that is no path":   full("OPTIONS", by.host, "*"),
			"line end in the authority": full("GET", by.host+"\r\nX-Consumer-Username: admin", "/admin"),
		}
		for _, path := range []string{"", "admin", "*", "http:admin", "http://" + by.host + "/admin",
			"https://other.test/admin", "http:/admin", "ftp://" + by.host + "/admin", "//admin", "//other.test/admin",
			"/\r\nX-Consumer-Username: admin", "/ HTTP/1.1\r\nX-Consumer-Username: admin\r\n\r\nGET /admin", "/a b", "/\x00",
			"/%", "?admin", "#admin", "/#/../admin", "../admin", "/public/../admin", "/public/..%2fadmin", "/;x=1/admin"} {
			heads[fmt.Sprintf("path %q", path)] = full("GET", by.host, path)
		}
		for name, head := range heads {
			s.attack(t, name+" without a token, by "+by.name, func(t *testing.T, a *attempt) {
				a.secret(token)
				status := by.send(a, head)
				if answersItself := name == "OPTIONS that is no path"; strings.HasPrefix(status, "5") ||
					strings.HasPrefix(status, "2") && !answersItself {
					t.Errorf("status %q", status)
				}
				a.nothingForwarded()
			})
			s.attack(t, name+" with a token, by "+by.name, func(t *testing.T, a *attempt) {
				a.secret(token)
				if status := by.send(a,
					append(head[:len(head):len(head)], [2]string{"authorization", "Bearer " + token})); strings.HasPrefix(status,
					"5") {
					t.Errorf("status %q", status)
				}
				for _, r := range a.upstream.take() {
					if !strings.HasPrefix(r.URI, "/") || strings.ContainsAny(r.URI, " \r\n") ||
						len(r.Header["X-Consumer-Username"]) != 1 || r.Header.Get("X-Consumer-Username") != "alice" {
						t.Errorf("reached the upstream as %s %q of %q", r.Method, r.URI, r.Header["X-Consumer-Username"])
					}
				}
			})
		}
	}
}
