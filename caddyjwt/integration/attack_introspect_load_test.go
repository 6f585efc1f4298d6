package integration

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Each of thousands of invented tokens is a question. The authorization server goes down under them, or the gate runs
// out of memory for those that wait. Here few questions are under way, a bounded number waits, and known tokens need
// neither.
func TestAttackIntrospectFlood(t *testing.T) {
	long(t)
	const allowed, slots, waiting, clients = 4, 3, 16 * 3, 400 // one slot of four is for tokens that are known
	as := introspector(t)
	var busy, most atomic.Int64
	release := make(chan struct{})
	answer := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answer) // also when the test fails: the server ends when all is answered
	as.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		if r.Token == "known" {
			return active()
		}
		now := busy.Add(1)
		defer busy.Add(-1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); {
			old = most.Load()
		}
		<-release
		return tokentest.IntrospectionAnswer{}
	})
	s := start(t, gateFor(introspecting(as, "opaque", "max_in_flight "+strconv.Itoa(allowed), "timeout 30s")))
	s.attack(t, "more at once than may wait", func(t *testing.T, a *attempt) {
		a.passed(a.send("known"))
		invented := func(i int) string { return "invented-" + strconv.Itoa(i) }
		outcomes := a.together(clients, invented, func() {
			eventually(t, "those that cannot wait are refused", func() bool {
				return a.answered(http.StatusServiceUnavailable) >= clients-slots-waiting
			})
			for range 10 {
				a.passed(a.get("/", "known")) // the others are answered only afterwards
			}
			answer()
		})
		if outcomes["503"] != clients-slots-waiting || outcomes["401"] != slots+waiting {
			t.Errorf("%v, want %d times 503 and %d times 401", outcomes, clients-slots-waiting, slots+waiting)
		}
		if n := most.Load(); n > slots {
			t.Errorf("%d questions at once, want at most %d", n, slots)
		}
		if n := len(as.IntrospectionRequests()); n != 1+slots+waiting {
			t.Errorf("%d questions in all, want %d", n, 1+slots+waiting)
		}
		if n := len(a.upstream.take()); n != 0 {
			t.Errorf("%d requests reached the upstream", n)
		}
	})
	s.attack(t, "one after another", func(t *testing.T, a *attempt) {
		before := len(as.IntrospectionRequests())
		for i := range 16 {
			a.together(64, func(n int) string { return fmt.Sprintf("serial-%d-%d", i, n) }, func() {})
		}
		a.drain()
		a.passed(a.send("known")) // still remembered
		for _, r := range as.IntrospectionRequests()[before:] {
			if r.Token == "known" {
				t.Error("invented tokens have pushed out one that is in use")
			}
		}
	})
}

// A gate that asks about every token tells the server who is calling, what they have, and when (RFC 7662 section 5).
// This gate asks only about tokens that pass its own checks.
func TestAttackIntrospectAskedNeedlessly(t *testing.T) {
	key, mallory := tokentest.NewKey(t, "ES256", "needless"), tokentest.NewKey(t, "ES256", "mallory")
	as := introspector(t, tokentest.WithKeys(key))
	as.Introspect(always(active()))
	now := time.Now().Unix()
	good := key.Sign(t, issuedBy(as.URL))
	tokens := map[string]string{
		"expired":                  key.Sign(t, issuedBy(as.URL, "exp", now-60)),
		"not yet valid":            key.Sign(t, issuedBy(as.URL, "nbf", now+60)),
		"issued in the future":     key.Sign(t, issuedBy(as.URL, "iat", now+60)),
		"without an end":           key.Sign(t, issuedBy(as.URL, "exp", nil)),
		"for another audience":     key.Sign(t, issuedBy(as.URL, "aud", "https://other.example.com")),
		"for no audience":          key.Sign(t, issuedBy(as.URL, "aud", nil)),
		"of an unknown key":        mallory.Sign(t, issuedBy(as.URL)),
		"of another key":           mallory.WithKID("needless").Sign(t, issuedBy(as.URL)),
		"one bit of the signature": tokentest.FlipSignature(t, good),
		"alg none":                 key.SignRaw(`{"alg":"none"}`, asJSON(t, issuedBy(as.URL))),
		"an ID token's typ":        key.Sign(t, issuedBy(as.URL), map[string]any{"typ": "logout+jwt"}),
		"bound to a key":           key.Sign(t, issuedBy(as.URL, "cnf", map[string]any{"jkt": "x"})),
		"a crit header":            key.Sign(t, issuedBy(as.URL), map[string]any{"crit": []string{"x"}}),
		"without what is required": key.Sign(t, issuedBy(as.URL, "sub", nil)),
		"cut off":                  good[:len(good)-4],
		"two parts":                good[:strings.LastIndexByte(good, '.')],
		"longer than may be":       strings.Repeat("x", 17<<10),
		"an answer that was signed": key.Sign(t, map[string]any{"iss": as.URL, "aud": audience},
			map[string]any{"typ": "token-introspection+jwt"}),
	}
	s := prepare(t)
	for gate, lines := range map[string][]string{
		"opaque": {strings.Replace(introspecting(as, "opaque"), "introspect", "required_claims sub\nintrospect", 1)},
		"always": {strings.Replace(introspecting(as, "always"), "introspect", "required_claims sub\nintrospect", 1)},
		"force": {strings.Replace(introspecting(as, "opaque"), "introspect", "required_claims sub\nintrospect", 1),
			"introspect force"},
	} {
		for name, token := range tokens {
			s.attack(t, gate+": "+name, func(t *testing.T, a *attempt) {
				a.restart(gateFor(lines...))
				asked := len(as.IntrospectionRequests())
				if name == "longer than may be" {
					a.neverForwarded(a.send(token)) // by Caddy, when headers may not be that long
				} else {
					a.refusedFor(a.send(token), "expired", "not_yet_valid", "missing_claim", "invalid_audience", "unknown_key",
						"invalid_signature",
						"unsupported_algorithm", "invalid_type", "proof_required", "malformed_token")
				}
				if n := len(as.IntrospectionRequests()) - asked; n != 0 {
					t.Errorf("the server was asked %d times", n)
				}
			})
		}
	}
}

// A stranger asks the gate whether a token exists, at some address, or by what its refusals say. There is no such
// address, and all bad tokens get the same answer.
func TestAttackIntrospectGateAsOracle(t *testing.T) {
	as := introspector(t)
	as.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		switch r.Token {
		case "expired":
			return active("exp", time.Now().Unix()-600)
		case "elsewhere":
			return active("aud", "https://other.example.com")
		case "refresh":
			return active("token_type", "refresh_token")
		}
		return tokentest.IntrospectionAnswer{}
	})
	s := start(t, gateFor(introspecting(as, "opaque")))
	for _, path := range []string{
		"/introspect", "/oauth2/introspect", "/token/introspection", "/userinfo", "/revoke",
		"/.well-known/openid-configuration",
		"/.well-known/oauth-protected-resource", "/config/", "/debug/vars", "/metrics", "/bearer_auth",
	} {
		s.attack(t, "POST "+path, func(t *testing.T, a *attempt) {
			r := a.request(http.MethodPost, path, strings.NewReader("token=good&token_type_hint=access_token"), "Content-Type",
				"application/x-www-form-urlencoded")
			r.SetBasicAuth("gateway", gatewaySecret)
			a.refusedFor(a.do(r), "missing_token")
		})
		s.attack(t, "GET "+path, func(t *testing.T, a *attempt) {
			a.refusedFor(a.get(path+"?token=good", ""), "missing_token")
		})
	}
	if n := len(as.IntrospectionRequests()); n != 0 {
		t.Errorf("the server was asked %d times", n)
	}
	var first string
	for _, token := range []string{"unknown", "unknown", "expired", "elsewhere", "refresh", "eyJhbGciOiJub25lIn0.e30."} {
		s.attack(t, "what a refusal says: "+token, func(t *testing.T, a *attempt) {
			got := a.send(token)
			a.refusedFor(got, "inactive", "expired", "invalid_audience", "invalid_type", "unsupported_algorithm",
				"malformed_token")
			got.Header.Del("Date")
			if text := fmt.Sprint(got.StatusCode, got.Header, got.body); first == "" {
				first = text
			} else if text != first {
				t.Errorf("%s\nand before\n%s", text, first)
			}
		})
	}
}

// The authorization server, or who stands in for it, answers without end, a byte at a time, compressed a thousandfold,
// or in a form that some readers misread. There is no verdict, and time and memory are bounded.
func TestAttackIntrospectHostileAnswer(t *testing.T) {
	const yes = `"active":true,"sub":"mallory","aud":"` + audience + `"`
	var sent atomic.Int64 // bytes that were taken from the server
	write := func(w io.Writer, text string) bool {
		n, err := io.WriteString(w, text)
		sent.Add(int64(n))
		return err == nil
	}
	chunk := strings.Repeat("x", 64<<10)
	s := prepare(t)
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		status int
	}{
		"without end": {func(w http.ResponseWriter, _ *http.Request) {
			for write(w, `{`+yes+`,"x":"`); write(w, chunk); {
			}
		}, 502},
		"ten gigabytes, announced": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10000000000")
			for write(w, `{`+yes+`,"x":"`); write(w, chunk); {
			}
		}, 502},
		"blanks without end": {func(w http.ResponseWriter, _ *http.Request) {
			for write(w, `{`+yes+`}`); write(w, strings.Repeat(" ", len(chunk))); {
			}
		}, 502},
		"a gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			zip := gzip.NewWriter(w)
			for write(zip, `{`+yes+`,"x":"`); write(zip, chunk); {
				if zip.Flush() != nil {
					return
				}
			}
		}, 502},
		"a byte at a time": {func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for write(w, `{`+yes+`,"x":"`); write(w, "x") && http.NewResponseController(w).Flush() == nil; {
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				}
			}
		}, 504},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			write(w, `{`+yes+`}`)
		}, 503},
		"cut off in a chunk": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, `{`+yes+`}`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, 503},
		"a header without end": {func(w http.ResponseWriter, _ *http.Request) {
			for i := range 200 {
				w.Header().Set("X-"+strconv.Itoa(i), strings.Repeat("x", 1000))
			}
			write(w, `{`+yes+`}`)
		}, 503},
		"objects in objects": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, `{`+yes+`,"x":`+strings.Repeat(`{"x":`, 20_000)+"1"+strings.Repeat("}", 20_000)+`}`)
		}, 502},
		"lists in lists": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, `{`+yes+`,"x":`+strings.Repeat(`[`, 100_000)+strings.Repeat("]", 100_000)+`}`)
		}, 502},
		"a number without end": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, `{`+yes+`,"exp":`+strings.Repeat("9", 100_000)+`}`)
		}, 502},
		"an end beyond all time": {func(w http.ResponseWriter, _ *http.Request) { write(w, `{`+yes+`,"exp":1e300}`) }, 502},
		"an end that is text": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, `{`+yes+`,"exp":"9999999999"}`)
		}, 502},
		"an end that is null": {func(w http.ResponseWriter, _ *http.Request) { write(w, `{`+yes+`,"exp":null}`) }, 502},
		"two ends": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, `{`+yes+`,"exp":1,"exp":9999999999}`)
		}, 502},
		"two audiences": {func(w http.ResponseWriter, _ *http.Request) { write(w, `{"aud":"x",`+yes+`}`) }, 502},
		"an audience that is not a text": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, `{"active":true,"sub":"x","aud":{"0":"`+audience+`"}}`)
		}, 502},
		"a subject that is a number": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, `{"active":true,"sub":7,"aud":"`+audience+`"}`)
		}, 502},
		"a name that is no UTF-8": {func(w http.ResponseWriter, _ *http.Request) {
			write(w, "{"+yes+",\"\xff\":1}")
		}, 502},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				test.answer(w, r)
			}))
			defer server.Close()
			timeout := "20s" // more than it takes to see what is wrong, also on a busy machine
			if test.status == http.StatusGatewayTimeout {
				timeout = "1s"
			}
			a.restart(askedAt(server.URL, "timeout "+timeout))
			sent.Store(0)
			a.ourFault(a.send("opaque"), test.status) // a timeout would be another status
			// The count includes what is on its way in the buffers of both ends.
			if n := sent.Load(); n > 64<<20 {
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
}

// Something else answers at the server's address. It does not speak HTTP and sends back what it gets. Go quotes that in
// its errors, which brings token and credentials into the log (CWE-532). Here nothing that a server has sent is logged.
func TestAttackIntrospectEchoInTheLog(t *testing.T) {
	const key, secret = "k3y-for-the-server-of-the-keys", "s3cr3t-of-the-gateway"
	s := prepare(t)
	for name, before := range map[string]string{
		"as it came": "", "as a status": "HTTP/1.1 ", "as a header": "HTTP/1.1 200 OK\r\n",
		"as a continued header": "HTTP/1.1 200 OK\r\n ",
		"as a length":           "HTTP/1.1 200 OK\r\nContent-Length: ",
		"as a coding":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: ",
		"as a type":             "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Type: ",
		"as a redirect":         "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://[",
		"as a body":             "HTTP/1.1 500 No\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, _ := io.ReadAll(r.Body)
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				fmt.Fprintf(conn, "%s%s %s \"%[2]s\"\r\n\r\n", before, got, r.Header.Get("X-Api-Key"))
			}))
			defer echo.Close()
			const token = "opaque-token-of-a-user"
			a.restart(gateFor(
				issuerWithKeys("https://as.example.com", "jwks "+echo.URL+"/jwks", "header_up X-Api-Key "+key,
					"introspect opaque {", "endpoint "+echo.URL+"/introspect", "client_id gateway", "client_secret "+secret,
					"auth_method client_secret_post", "}"),
			))
			if got := a.get("/", token); got.StatusCode < 500 {
				t.Errorf("status %d", got.StatusCode)
			}
			a.drain()
			a.ourFault(a.send(tokentest.NewKey(t, "ES256", "echo").Sign(t, issuedBy("https://as.example.com"))),
				http.StatusServiceUnavailable)
			for line := range strings.Lines(a.since()) {
				for _, text := range []string{token, secret, key} {
					if strings.Contains(line, text) && !strings.Contains(line, `"logger":"http.log.access`) {
						t.Errorf("%q is in the log: %s", text, line)
					}
				}
			}
		})
	}
}
