package integration

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// A client names the field of its own token in Connection. The gate accepts the token, and the reverse proxy removes it
// on the way to a backend that should get it (forward_token). The same goes for a cookie, and for fields that an
// operator sets behind the gate. It is CVE-2024-45410 with other names.
func TestAttackTravelTokenNamedInConnection(t *testing.T) {
	s := prepare(t)
	s.loadFile(strings.Replace(s.caddyfile("route {\n"+
		gateFor(consumerAlice(t), "forward_token", "forward_claims X-User sub", "token_from header Authorization",
			"token_from header X-Token", "token_from cookie jwt", "token_from form jwt")+
		"\n\trequest_header X-Remote-User {http.auth.user.id}\n"), "reverse_proxy "+s.upstream.addr(),
		"reverse_proxy "+s.upstream.addr()+"\n}", 1))
	s.inForce()
	token := hmacKey(t).Sign(t, claims())
	for name, test := range map[string]struct{ field, value, body string }{
		"Authorization":             {"Authorization", "Bearer " + token, ""},
		"a token header":            {"X-Token", token, ""},
		"a cookie":                  {"Cookie", "a=1; jwt=" + token, ""},
		"the type of a form's body": {"Content-Type", formType, "jwt=" + token},
	} {
		for _, connection := range []string{
			"close, " + test.field, strings.ToUpper(test.field), ",,\t" + strings.ToLower(test.field) + "\t,keep-alive",
			"close\r\nConnection: " + test.field, "X-Consumer-Username, Cookie, Authorization, X-Remote-User, " + test.field,
		} {
			s.attack(t, fmt.Sprintf("%s, %q", name, connection), func(t *testing.T, a *attempt) {
				method, length := http.MethodGet, ""
				if test.body != "" {
					method, length = http.MethodPost, fmt.Sprintf("Content-Length: %d\r\n", len(test.body))
				}
				got := a.passed(a.raw(method + " / HTTP/1.1\r\nHost: gate.test\r\n" + test.field + ": " + test.value + "\r\n" +
					length +
					"Connection: " + connection + "\r\n\r\n" + test.body))
				if got.Header.Get(test.field) != test.value || got.Body != test.body {
					t.Errorf("the token did not reach the backend: %v, body of %d bytes", got.Header, len(got.Body))
				}
				if user := got.Header["X-Remote-User"]; len(user) != 1 || user[0] != "alice" {
					t.Errorf("X-Remote-User %q at the backend", user)
				}
				a.untouched(got, asAlice)
			})
		}
	}
}

// An OPTIONS request looks like a preflight, so it needs no token, but it is more than that for the backend: it opens a
// WebSocket, has a body, or names another method in a field that frameworks read.
func TestAttackTravelRequestDisguisedAsPreflight(t *testing.T) {
	s := prepare(t)
	s.loadFile(bothProtocols(s.caddyfile(gateFor(consumerAlice(t), "allow_preflight"))))
	s.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
		if offer := r.Header.Get("Upgrade"); offer != "" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", offer)
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
	}
	const fields = "Host: gate.test\r\nOrigin: https://x\r\nAccess-Control-Request-Method: GET\r\n"
	const preflight = "OPTIONS / HTTP/1.1\r\n" + fields
	for name, text := range map[string]string{
		"a WebSocket": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"any other protocol":   "Connection: keep-alive, upgrade\r\nUpgrade: foo/2\r\n\r\n",
		"Upgrade alone":        "Upgrade: websocket\r\n\r\n",
		"a body":               "Content-Length: 3\r\n\r\na=1",
		"a chunked body":       "Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n0\r\n\r\n",
		"an empty chunked one": "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a body to be asked":   "Content-Length: 3\r\nExpect: 100-continue\r\n\r\na=1",
		"nothing to be asked":  "Expect: 100-continue\r\n\r\n",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) { a.refusedFor(a.raw(preflight+text), "missing_token") })
	}
	s.attack(t, "a body by HTTP/2", func(t *testing.T, a *attempt) {
		a = a.overHTTP2()
		r := a.request(http.MethodOptions, "/", strings.NewReader("a=1"), "Origin", "https://x",
			"Access-Control-Request-Method", "GET")
		a.refusedFor(a.do(r), "missing_token")
	})
	for _, field := range []string{
		"X-HTTP-Method-Override", "x-http-method", "X-METHOD-OVERRIDE", "X_HTTP_Method_Override", "X.HTTP.Method",
		"X-Http_Method-Override",
	} {
		s.attack(t, field, func(t *testing.T, a *attempt) {
			got := a.passed(a.raw(preflight + field + ": DELETE\r\n\r\n"))
			if strings.Contains(fmt.Sprint(got.Header), "DELETE") || got.Method != http.MethodOptions {
				t.Errorf("%s with %v at the backend", got.Method, got.Header)
			}
		})
	}
	for name, text := range map[string]string{
		"HTTP/1.0":           "OPTIONS / HTTP/1.0\r\n" + fields + "\r\n",
		"the absolute form":  "OPTIONS http://gate.test/ HTTP/1.1\r\n" + fields + "\r\n",
		"a length of 0":      preflight + "Content-Length: 0\r\n\r\n",
		"another connection": preflight + "Connection: close\r\n\r\n",
	} {
		t.Run("still one: "+name, func(t *testing.T) {
			s := s.in(t)
			if got := s.passed(s.raw(text)); got.Method != http.MethodOptions || got.Body != "" {
				t.Errorf("%s with body %q at the backend", got.Method, got.Body)
			}
		})
	}
}

// In HTTP/3 a request without a length may have a body, and nobody can know beforehand. The body of a preflight does
// not travel on. A genuine preflight passes by every protocol.
func TestAttackTravelPreflightByEveryProtocol(t *testing.T) {
	s, ways := startEverywhere(t, gateFor(consumerAlice(t), "allow_preflight"))
	for _, way := range ways {
		fields := []string{"Origin", "https://x", "Access-Control-Request-Method", "PUT", "X-HTTP-Method", "DELETE"}
		s.attack(t, "without a body, by "+way.name, func(t *testing.T, a *attempt) {
			a = a.by(way)
			if got := a.passed(a.do(a.request(http.MethodOptions, "/", nil, fields...))); got.Header["X-Http-Method"] != nil ||
				got.Body != "" {
				t.Errorf("body %q, %v at the backend", got.Body, got.Header)
			}
		})
		s.attack(t, "with a body of unknown length, by "+way.name, func(t *testing.T, a *attempt) {
			a = a.by(way)
			r := a.request(http.MethodOptions, "/", struct{ *strings.Reader }{strings.NewReader("a=1")}, fields...)
			r.ContentLength = -1
			got := a.do(r)
			if way.name != "HTTP/3.0" {
				a.refusedFor(got, "missing_token")
			} else if seen := a.passed(got); seen.Body != "" {
				t.Errorf("body %q at the backend", seen.Body)
			}
		})
	}
}

// A framework empties a cookie to delete it. A gate that took the empty cookie for a token would refuse people who
// bring a good token elsewhere.
func TestEmptyCookieIsIgnored(t *testing.T) {
	token := hmacKey(t).Sign(t, claims())
	for _, line := range []string{"", "optional"} {
		s := start(t, gateFor(consumerAlice(t), "token_from header Authorization", "token_from cookie t", line))
		for _, cookie := range []string{"t=", `t=""`} {
			t.Run(cookie+" "+line, func(t *testing.T) {
				s := s.in(t)
				if got := s.passed(s.get("/", token, "Cookie", cookie+"; a=1")); got.Header.Get("Cookie") != "a=1" {
					t.Errorf("Cookie %q at the backend", got.Header["Cookie"])
				}
				alone := s.get("/", "", "Cookie", cookie)
				if line == "optional" {
					if got := s.passed(alone); got.Header["Cookie"] != nil {
						t.Errorf("Cookie %q at the backend", got.Header["Cookie"])
					}
					return
				}
				s.refused(alone, http.StatusUnauthorized, "missing_token")
				if challenge := alone.Header.Get("WWW-Authenticate"); strings.Contains(challenge, "error") {
					t.Errorf("challenge %q, want no error code (RFC 6750 section 3.1)", challenge)
				}
				s.refused(s.get("/", "", "Cookie", cookie+"; t="+token), http.StatusBadRequest, "malformed_request")
			})
		}
	}
}

// Strangers begin many large forms that may hold a token, and never finish them. A careless gate keeps everything that
// they sent. This gate refuses beyond a bound for all forms together. It still reads ordinary forms, and reads large
// ones again when the strangers are gone.
func TestAttackTravelManyLargeForms(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from form jwt"))
	token := hmacKey(t).Sign(t, claims())
	s.attack(t, "never finished", func(t *testing.T, a *attempt) {
		const strangers, size, bound = 60, 960 << 10, 32 << 20
		a.secret(token)
		part := []byte("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Type: " + formType +
			"\r\nContent-Length: 1048576\r\n\r\n" +
			strings.Repeat("x", size))
		var conns []net.Conn
		var sending sync.WaitGroup
		leave := sync.OnceFunc(func() {
			for _, conn := range conns {
				_ = conn.Close()
			}
			sending.Wait()
		})
		defer leave()
		for range strangers {
			conn, err := s.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
			sending.Go(func() { _, _ = conn.Write(part) }) // fails when the server gives up
		}
		const most = bound/(size-16<<10) + 1 // can be held
		eventually(t, "strangers are refused", func() bool { return a.answered(503)+a.answered(400) >= strangers-most })
		t.Logf("of %d forms of %d KiB, %d are 503", strangers, size>>10, a.answered(503))
		if a.answered(503) == 0 {
			t.Skip("the machine was too slow to send the forms within the deadline for one")
		}
		if got := a.reason(); got != "overloaded" {
			t.Errorf("reason %q", got)
		}
		ordinary := "a=" + strings.Repeat("y", 8<<10) + "&jwt=" + token
		if got := a.passed(a.form("/", ordinary)); strings.Contains(got.Body, "jwt=") {
			t.Error("the token reached the backend")
		}
		leave()
		large := "a=" + strings.Repeat("y", size) + "&jwt=" + token
		eventually(t, "a large form is read again", func() bool { return a.form("/", large).StatusCode == 200 })
		a.upstream.take()
	})
}

// Backends that were set up for oauth2-proxy get the caller in the headers that they know, and from the gate alone.
func TestForwardedUser(t *testing.T) {
	s := start(t,
		gateFor(consumerAlice(t), "optional", "forward_claims X-Forwarded-User sub", "forward_claims X-Forwarded-Email email",
			"forward_claims X-Forwarded-Groups roles", "forward_claims X-Forwarded-Preferred-Username name"))
	forged := []string{"X-Forwarded-User", "admin", "x_forwarded_user", "admin", "X-Forwarded-Email", "admin",
		"X-Forwarded-Groups", "admin"}
	token := hmacKey(t).Sign(t, claims("email", "me@example.com", "roles", []string{"a", "b"}, "name", "Me"))
	for name, want := range map[string]map[string]string{
		token: {"User": "alice", "Email": "me@example.com", "Groups": "a,b", "Preferred-Username": "Me"}, "": {},
	} {
		got := s.passed(s.get("/", name, forged...))
		for _, name := range []string{"User", "Email", "Groups", "Preferred-Username"} {
			if value := got.Header.Get("X-Forwarded-" + name); value != want[name] {
				t.Errorf("X-Forwarded-%s %q at the backend, want %q", name, value, want[name])
			}
		}
		if strings.Contains(fmt.Sprint(got.Header), "admin") {
			t.Errorf("the client's word reached the backend: %v", got.Header)
		}
	}
}

// A user has a claim of 200 KiB. As a header it would break the request at the backend, where nobody knows why. Such a
// token is refused, and the log names the claim.
func TestAttackTravelHugeClaim(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from form jwt", "max_token_size 1MiB", "forward_claims X-Roles roles"))
	for name, roles := range map[string]any{
		"a text": strings.Repeat("a", 200<<10), "an array": strings.Split(strings.Repeat("a,", 100<<10)+"a", ","),
		"an object": map[string]string{"a": strings.Repeat("a", 200<<10)},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			token := hmacKey(t).Sign(t, claims("roles", roles))
			a.secret(token)
			a.refusedFor(a.form("/", "jwt="+token), "unsafe_claim")
			if !strings.Contains(a.since(), "claim roles: it needs") {
				t.Error("the log does not name the claim")
			}
		})
	}
	got := s.passed(s.do(s.request(http.MethodPost, "/",
		strings.NewReader("jwt="+hmacKey(t).Sign(t, claims("roles", "a"))),
		"Content-Type", formType)))
	if got.Header.Get("X-Roles") != "a" {
		t.Errorf("X-Roles %q at the backend", got.Header["X-Roles"])
	}
}
