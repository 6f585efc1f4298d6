package integration

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Opaque tokens, the endpoint being discovered: who is active passes and the backend learns who it is; the server is
// asked once, authenticated, by POST, about this token only.
func TestIntrospectOpaque(t *testing.T) {
	as := introspector(t, tokentest.WithPath("/realms/demo"))
	as.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		if r.Token != "good-token.with_odd~chars+/==" {
			return tokentest.IntrospectionAnswer{}
		}
		return active("username", "Alice", "email", "alice@example.com", "scope", "read")
	})
	s := start(t,
		gateForAudience(introspecting(as, "opaque", "param resource https://api"), "forward_claim email X-Email",
			"require scope read"))
	for range 3 {
		got := s.passed(s.get("/", "good-token.with_odd~chars+/=="))
		if email := got.Header.Get("X-Email"); email != "alice@example.com" {
			t.Errorf("X-Email %q", email)
		}
		if got.Header.Get("Authorization") != "" {
			t.Error("the token reached the upstream")
		}
	}
	for range 3 {
		a := s.get("/", "revoked")
		s.refused(a, http.StatusUnauthorized, "inactive")
		if got := a.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
			t.Errorf("challenge %q", got)
		}
	}
	asked := as.IntrospectionRequests()
	if len(asked) != 2 {
		t.Fatalf("the server was asked %d times about two tokens", len(asked))
	}
	for _, r := range asked {
		if !r.Authenticated || r.AuthMethod != "client_secret_basic" || r.TokenTypeHint != "access_token" ||
			r.Form.Get("resource") != "https://api" {
			t.Errorf("question %+v", r)
		}
	}
	for line := range strings.Lines(s.log()) {
		if strings.Contains(line, "good-token.with") || strings.Contains(line, "s3cr3t") {
			t.Errorf("a token or secret is in the log: %s", line)
		}
	}
}

// The answer is held to the rules for claims, and what it says about the kind of token.
func TestIntrospectAnswersAreJudged(t *testing.T) {
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		answer tokentest.IntrospectionAnswer
		reason string
		status int
	}{
		"inactive":        {tokentest.IntrospectionAnswer{}, "inactive", 401},
		"expired":         {active("exp", now-60), "expired", 401},
		"not yet valid":   {active("nbf", now+60), "not_yet_valid", 401},
		"wrong audience":  {active("aud", "https://other.example.com"), "invalid_audience", 401},
		"no audience":     {active("aud", nil), "invalid_audience", 401},
		"another issuer":  {active("iss", "https://other.example.com"), "invalid_issuer", 401},
		"refresh token":   {active("token_type", "refresh_token"), "invalid_type", 401},
		"bound to a key":  {active("cnf", map[string]any{"jkt": "x"}), "proof_required", 401},
		"missing scope":   {active("scope", "write"), "insufficient_scope", 403},
		"no scope at all": {active("scope", nil), "insufficient_scope", 403},
	} {
		t.Run(name, func(t *testing.T) {
			as := introspector(t)
			as.Introspect(always(test.answer))
			s := start(t, gateForAudience(introspecting(as, "opaque"), "require scope read"))
			for range 2 {
				s.refused(s.get("/", "opaque"), test.status, test.reason)
			}
		})
	}
}

// Our own trouble with the server is never the token's fault.
func TestIntrospectTroubleIsNotTheClients(t *testing.T) {
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
			timeout := 30 * time.Second // on a slow machine, a server must not be a slow one
			if name == "slow" {
				timeout = 300 * time.Millisecond
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
	s := start(t, gate(0)).patient()
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

// Some servers answer 401, 429 or 500 about tokens that they do not know. A stranger with invented tokens shuts nobody
// out.
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

// Wrong credentials of ours are 401 to everything. The operator sees it, and tokens that come again and again are not
// as many questions.
func TestIntrospectWrongCredentialsAreSeenAndNoFlood(t *testing.T) {
	as := introspector(t)
	as.Introspect(always(active()))
	s := start(t, gateForAudience(introspecting(as, "opaque", "endpoint "+as.IntrospectionURL()))).patient()
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
	// A JWT that was verified here is no stranger's: then the server cannot be asked about its own tokens.
	s := start(t, gateForAudience(introspecting(as, "always")))
	s.ourFaultFor(s.get("/", key.Sign(t, issuedBy(as.URL))), http.StatusBadGateway, "introspection_failed", false)
	if !s.logged(`"level":"warn"`, "cannot be asked about its own tokens") {
		t.Error("the log does not say so")
	}
}

// "always" asks about opaque and encrypted tokens, too. An issuer with "opaque" beside it keeps those without a prefix,
// as it did when "always" did not take them.
func TestIntrospectAlwaysAsksAboutOpaqueTokens(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "always-opaque")
	as, other := introspector(t, tokentest.WithKeys(key)), introspector(t)
	as.Introspect(always(active("sub", "always")))
	other.Introspect(always(active("sub", "opaque")))
	part := base64.RawURLEncoding.EncodeToString
	jwe := part([]byte(`{"alg":"RSA-OAEP-256","enc":"A256GCM"}`)) + ".a2V5.aXY.Y3Q.dGFn"
	foreign := tokentest.NewKey(t, "ES256", "foreign").Sign(t, issuedBy("https://nobody.example.com"))
	s := start(t, gateForAudience(introspecting(as, "always"), "forward_claim sub X-Sub")).patient()
	who := func(token, want string) {
		t.Helper()
		if got := s.passed(s.get("/", token)).Header.Get("X-Sub"); got != want {
			t.Errorf("%.20s is asked about at %q, want %q", token, got, want)
		}
	}
	who("opaque", "always")
	who(jwe, "always")
	s.refused(s.get("/", foreign), http.StatusUnauthorized, "unknown_issuer")

	s.load(gateForAudience(introspecting(as, "always"), introspecting(other, "opaque"), "forward_claim sub X-Sub"))
	who("opaque", "opaque")
	who(jwe, "opaque")

	s.load(gateForAudience(introspecting(as, "always", "prefix a_"), introspecting(other, "opaque"),
		"forward_claim sub X-Sub"))
	who("a_opaque", "always")
	who("opaque", "opaque")

	s.load(gateForAudience(introspecting(as, "always"), introspecting(other, "always")))
	s.refused(s.get("/", "opaque"), http.StatusUnauthorized, "malformed_token")
	s.refused(s.get("/", jwe), http.StatusUnauthorized, "malformed_token")
	for _, cause := range []string{"opaque token, and several issuers here",
		"encrypted token (JWE), and no issuer here takes those"} {
		if !s.logged("malformed_token", cause) {
			t.Errorf("the log does not say %q", cause)
		}
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

// Each server's trouble is told by itself, and each kind of it, though not for every request: the first one's must not
// hide the second one's.
func TestIntrospectTroubleOfEachServerIsTold(t *testing.T) {
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

// A JWT is verified here first; then the server may say that it was revoked.
func TestIntrospectAlwaysSeesARevocation(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "always")
	as := introspector(t, tokentest.WithKeys(key))
	var revoked atomic.Bool
	as.Introspect(func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		if revoked.Load() {
			return tokentest.IntrospectionAnswer{}
		}
		return active("iss", as.URL)
	})
	s := start(t, gateForAudience(introspecting(as, "always", "cache_ttl 500ms", "negative_ttl 0s")))
	token := key.Sign(t, issuedBy(as.URL))
	s.accepts(token)
	s.accepts(token)
	if n := len(as.IntrospectionRequests()); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
	s.refused(s.get("/", tokentest.FlipSignature(t, token)), http.StatusUnauthorized, "invalid_signature")
	s.refused(s.get("/", key.Sign(t, issuedBy(as.URL, "exp", 1))), http.StatusUnauthorized, "expired")
	if n := len(as.IntrospectionRequests()); n != 1 {
		t.Error("the server was asked about a token that is bad by itself")
	}

	revoked.Store(true)

	eventually(t, "the revocation is seen", func() bool {
		status, err := s.status(token)
		return err == nil && status == http.StatusUnauthorized
	})
	s.drain()
	s.refused(s.get("/", token), http.StatusUnauthorized, "inactive")
	as.Down()
	s.ourFaultFor(s.get("/", key.Sign(t, issuedBy(as.URL, "jti", "2"))), http.StatusServiceUnavailable,
		"introspection_unavailable", true)
}

// An answer that contradicts the token is about another token.
func TestIntrospectContradictionIsRefused(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "contradiction")
	for name, test := range map[string]struct {
		member, value, reason string
	}{
		"sub":       {"sub", "bob", "contradiction"},
		"client_id": {"client_id", "other", "contradiction"},
		"aud":       {"aud", "https://other.example.com", "contradiction"},
		"iss":       {"iss", "https://other.example.com", "invalid_issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			as := introspector(t, tokentest.WithKeys(key))
			as.Introspect(always(active(test.member, test.value)))
			s := start(t, gateForAudience(introspecting(as, "always")))
			token := key.Sign(t, issuedBy(as.URL, "client_id", "app"))
			for range 2 {
				s.refused(s.get("/", token), http.StatusUnauthorized, test.reason)
			}
		})
	}
}

// Routes with other audiences, scopes and patience share what is remembered of a token, not the verdict.
func TestIntrospectRoutesJudgeARememberedAnswerThemselves(t *testing.T) {
	as := introspector(t)
	as.Introspect(always(active("scope", "read")))
	gate := func(matcher string, lines ...string) string {
		return "bearer_auth " + matcher + gateFor(append(lines, introspecting(as, "opaque"))...)[len("bearer_auth"):]
	}
	s := start(t, strings.Join([]string{
		gate("/orders", "audience "+audience), gate("/other", "audience https://other.example.com"),
		gate("/write", "audience "+audience, "require scope write"),
		gate("/fresh", "audience "+audience, "introspect max_age 0s"),
		gate("/patient", "audience "+audience, "introspect max_age 1m"),
		gate("/short", "audience "+audience, "max_lifetime 1m"),
	}, "\n"))
	count := func(want int) {
		t.Helper()
		if n := len(as.IntrospectionRequests()); n != want {
			t.Errorf("the server was asked %d times, want %d", n, want)
		}
	}
	for range 2 {
		s.passed(s.get("/orders", "token"))
		s.refused(s.get("/other", "token"), http.StatusUnauthorized, "invalid_audience")
		s.refused(s.get("/write", "token"), http.StatusForbidden, "insufficient_scope")
		s.passed(s.get("/patient", "token"))
	}
	count(1)
	s.passed(s.get("/fresh", "token"))
	count(2)
	s.passed(s.get("/fresh", "token"))
	count(3)
	as.Introspect(always(tokentest.IntrospectionAnswer{}))
	s.refused(s.get("/fresh", "token"), http.StatusUnauthorized, "inactive")
	// What one route has learned, the others know.
	s.refused(s.get("/orders", "token"), http.StatusUnauthorized, "inactive")
	count(4)
}

// The routes' words "force" and "skip".
func TestIntrospectForceAndSkip(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "force")
	as := introspector(t, tokentest.WithKeys(key))
	gate := func(matcher, mode string, lines ...string) string {
		return "bearer_auth " + matcher + gateForAudience(append(lines, introspecting(as, mode))...)[len("bearer_auth"):]
	}
	s := start(t, gate("/force", "opaque", "introspect force")+"\n"+gate("/skip", "always", "introspect skip"))
	token := key.Sign(t, issuedBy(as.URL))
	s.refused(s.get("/force", token), http.StatusUnauthorized, "inactive")
	s.passed(s.get("/skip", token))
	s.refused(s.get("/force", token), http.StatusUnauthorized, "inactive")
	s.refused(s.get("/skip", "opaque"), http.StatusUnauthorized, "inactive") // nothing else could verify it
}

// An answer never outlives the token's exp, however long it may be remembered.
func TestIntrospectRememberedAnswerEndsWithExp(t *testing.T) {
	as := introspector(t)
	s := start(t, gateForAudience("leeway 0s", introspecting(as, "opaque", "cache_ttl 5m")))
	token := ""
	for life, passed := 2, false; !passed; life *= 2 { // long enough for this machine to ask once
		if life > 60 {
			t.Fatal("no token passes")
		}
		token = "token-" + strconv.Itoa(life)
		as.Introspect(always(active("exp", time.Now().Unix()+int64(life))))
		status, err := s.status(token)
		passed = err == nil && status == http.StatusOK
	}
	eventually(t, "the token has expired", func() bool {
		status, err := s.status(token)
		return err == nil && status == http.StatusUnauthorized
	})
	s.drain()
	s.refused(s.get("/", token), http.StatusUnauthorized, "expired")
}

// A thousand requests with one new token are one question, and the first client's leaving changes nothing for the
// others.
func TestIntrospectSharesOneQuestion(t *testing.T) {
	long(t)
	as := introspector(t)
	arrived, release := make(chan struct{}, 1), make(chan struct{})
	as.Introspect(func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		arrived <- struct{}{}
		<-release
		return active()
	})
	s := start(t, gateForAudience(introspecting(as, "opaque", "timeout 20s")))
	conn, err := s.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprint(conn,
		"GET / HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer shared\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-arrived
	var clients sync.WaitGroup
	var passed atomic.Int64
	for range 1000 {
		clients.Go(func() {
			if status, err := s.status("shared"); err == nil && status == http.StatusOK {
				passed.Add(1)
			}
		})
	}
	_ = conn.Close() // the first one leaves
	close(release)
	clients.Wait()
	if passed.Load() != 1000 {
		t.Errorf("%d of 1000 passed", passed.Load())
	}
	if n := len(as.IntrospectionRequests()); n != 1 {
		t.Errorf("%d questions", n)
	}
}

// Signed answers (RFC 9701) are verified with the issuer's keys; a plain one is none, and neither is one for somebody
// else, an old one, or one of another type.
func TestIntrospectSignedAnswers(t *testing.T) {
	key, mallory := tokentest.NewKey(t, "ES256", "signed"), tokentest.NewKey(t, "ES256", "mallory").WithKID("signed")
	now := time.Now().Unix()
	var as *tokentest.AS
	signed := func(by *tokentest.Key, header map[string]any, changes ...any) tokentest.IntrospectionAnswer {
		payload := map[string]any{"iss": as.URL, "aud": "gateway", "iat": now, "token_introspection": active().Claims}
		for i := 0; i < len(changes); i += 2 {
			if payload[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
				delete(payload, changes[i].(string))
			}
		}
		typ := map[string]any{"typ": "token-introspection+jwt"}
		maps.Copy(typ, header)
		return tokentest.IntrospectionAnswer{Body: by.Sign(t, payload, typ),
			ContentType: "application/token-introspection+jwt"}
	}
	as = introspector(t, tokentest.WithKeys(key))
	s := start(t, gateForAudience(introspecting(as, "opaque", "signed", "negative_ttl 0s")))
	as.Introspect(always(signed(key, nil)))
	s.accepts("token")
	if got := as.IntrospectionRequests()[0].Header.Get("Accept"); got != "application/token-introspection+jwt" {
		t.Errorf("Accept %q", got)
	}
	as.Introspect(always(signed(key, nil, "token_introspection", map[string]any{"active": false})))
	s.refused(s.get("/", "revoked"), http.StatusUnauthorized, "inactive")
	for name, answer := range map[string]tokentest.IntrospectionAnswer{
		"plain":                  active(),
		"plain, claiming signed": {Body: `{"active":true}`, ContentType: "application/token-introspection+jwt"},
		"signed, claiming plain": {Body: signed(key, nil).Body},
		"another key":            signed(mallory, nil),
		"flipped": {Body: tokentest.FlipSignature(t, signed(key, nil).Body),
			ContentType: "application/token-introspection+jwt"},
		"alg none": {Body: key.SignRaw(`{"alg":"none","typ":"token-introspection+jwt"}`,
			`{"token_introspection":{"active":true}}`), ContentType: "application/token-introspection+jwt"},
		"an access token":    signed(key, map[string]any{"typ": "at+jwt"}),
		"no typ":             signed(key, map[string]any{"typ": nil}),
		"for another client": signed(key, nil, "aud", "other"),
		"of another issuer":  signed(key, nil, "iss", "https://other.example.com"),
		"old":                signed(key, nil, "iat", now-600),
		"without date":       signed(key, nil, "iat", nil),
		"active at the top":  signed(key, nil, "token_introspection", nil, "active", true),
	} {
		t.Run(name, func(t *testing.T) {
			as.Introspect(always(answer))
			s := s.in(t)
			a := s.get("/", "token-"+strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ",", ""))
			if a.StatusCode != http.StatusBadGateway || a.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("status %d, challenge %q", a.StatusCode, a.Header.Get("WWW-Authenticate"))
			}
			if n := len(s.upstream.take()); n != 0 {
				t.Error("it passed")
			}
		})
	}
}

// What is signed with an algorithm that the issuer's tokens may not have is no answer either. A reload that allows it
// makes another client, which does not keep to the old settings.
func TestIntrospectSignedAnswersKeepToTheAlgorithms(t *testing.T) {
	weak, good := tokentest.NewKey(t, "RS256", "answers-rsa"), tokentest.NewKey(t, "ES256", "answers-ec")
	as := introspector(t, tokentest.WithKeys(weak, good))
	signedBy := func(by *tokentest.Key) tokentest.IntrospectionAnswer {
		return tokentest.IntrospectionAnswer{
			Body: by.Sign(t, map[string]any{
				"iss": as.URL, "aud": "gateway", "iat": time.Now().Unix(), "token_introspection": active().Claims,
			}, map[string]any{"typ": "token-introspection+jwt"}),
			ContentType: "application/token-introspection+jwt",
		}
	}
	gate := func(algorithms string) string {
		return gateForAudience(strings.Replace(introspecting(as, "opaque", "signed"), "introspect opaque",
			algorithms+"\nintrospect opaque", 1))
	}
	s := start(t, gate("algorithms ES256")).patient()
	as.Introspect(always(signedBy(good)))
	s.accepts("first")
	as.Introspect(always(signedBy(weak)))
	s.ourFaultFor(s.get("/", "second"), http.StatusBadGateway, "introspection_failed", false)
	if !s.logged("introspection_failed", "RS256 is not allowed for this issuer; add it to", "or have the server sign") {
		t.Error("the log does not name the cure")
	}
	for _, wider := range []string{"algorithms ES256 RS256", ""} {
		s.load(gate(wider))
		s.accepts("second")
	}
}

// A server whose keys have no ids cannot tell of a rotation. An answer that none of the known keys has signed is a
// reason to look for others, as a token is.
func TestIntrospectSignedAnswersAfterARotationWithoutKeyIDs(t *testing.T) {
	as := introspector(t)
	s := start(t, gateForAudience(introspecting(as, "opaque", "signed")))
	for _, name := range []string{"first", "second"} {
		key := tokentest.NewKey(t, "ES256", name).WithKID("")
		as.SetKeys(key)
		payload := map[string]any{
			"iss": as.URL, "aud": "gateway", "iat": time.Now().Unix(), "token_introspection": active().Claims,
		}
		as.Introspect(always(tokentest.IntrospectionAnswer{
			Body:        key.Sign(t, payload, map[string]any{"typ": "token-introspection+jwt"}),
			ContentType: "application/token-introspection+jwt",
		}))
		s.accepts("token-" + name)
	}
}

// What is remembered survives a reload that changes nothing about the provider, and is out of reach after one that
// does.
func TestIntrospectStateSurvivesReload(t *testing.T) {
	as := introspector(t)
	as.Introspect(always(active()))
	s := start(t, gateForAudience(introspecting(as, "opaque"))).patient()
	s.accepts("token")
	for i := range 3 {
		s.load(gateForAudience("realm r"+strconv.Itoa(i), introspecting(as, "opaque")))
		s.accepts("token")
	}
	if n := len(as.IntrospectionRequests()); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
	s.load(gateForAudience(introspecting(as, "opaque", "param resource x")))
	as.Introspect(always(tokentest.IntrospectionAnswer{}))
	s.refused(s.get("/", "token"), http.StatusUnauthorized, "inactive")
	if n := len(as.IntrospectionRequests()); n != 2 {
		t.Errorf("the server was asked %d times", n)
	}
}

// Another provider's remembered answers are its own.
func TestIntrospectProvidersDoNotShareAnswers(t *testing.T) {
	one, two := introspector(t), introspector(t)
	one.Introspect(always(active()))
	s := start(t,
		gateForAudience(introspecting(one, "opaque", "prefix one_"), introspecting(two, "opaque", "prefix two_"))).patient()
	s.accepts("one_token")
	s.refused(s.get("/", "two_token"), http.StatusUnauthorized, "inactive")
	s.refused(s.get("/", "three_token"), http.StatusUnauthorized, "malformed_token")
	s.load(gateForAudience(introspecting(two, "opaque")))
	s.refused(s.get("/", "one_token"), http.StatusUnauthorized, "inactive")
}

// A reload that changes only how long keys may be used makes a new source of keys. The introspection client that
// outlives the reload must not go on asking the old, closed one where the endpoint is.
func TestIntrospectReloadWithOtherKeySettingsStillFindsTheEndpoint(t *testing.T) {
	as := introspector(t)
	as.Introspect(always(active()))
	block := func(stale string) string {
		return strings.Replace(gateForAudience(introspecting(as, "opaque")), "introspect opaque",
			"max_stale "+stale+"\nintrospect opaque", 1)
	}
	s := start(t, block("1h")).patient()
	s.accepts("first")
	s.load(block("2h"))
	s.accepts("second")
}

// The same with signed answers: after a reload they are verified with the keys of the new configuration.
func TestIntrospectReloadWithOtherKeysForgetsTheOldOnes(t *testing.T) {
	old, current := tokentest.NewKey(t, "ES256", "answers-old").WithKID(""),
		tokentest.NewKey(t, "ES256", "answers-new").WithKID("")
	as := introspector(t)
	answer := func(by *tokentest.Key) tokentest.IntrospectionAnswer {
		return tokentest.IntrospectionAnswer{
			Body: by.Sign(t, map[string]any{
				"iss": as.URL, "aud": "gateway", "iat": time.Now().Unix(), "token_introspection": active().Claims,
			}, map[string]any{"typ": "token-introspection+jwt"}),
			ContentType: "application/token-introspection+jwt",
		}
	}
	gate := func(keys string) string {
		return gateForAudience(strings.Replace(introspecting(as, "opaque", "endpoint "+as.IntrospectionURL(), "signed"),
			"introspect opaque", keys+"\nintrospect opaque", 1))
	}
	pem := func(k *tokentest.Key) string { return gate("keys pem `" + k.PublicPEM() + "`") }
	s := start(t, pem(old)).patient()
	as.Introspect(always(answer(old)))
	s.accepts("first")
	s.load(pem(current))
	if status, err := s.status("second"); err != nil || status != http.StatusBadGateway {
		t.Errorf("an answer signed with a key that is configured no longer: status %d, %v", status, err)
	}
	as.Introspect(always(answer(current)))
	s.drain()
	if status, err := s.status("third"); err != nil || status != http.StatusOK {
		t.Errorf("an answer signed with the key that is configured now: status %d, %v", status, err)
	}
	// From one file to another: the first one's source is closed.
	dir := t.TempDir()
	file := func(name string) string {
		return gate("keys file " + writeFile(t, filepath.Join(dir, name), current.PublicPEM()))
	}
	s.load(file("a.pem"))
	if status, err := s.status("fourth"); err != nil || status != http.StatusOK {
		t.Errorf("keys in a file: status %d, %v", status, err)
	}
	s.load(file("b.pem"))
	if status, err := s.status("fifth"); err != nil || status != http.StatusOK {
		t.Errorf("keys in another file after a reload: status %d, %v", status, err)
	}
}

// An issuer whose tokens are verified by asking alone, in whatever form they are.
func TestIntrospectWithoutKeys(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "without")
	as := introspector(t)
	as.Introspect(always(active()))
	s := start(t,
		gateForAudience(strings.Replace(introspecting(as, "opaque"), "introspect opaque", "keys none\nintrospect opaque", 1)))
	s.accepts("opaque")
	token := key.Sign(t, issuedBy(as.URL))
	s.accepts(token)
	s.accepts(token)
	as.Introspect(always(tokentest.IntrospectionAnswer{}))
	s.refused(s.get("/", key.Sign(t, issuedBy(as.URL, "jti", "2"))), http.StatusUnauthorized, "inactive")
}

// Such an issuer's metadata need not name a key set, and nobody is told that keys are failing which nobody wants.
func TestIntrospectWithoutKeysWantsNoKeySet(t *testing.T) {
	as := introspector(t)
	as.Introspect(always(active()))
	as.ChangeMetadata(func(document map[string]any) { delete(document, "jwks_uri") })
	s := start(t,
		gateForAudience(strings.Replace(introspecting(as, "opaque"), "introspect opaque", "keys none\nintrospect opaque", 1)))
	s.accepts("one")
	s.accepts("two")
	if s.logged("refreshing keys is failing") {
		t.Error("the log says that refreshing keys is failing, for an issuer without keys")
	}
}

// UserInfo as the weaker alternative.
func TestIntrospectUserInfo(t *testing.T) {
	var status atomic.Int64
	status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case status.Load() != http.StatusOK:
			w.WriteHeader(int(status.Load()))
		case r.Method != http.MethodGet || r.Header.Get("Authorization") != "Bearer good":
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			fmt.Fprint(w, `{"sub":"alice","email":"alice@example.com"}`)
		}
	}))
	t.Cleanup(server.Close)
	as := tokentest.NewAS(t)
	s := start(t, gateFor(issuerBlock(as.URL, "audience any",
		"introspect opaque {\nverify userinfo\nendpoint "+server.URL+"\n}"), "forward_claim email X-Email"))
	if got := s.passed(s.get("/", "good")).Header.Get("X-Email"); got != "alice@example.com" {
		t.Errorf("X-Email %q", got)
	}
	s.refused(s.get("/", "bad"), http.StatusUnauthorized, "inactive")
	status.Store(http.StatusInternalServerError)
	s.ourFaultFor(s.get("/", "third"), http.StatusServiceUnavailable, "introspection_unavailable", true)
	s.accepts("good")
}

// What a UserInfo answer says of an audience is the client (OpenID Connect Core 1.0 section 5.3.2), as Ory Hydra has
// it: it contradicts no token, and nothing takes it for the token's.
func TestIntrospectUserInfoHasTheAudienceOfTheClient(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"sub":"alice","iss":%q,"aud":["some-client"]}`, as.URL)
	}))
	t.Cleanup(server.Close)
	userInfo := "{\nverify userinfo\nendpoint " + server.URL + "\n}"

	s := start(t, gateForAudience(issuerBlock(as.URL, "introspect always "+userInfo)))
	token := key.Sign(t, issuedBy(as.URL, "sub", "alice"))
	s.accepts(token)
	s.refused(s.get("/", key.Sign(t, issuedBy(as.URL, "sub", "bob"))), http.StatusUnauthorized, "contradiction")

	opaque := start(t,
		gateFor(issuerBlock(as.URL, "audience any", "introspect opaque "+userInfo), "forward_claim aud X-Aud"))
	if got := opaque.passed(opaque.get("/", "opaque")).Header.Get("X-Aud"); got != "" {
		t.Errorf("the backend is told an audience of the token: %q", got)
	}
}

// The ways to authenticate, as the server sees them.
func TestIntrospectClientAuthentication(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "client")
	path := writeFile(t, filepath.Join(t.TempDir(), "key.pem"), key.PrivatePEM())
	secret := base64.StdEncoding.EncodeToString(tokentest.NewKey(t, "HS256", "assertion").Secret())
	for method, test := range map[string]struct {
		lines []string
		want  string
	}{
		"client_secret_basic": {[]string{"client_id gate:way", "client_secret " + secret}, "client_secret_basic"},
		"client_secret_post":  {[]string{"client_id gate:way", "client_secret " + secret}, "client_secret_post"},
		"client_secret_jwt":   {[]string{"client_id gate:way", "client_secret " + secret}, "client_assertion"},
		"private_key_jwt":     {[]string{"client_id gate:way", "private_key " + path + " kid-1"}, "client_assertion"},
		"bearer":              {[]string{"bearer_token our-own-token"}, "bearer"},
		"none":                {nil, "none"},
	} {
		t.Run(method, func(t *testing.T) {
			as := tokentest.NewAS(t)
			as.Introspect(always(active()))
			s := start(t, gateForAudience(issuerBlock(as.URL, "introspect opaque {\nendpoint "+as.IntrospectionURL()+
				"\nauth_method "+method+"\n"+strings.Join(test.lines, "\n")+"\n}")))
			s.accepts("token")
			asked := as.IntrospectionRequests()
			if len(asked) != 1 || asked[0].AuthMethod != test.want || asked[0].Token != "token" {
				t.Fatalf("asked %+v", asked[0])
			}
			if strings.HasPrefix(method, "client_secret_") && test.want != "client_assertion" &&
				asked[0].ClientID != "gate:way" {
				t.Errorf("client %q", asked[0].ClientID)
			}
		})
	}
}
