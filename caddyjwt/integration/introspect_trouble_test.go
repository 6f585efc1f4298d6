package integration

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// When the gate cannot get an answer from the server, that is never the token's fault.
func TestIntrospectFailureIsNotTheClientsFault(t *testing.T) {
	for name, test := range map[string]struct {
		break_ func(t *testing.T, as *tokentest.AS)
		reason string
		status int
		retry  bool
	}{
		"down": {func(_ *testing.T, as *tokentest.AS) { as.Down() }, "introspection_unavailable", 503, true},
		"500":  {answering(tokentest.IntrospectionAnswer{Status: 500}), "introspection_unavailable", 503, true},
		"503":  {answering(tokentest.IntrospectionAnswer{Status: 503}), "introspection_unavailable", 503, true},
		"429": {answering(tokentest.IntrospectionAnswer{Status: 429, Header: http.Header{"Retry-After": {"7"}}}),
			"introspection_unavailable", 503, true},
		"slow": {func(_ *testing.T, as *tokentest.AS) { as.Stall() }, "introspection_timeout", 504, false},
		"nonsense": {answering(tokentest.IntrospectionAnswer{Body: "<html>login</html>", ContentType: "text/html"}),
			"introspection_failed", 502, false},
		"not JSON": {answering(tokentest.IntrospectionAnswer{Body: "yes"}), "introspection_failed", 502, false},
		"active is a string": {
			answering(tokentest.IntrospectionAnswer{Body: `{"active":"true"}`}), "introspection_failed", 502, false,
		},
		"active twice": {answering(tokentest.IntrospectionAnswer{Body: `{"active":false,"active":true}`}),
			"introspection_failed", 502, false},
		"no active": {answering(tokentest.IntrospectionAnswer{Body: `{}`}), "introspection_failed", 502, false},
		"endless": {answering(tokentest.IntrospectionAnswer{Body: `{"active":true,"x":"` + strings.Repeat("x", 1<<20) +
			`"}`}), "introspection_failed", 502, false},
		"redirect": {answering(tokentest.IntrospectionAnswer{Status: 302,
			Header: http.Header{"Location": {"/introspect"}}}), "introspection_failed", 502, false},
		"no content": {answering(tokentest.IntrospectionAnswer{Status: 204, Body: " "}), "introspection_failed", 502,
			false},
		"refused": {func(_ *testing.T, as *tokentest.AS) {
			as.SetClient("gateway", "another")
		}, "introspection_failed", 502, false},
		"refused (403)": {answering(tokentest.IntrospectionAnswer{Status: 403}), "introspection_failed", 502, false},
	} {
		t.Run(name, func(t *testing.T) {
			as := introspector(t)
			as.Introspect(always(active()))
			timeout := 30 * time.Second // a slow machine must not look like a slow server
			if name == "slow" {
				timeout = time.Second
			}
			s := start(t,
				gateForAudience(introspecting(as, "opaque", "endpoint "+as.IntrospectionURL(), "timeout "+timeout.String())))
			s.accepts("known")
			test.break_(t, as)
			s.ourFaultFor(s.get("/", "unknown"), test.status, test.reason, test.retry)
			s.accepts("known") // remembered
		})
	}
}

// A server that is down is not asked by every request; once it is back, tokens pass again.
func TestIntrospectBreakerOpensAndCloses(t *testing.T) {
	long(t)
	as := introspector(t)
	var failing atomic.Bool
	as.Introspect(func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		if failing.Load() {
			return tokentest.IntrospectionAnswer{Status: 503}
		}
		return active()
	})
	s := start(t, gateForAudience(introspecting(as, "opaque")))
	s.accepts("known")
	failing.Store(true)
	for i := range 200 {
		if status, err := s.status("bogus-" + strconv.Itoa(i)); err != nil || status != http.StatusServiceUnavailable {
			t.Fatalf("status %d, %v", status, err)
		}
	}
	if n := len(as.IntrospectionRequests()); n > 40 {
		t.Errorf("a server that is down was asked %d times", n)
	}
	s.accepts("known")
	failing.Store(false)
	eventually(t, "a new token passes", func() bool {
		status, err := s.status("fresh")
		return err == nil && status == http.StatusOK
	})
}

// The breaker outlives a reload that changes nothing about the provider: a server that is down is not asked anew by
// each configuration.
func TestIntrospectBreakerSurvivesReload(t *testing.T) {
	as := introspector(t)
	as.Introspect(always(tokentest.IntrospectionAnswer{Status: http.StatusServiceUnavailable}))
	gate := func(i int, lines ...string) string {
		return gateForAudience("realm r"+strconv.Itoa(i), introspecting(as, "opaque", lines...))
	}
	s := start(t, gate(0))
	began := time.Now()
	for i := range 10 {
		if status, err := s.status("bogus-" + strconv.Itoa(i)); err != nil || status != http.StatusServiceUnavailable {
			t.Fatalf("status %d, %v", status, err)
		}
	}
	asked := len(as.IntrospectionRequests())
	for i := range 3 {
		s.load(gate(i + 1))
		if status, err := s.status("fresh-" + strconv.Itoa(i)); err != nil || status != http.StatusServiceUnavailable {
			t.Errorf("status %d, %v", status, err)
		}
	}
	if n := len(as.IntrospectionRequests()); n != asked && time.Since(began) < 5*time.Second {
		t.Errorf("the server was asked %d times more after reloads", n-asked)
	}
	as.Introspect(always(active()))
	s.load(gate(4, "max_in_flight 63")) // another provider, as far as can be told
	s.drain()
	s.accepts("fresh")
}

// Some servers answer 401, 429 or 500 about tokens that they do not know. A stranger with invented tokens must not lock
// everybody else out.
func TestIntrospectStrangersDoNotShutOutGoodTokens(t *testing.T) {
	for _, status := range []int{401, 429, 500} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			as := introspector(t)
			as.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
				if strings.HasPrefix(r.Token, "good-") {
					return active()
				}
				return tokentest.IntrospectionAnswer{Status: status}
			})
			s := start(t,
				gateForAudience(strings.Replace(introspecting(as, "opaque"), "introspect opaque", "keys none\nintrospect opaque",
					1)))
			invented := 0
			stranger := func() {
				invented++
				if code, err := s.status("invented-" + strconv.Itoa(invented)); err != nil || code < 500 {
					t.Errorf("an invented token: status %d, %v", code, err)
				}
			}
			for range 12 {
				stranger()
			}
			passed, sent := 0, 0
			for range 20 {
				for range 2 {
					sent++
					if code, err := s.status("good-" + strconv.Itoa(sent)); err == nil && code == http.StatusOK {
						passed++
					}
				}
				stranger()
			}
			t.Logf("%d of %d good tokens pass beside %d invented ones", passed, sent, invented)
			if passed != sent {
				t.Errorf("%d of %d good tokens pass", passed, sent)
			}
		})
	}
}

// Our wrong credentials make the server answer 401 to everything. The operator sees it in the log, and tokens that come
// again do not make a question each.
func TestIntrospectWrongCredentialsAreLoggedWithoutAFlood(t *testing.T) {
	as := introspector(t)
	as.Introspect(always(active()))
	s := start(t, gateForAudience(introspecting(as, "opaque", "endpoint "+as.IntrospectionURL())))
	as.SetClient("gateway", "another")
	began := time.Now()
	for range 100 {
		for i := range 3 {
			if status, err := s.status("token-" + strconv.Itoa(i)); err != nil || status != http.StatusBadGateway {
				t.Fatalf("status %d, %v", status, err)
			}
		}
	}
	if n := len(as.IntrospectionRequests()); n != 3 && time.Since(began) < 4*time.Second {
		t.Errorf("%d questions about three tokens", n)
	}
	if !s.logged("request refused", `"level":"warn"`, "introspection_failed", "answered with status 401") {
		t.Error("the log does not say that the credentials are refused")
	}
}

// An error that names the token is the token's fault: 401, no warning, and the log says why for those who look.
func TestIntrospectAnErrorThatNamesTheToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "named")
	as := introspector(t, tokentest.WithKeys(key))
	as.Introspect(always(tokentest.IntrospectionAnswer{Status: 400, Body: `{"error":"unsupported_token_type"}`}))
	forbidden := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="op", error="insufficient_scope", scope="openid"`)
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(forbidden.Close)
	foreign := tokentest.NewKey(t, "ES256", "foreign").Sign(t, issuedBy("https://nobody.example.com"))
	for name, c := range map[string]struct{ gate, token, code string }{
		"a stranger's JWT": {gateForAudience(introspecting(as, "opaque")), foreign, "unsupported_token_type"},
		"a token without the scope openid": {gateFor(issuerBlock(as.URL, "audience any",
			"introspect opaque {\nverify userinfo\nendpoint "+forbidden.URL+"\n}")), "opaque", "insufficient_scope"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c.gate)
			for range 3 {
				s.refused(s.get("/", c.token), http.StatusUnauthorized, "inactive")
			}
			if s.logged(`"level":"warn"`, "request refused") {
				t.Error("the operator is warned")
			}
			if !s.logged("request refused", `"inactive"`, c.code) {
				t.Error("the log does not say what the server answered")
			}
		})
	}
	// A JWT that was verified here comes from no stranger, so the trouble is that of the server.
	s := start(t, gateForAudience(introspecting(as, "always")))
	s.ourFaultFor(s.get("/", key.Sign(t, issuedBy(as.URL))), http.StatusBadGateway, "introspection_failed", false)
	if !s.logged(`"level":"warn"`, "cannot be asked about its own tokens") {
		t.Error("the log does not say so")
	}
}

// A server that is down when Caddy starts, its endpoint being discovered: Caddy starts, and tokens pass when it is
// back.
func TestIntrospectServerDownAtStart(t *testing.T) {
	long(t)
	as := introspector(t, tokentest.StartDown())
	as.Introspect(always(active()))
	s := start(t, gateForAudience(introspecting(as, "opaque")))
	s.ourFaultFor(s.get("/", "opaque"), http.StatusServiceUnavailable, "introspection_unavailable", true)
	as.Up()
	eventually(t, "the token passes", func() bool {
		status, err := s.status("opaque")
		return err == nil && status == http.StatusOK
	})
}

// The log has each kind of failure of each server, though not for every request. The failures of one server do not hide
// those of another.
func TestIntrospectFailureOfEachServerIsLogged(t *testing.T) {
	down, broken := introspector(t), introspector(t)
	broken.Introspect(always(tokentest.IntrospectionAnswer{Status: http.StatusServiceUnavailable}))
	block := func(as *tokentest.AS, prefix string) string {
		return introspecting(as, "opaque", "prefix "+prefix, "endpoint "+as.IntrospectionURL())
	}
	s := start(t, gateForAudience(block(down, "down_"), block(broken, "broken_")))
	down.Down()
	began := time.Now()
	for i := range 20 { // the breakers open at the tenth
		for _, prefix := range []string{"down_", "broken_"} {
			if status, err := s.status(prefix + strconv.Itoa(i)); err != nil || status != http.StatusServiceUnavailable {
				t.Fatalf("status %d, %v", status, err)
			}
		}
	}
	lines := 0
	for line := range strings.Lines(s.log()) {
		if strings.Contains(line, "request refused") {
			lines++
		}
	}
	for _, as := range []*tokentest.AS{down, broken} {
		for _, cause := range []string{"unavailable", "breaker_open"} {
			if !s.logged("request refused", `"issuer":"`+as.URL+`"`, "no verdict: "+cause) {
				t.Errorf("%s of %s is not in the log", cause, as.URL)
			}
		}
	}
	if lines != 4 && time.Since(began) < 10*time.Second {
		t.Errorf("%d lines about 40 requests, want 4", lines)
	}
}
