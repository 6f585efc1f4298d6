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

// askedAt is a gate that asks whatever answers at an address about every token.
func askedAt(endpoint string, lines ...string) string {
	return gateFor(issuerWithKeys("https://as.example.com", "none",
		"introspect opaque {\nendpoint "+endpoint+"\nauth_method none\n"+
			strings.Join(lines, "\n")+"\n}"))
}

// The server answers with an "active" that some readers take for true: a text, a number, a list, the last of two. Only
// a boolean is a verdict (RFC 7662 section 2.2); everything else is no answer, and the token's fault is it not.
func TestAttackIntrospectActiveIsNoBoolean(t *testing.T) {
	s := prepare(t)
	for name, body := range map[string]string{
		"text":                  `{"active":"true"}`,
		"text in capitals":      `{"active":"TRUE"}`,
		"number":                `{"active":1}`,
		"null":                  `{"active":null}`,
		"missing":               `{"sub":"mallory"}`,
		"list":                  `{"active":[true]}`,
		"object":                `{"active":{"active":true}}`,
		"another case":          `{"Active":true}`,
		"twice, true last":      `{"active":false,"active":true}`,
		"twice, true first":     `{"active":true,"active":false}`,
		"twice, once escaped":   `{"active":false,"\u0061ctive":true}`,
		"inside another object": `{"token_introspection":{"active":true}}`,
		"a list of answers":     `[{"active":true}]`,
		"an answer as text":     `"{\"active\":true}"`,
		"true alone":            `true`,
		"two answers":           `{"active":true}{"active":true}`,
		"more behind it":        `{"active":true} false`,
		"a form":                `active=true`,
		"a token of UserInfo's": `{"sub":"mallory","aud":"` + audience + `"}`,
		"Google's tokeninfo":    `{"aud":"` + audience + `","user_id":"1","expires_in":3000}`,
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := introspector(t)
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: body}))
			a.restart(gateFor(introspecting(as, "opaque")))
			for range 3 { // nothing of it is remembered
				a.ourFault(a.send("opaque"), http.StatusBadGateway)
			}
			if n := len(as.IntrospectionRequests()); n != 3 {
				t.Errorf("the server was asked %d times", n)
			}
		})
	}
}

// The endpoint fails, and the failure is read as "not active", which locks everybody out, or as "active", which lets
// everybody in (RFC 7662 section 2.3). It is neither: the status says whose trouble it is, and the next answer counts.
func TestAttackIntrospectFailureIsReadAsAVerdict(t *testing.T) {
	s := prepare(t)
	const yes = `{"active":true,"sub":"mallory","aud":"` + audience + `"}`
	answer := func(status int) func(*tokentest.AS) {
		return func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Status: status, Body: yes}))
		}
	}
	for name, trouble := range map[string]struct {
		make   func(*tokentest.AS)
		status int
	}{
		"201":                    {answer(201), 502},
		"202":                    {answer(202), 502},
		"206":                    {answer(206), 502},
		"302":                    {answer(302), 502},
		"400":                    {answer(400), 502},
		"401":                    {answer(401), 502},
		"403":                    {answer(403), 502},
		"404":                    {answer(404), 502},
		"429":                    {answer(429), 503},
		"500":                    {answer(500), 503},
		"502":                    {answer(502), 503},
		"503":                    {answer(503), 503},
		"our secret was changed": {func(as *tokentest.AS) { as.SetClient("gateway", "another") }, 502},
		"no answer":              {func(as *tokentest.AS) { as.Stall() }, 504},
		"nobody there":           {func(as *tokentest.AS) { as.Down() }, 503},
		"a page that says active": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: yes, ContentType: "text/html"}))
		}, 502},
		"a text that says active": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: yes, ContentType: "text/plain"}))
		}, 502},
		"an answer without a type": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: yes, Header: http.Header{"Content-Type": nil}}))
		}, 502},
		"an answer with two types": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: yes,
				Header: http.Header{"Content-Type": {"application/json", "text/html"}}}))
		}, 502},
		"half an answer": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: yes[:len(yes)-1]}))
		}, 502},
		"an answer in UTF-16": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: "\xff\xfe{\x00"}))
		}, 502},
		"an answer nobody can read": {func(as *tokentest.AS) {
			as.Introspect(always(tokentest.IntrospectionAnswer{Body: yes, Header: http.Header{"Content-Encoding": {"br"}}}))
		}, 502},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := introspector(t)
			as.Introspect(always(active()))
			a.restart(gateFor(introspecting(as, "opaque", "endpoint "+as.IntrospectionURL(), "timeout 500ms",
				"negative_ttl 0s")))
			trouble.make(as)
			a.ourFault(a.send("opaque"), trouble.status)
			a.ourFault(a.send("opaque"), trouble.status)
			as.Down() // ends a stall, too
			as.Up()
			as.SetClient("gateway", gatewaySecret)
			as.Introspect(always(active()))
			a.passed(a.send("opaque"))
			as.Introspect(always(tokentest.IntrospectionAnswer{}))
			a.refusedFor(a.send("another"), "inactive")
		})
	}
}

// The same text is a token at one server and nothing, or another one's, at the other, and the cache gives the answer of
// the first: CVE-2026-33496, whose keys left the server out. What an answer is remembered under binds the server, our
// client there, and everything that is sent along.
func TestAttackIntrospectCacheOfAnotherServer(t *testing.T) {
	one, two := introspector(t), introspector(t)
	one.Introspect(always(active("sub", "admin")))
	perClient := tokentest.NewAS(t)
	perClient.Introspect(func(r *tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		if r.ClientID != "one" || r.Form.Get("resource") != "" {
			return tokentest.IntrospectionAnswer{}
		}
		return active()
	})
	client := func(id string, lines ...string) string {
		return issuerWithKeys(perClient.URL, "discovery",
			append(append([]string{"introspect opaque {", "client_id " + id, "client_secret s3cr3t"}, lines...), "}")...)
	}
	on := func(path, issuer string) string {
		return strings.Replace(gateFor(issuer), "bearer_auth", "bearer_auth "+path, 1)
	}
	s := start(t, strings.Join([]string{
		on("/one", introspecting(one, "opaque")), on("/two", introspecting(two, "opaque")),
		on("/client/one", client("one")), on("/client/two", client("two")),
		on("/client/param", client("one", "param resource x")),
	}, "\n"))
	for _, first := range []bool{true, false} {
		for name, paths := range map[string][2]string{
			"another server":    {"/one", "/two"},
			"another client":    {"/client/one", "/client/two"},
			"another parameter": {"/client/one", "/client/param"},
			"another of both":   {"/one", "/client/two"},
		} {
			s.attack(t, fmt.Sprintf("%s, the good one first: %v", name, first), func(t *testing.T, a *attempt) {
				token := fmt.Sprintf("the-same-token-%s-%v", strings.ReplaceAll(name, " ", "-"), first)
				token = strings.ReplaceAll(token, "'", "")
				for range 3 {
					if first {
						a.passed(a.get(paths[0], token))
					}
					a.refusedFor(a.get(paths[1], token), "inactive")
					if !first {
						a.passed(a.get(paths[0], token))
					}
				}
			})
		}
	}
}

// refusedFrom polls with a token that must be refused from a moment on, and fails when a request that began after that
// passes.
func (a *attempt) refusedFrom(moment time.Time, token string) {
	a.t.Helper()
	eventually(a.t, "the token is refused", func() bool {
		began := time.Now()
		status, err := a.status(token)
		if err == nil && status == http.StatusOK && !began.Before(moment) {
			a.t.Fatalf("it passed %v after it must not pass any more", began.Sub(moment))
		}
		return err == nil && status == http.StatusUnauthorized
	})
	a.drain()
}

// An answer is remembered for longer than the token lives, and the memory answers for a token that has ended (RFC 7662
// section 4; CWE-613 in several resource servers). The end is judged on every request.
func TestAttackIntrospectRememberedPastItsEnd(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "past")
	as := introspector(t, tokentest.WithKeys(key))
	opaque := introspecting(as, "opaque", "cache_ttl 5m")
	s := prepare(t)
	s.attack(t, "an opaque token", func(t *testing.T, a *attempt) {
		a.restart(gateFor("leeway 0s", opaque))
		end := time.Now().Truncate(time.Second).Add(3 * time.Second)
		as.Introspect(always(active("exp", end.Unix())))
		a.passed(a.send("opaque"))
		a.refusedFrom(end, "opaque")
		a.refusedFor(a.send("opaque"), "expired")
	})
	s.attack(t, "an end with a fraction", func(t *testing.T, a *attempt) {
		a.restart(gateFor("leeway 0s", opaque))
		end := time.Now().Add(2500 * time.Millisecond)
		as.Introspect(always(active("exp", float64(end.UnixMilli())/1000)))
		a.passed(a.send("fraction"))
		a.refusedFrom(end, "fraction")
		a.refusedFor(a.send("fraction"), "expired")
	})
	s.attack(t, "a JWT whose answer ends before it does", func(t *testing.T, a *attempt) {
		a.restart(gateFor("leeway 0s", introspecting(as, "always", "cache_ttl 5m")))
		end := time.Now().Truncate(time.Second).Add(3 * time.Second)
		as.Introspect(always(active("exp", end.Unix())))
		token := key.Sign(t, issuedBy(as.URL))
		for range 3 {
			a.passed(a.send(token))
		}
		a.refusedFrom(end, token)
		a.refusedFor(a.send(token), "expired")
	})
	for name, exp := range map[string]int64{"already over": -1, "over now": 0, "zero": -time.Now().Unix()} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			a.restart(gateFor("leeway 0s", opaque))
			as.Introspect(always(active("exp", time.Now().Unix()+exp)))
			for range 3 {
				a.refusedFor(a.send("over"), "expired")
			}
		})
	}
}

// A token is revoked after its answer was remembered, and goes on passing. It does for no longer than cache_ttl says,
// however often it is used meanwhile, and not at all on a route that takes no remembered answer.
func TestAttackIntrospectRememberedAfterRevocation(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "revocation")
	s := prepare(t)
	for mode, token := range map[string]func(as *tokentest.AS) string{
		"opaque": func(*tokentest.AS) string { return "opaque" },
		"always": func(as *tokentest.AS) string { return key.Sign(t, issuedBy(as.URL)) },
	} {
		s.attack(t, mode, func(t *testing.T, a *attempt) {
			as := introspector(t, tokentest.WithKeys(key))
			as.Introspect(always(active()))
			a.restart(gateFor(introspecting(as, mode, "cache_ttl 1s")))
			token := token(as)
			a.passed(a.send(token))
			a.refusedFrom(time.Now().Add(time.Second), revoke(as, token))
			a.refusedFor(a.send(token), "inactive")
		})
		s.attack(t, mode+", on a route that asks every time", func(t *testing.T, a *attempt) {
			as := introspector(t, tokentest.WithKeys(key))
			as.Introspect(always(active()))
			a.restart(gateFor(introspecting(as, mode, "cache_ttl 5m"), "introspect max_age 0s"))
			token := token(as)
			a.passed(a.send(token))
			revoke(as, token)
			a.refusedFor(a.send(token), "inactive")
			as.Down()
			a.ourFault(a.send(token), http.StatusServiceUnavailable)
		})
	}
	s.attack(t, "remembering is turned off", func(t *testing.T, a *attempt) {
		as := introspector(t)
		as.Introspect(always(active()))
		a.restart(gateFor(introspecting(as, "opaque", "cache_ttl 0s")))
		a.passed(a.send("opaque"))
		revoke(as, "opaque")
		a.refusedFor(a.send("opaque"), "inactive")
	})
}

// revoke makes a server call every token inactive. It gives back the token.
func revoke(as *tokentest.AS, token string) string {
	as.Introspect(always(tokentest.IntrospectionAnswer{}))
	return token
}

// Somebody presents a token before it is active, or while the server has trouble, and the refusal is remembered for its
// owner. Inactive answers are remembered for a moment only, and trouble is not remembered at all.
func TestAttackIntrospectPoisonedByARefusal(t *testing.T) {
	long(t)
	s := prepare(t)
	s.attack(t, "before the server knows it", func(t *testing.T, a *attempt) {
		as := introspector(t)
		a.restart(gateFor(introspecting(as, "opaque", "negative_ttl 1s")))
		a.refusedFor(a.send("early"), "inactive")
		as.Introspect(always(active()))
		eventually(t, "it passes", func() bool {
			status, err := a.status("early")
			return err == nil && status == http.StatusOK
		})
		a.drain()
		a.passed(a.send("early"))
	})
	s.attack(t, "before its time", func(t *testing.T, a *attempt) {
		as := introspector(t)
		begin := time.Now().Truncate(time.Second).Add(2 * time.Second)
		as.Introspect(always(active("nbf", begin.Unix())))
		a.restart(gateFor("leeway 0s", introspecting(as, "opaque", "cache_ttl 5m", "negative_ttl 5m")))
		if got := a.send("early"); time.Now().Before(begin) {
			a.refusedFor(got, "not_yet_valid")
		}
		eventually(t, "it passes", func() bool {
			status, err := a.status("early")
			if err == nil && status == http.StatusOK && time.Now().Before(begin) {
				t.Fatal("it passed before its time")
			}
			return err == nil && status == http.StatusOK
		})
	})
	for name, answer := range map[string]tokentest.IntrospectionAnswer{
		"while the server is down": {Status: http.StatusServiceUnavailable},
		"while it answers rubbish": {Body: "inactive"},
		"while it has no verdict":  {Body: `{"active":null}`},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as := introspector(t)
			as.Introspect(always(answer))
			a.restart(gateFor(introspecting(as, "opaque", "negative_ttl 5m")))
			if got := a.send("early"); got.StatusCode < 500 {
				t.Errorf("status %d", got.StatusCode)
			}
			as.Introspect(always(active()))
			a.passed(a.send("early"))
		})
	}
	// The token is left alone for seconds then, which is never as long as inactive answers are remembered. The servers
	// share a gate, so that these seconds pass at the same time.
	answers := map[string]tokentest.IntrospectionAnswer{
		"while it refuses us":        {Status: http.StatusUnauthorized},
		"while it limits the number": {Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
		"while it fails":             {Status: http.StatusInternalServerError},
	}
	servers, blocks := make(map[string]*tokentest.AS), []string{}
	early := func(name string) string { return strings.ReplaceAll(name, " ", "-") + "_early" }
	for name, answer := range answers {
		servers[name] = introspector(t)
		servers[name].Introspect(always(answer))
		prefix := strings.TrimSuffix(early(name), "early")
		blocks = append(blocks, introspecting(servers[name], "opaque", "negative_ttl 5m", "prefix "+prefix))
	}
	s.load(gateFor(blocks...))
	for name, as := range servers {
		if status, err := s.status(early(name)); err != nil || status < 500 {
			t.Errorf("%s: status %d, %v", name, status, err)
		}
		as.Introspect(always(active()))
		s.accepts(strings.Replace(early(name), "early", "another", 1))
	}
	for name := range answers {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			eventually(t, "it passes", func() bool {
				status, err := a.status(early(name))
				return err == nil && status == http.StatusOK
			})
		})
	}
}

// Thousands of invented tokens, each a question: the authorization server goes down under them, or the gate runs out of
// memory for those that wait. Few questions are under way, a bounded number waits, and tokens that are known do
// neither.
func TestAttackIntrospectFlood(t *testing.T) {
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

// The server is shown tokens that the gate could have refused by itself, and learns who is calling, what they have, and
// when (RFC 7662 section 5). It is asked only about what passes here.
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
		"opaque": {strings.Replace(introspecting(as, "opaque"), "introspect", "require sub\nintrospect", 1)},
		"always": {strings.Replace(introspecting(as, "always"), "introspect", "require sub\nintrospect", 1)},
		"force": {strings.Replace(introspecting(as, "opaque"), "introspect", "require sub\nintrospect", 1),
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

// The server's answer is about another token: of another issuer, for another service, of another client, or of another
// kind. An answer is held to the same rules as a token, and must agree with the token when that says something itself.
func TestAttackIntrospectAnswerAboutAnotherToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "another")
	now := time.Now().Unix()
	s := prepare(t)
	for name, test := range map[string]struct {
		changes []any
		reasons []string
		jwtOnly bool // an opaque token says nothing that could be contradicted
	}{
		"another issuer":          {[]any{"iss", "https://other.example.com"}, []string{"invalid_issuer"}, false},
		"the issuer with a slash": {[]any{"iss", "https://as.example.com/"}, []string{"invalid_issuer"}, false},
		"another audience": {[]any{"aud", "https://other.example.com"}, []string{"invalid_audience", "contradiction"},
			false},
		"an audience in part": {[]any{"aud", audience + ".example.com"}, []string{"invalid_audience", "contradiction"},
			false},
		"another client":           {[]any{"client_id", "other"}, []string{"claim_mismatch", "contradiction"}, false},
		"another subject":          {[]any{"sub", "bob"}, []string{"contradiction"}, true},
		"a refresh token":          {[]any{"token_type", "refresh_token"}, []string{"invalid_type"}, false},
		"a refresh token's use":    {[]any{"token_use", "refresh_token"}, []string{"invalid_type"}, false},
		"an ID token":              {[]any{"token_use", "id"}, []string{"invalid_type"}, false},
		"a token of another type":  {[]any{"token_type", "mac"}, []string{"invalid_type"}, false},
		"one bound by its type":    {[]any{"token_type", "DPoP"}, []string{"proof_required"}, false},
		"a token bound to a key":   {[]any{"cnf", map[string]any{"jkt": "x"}}, []string{"proof_required"}, false},
		"bound to a certificate":   {[]any{"cnf", map[string]any{"x5t#S256": "x"}}, []string{"proof_required"}, false},
		"bound in an unknown way":  {[]any{"cnf", map[string]any{"x": 1}}, []string{"proof_required"}, false},
		"bound to nothing":         {[]any{"cnf", map[string]any{}}, []string{"proof_required"}, false},
		"not yet valid":            {[]any{"nbf", now + 600}, []string{"not_yet_valid"}, false},
		"issued in the future":     {[]any{"iat", now + 600}, []string{"not_yet_valid"}, false},
		"with less scope":          {[]any{"scope", "write"}, []string{"insufficient_scope"}, false},
		"with a scope of its case": {[]any{"scope", "READ"}, []string{"insufficient_scope"}, false},
	} {
		for mode, token := range map[string]func(as *tokentest.AS) string{
			"opaque": func(*tokentest.AS) string { return "opaque" },
			"always": func(as *tokentest.AS) string {
				return key.Sign(t, issuedBy(as.URL, "client_id", "app", "scope", "read"))
			},
		} {
			if test.jwtOnly && mode == "opaque" {
				continue
			}
			s.attack(t, mode+": "+name, func(t *testing.T, a *attempt) {
				as := introspector(t, tokentest.WithKeys(key))
				a.restart(gateFor("require scope read", "require claim client_id app", introspecting(as, mode)))
				same := []any{"sub", "alice", "client_id", "app", "scope", "read"}
				as.Introspect(always(active(append(same, test.changes...)...)))
				token := token(as)
				for range 3 { // the answer is remembered, and judged again
					a.refusedFor(a.send(token), test.reasons...)
				}
				if n := len(as.IntrospectionRequests()); n != 1 {
					t.Errorf("the server was asked %d times", n)
				}
			})
		}
	}
}

// Answers are wanted signed (RFC 9701), and somebody on the way, or the server itself, gives a plain one, an old one,
// or one for somebody else. That is no answer.
func TestAttackIntrospectSignedAnswerIsDowngraded(t *testing.T) {
	key, mallory := tokentest.NewKey(t, "ES256", "signed"), tokentest.NewKey(t, "ES256", "mallory").WithKID("signed")
	as := introspector(t, tokentest.WithKeys(key))
	now := time.Now().Unix()
	const signedType = "application/token-introspection+jwt"
	sign := func(by *tokentest.Key, typ any, changes ...any) tokentest.IntrospectionAnswer {
		payload := issuedBy(as.URL,
			append([]any{"aud", "gateway", "iat", now, "token_introspection", active().Claims}, changes...)...)
		return tokentest.IntrospectionAnswer{Body: by.Sign(t, payload, map[string]any{"typ": typ}), ContentType: signedType}
	}
	const typ = "token-introspection+jwt"
	good := sign(key, typ)
	s := prepare(t)
	s.attack(t, "control: a good one", func(t *testing.T, a *attempt) {
		as.Introspect(always(good))
		a.restart(gateFor(introspecting(as, "opaque", "signed")))
		a.passed(a.send("opaque"))
	})
	for name, answer := range map[string]tokentest.IntrospectionAnswer{
		"plain":                active(),
		"plain, called signed": {Body: asJSON(t, active().Claims), ContentType: signedType},
		"signed, called plain": {Body: good.Body},
		"signed, called a JWT": {Body: good.Body, ContentType: "application/jwt"},
		"alg none": {Body: key.SignRaw(`{"alg":"none","typ":"token-introspection+jwt"}`,
			asJSON(t, map[string]any{"iss": as.URL, "aud": "gateway", "iat": now, "token_introspection": active().Claims})),
			ContentType: signedType},
		"without a signature":          {Body: good.Body[:strings.LastIndexByte(good.Body, '.')+1], ContentType: signedType},
		"signed by somebody else":      sign(mallory, typ),
		"one bit of the signature":     {Body: tokentest.FlipSignature(t, good.Body), ContentType: signedType},
		"an access token":              sign(key, "at+jwt"),
		"a JWT of no kind":             sign(key, nil),
		"for another client":           sign(key, typ, "aud", "other"),
		"for nobody":                   sign(key, typ, "aud", nil),
		"of another issuer":            sign(key, typ, "iss", "https://other.example.com"),
		"of nobody":                    sign(key, typ, "iss", nil),
		"ten minutes old":              sign(key, typ, "iat", now-600),
		"of the future":                sign(key, typ, "iat", now+600),
		"without a date":               sign(key, typ, "iat", nil),
		"the verdict at the top":       sign(key, typ, "token_introspection", nil, "active", true),
		"the verdict as text":          sign(key, typ, "token_introspection", asJSON(t, active().Claims)),
		"a verdict that is no boolean": sign(key, typ, "token_introspection", map[string]any{"active": "true"}),
		"two verdicts": {Body: key.SignRaw(`{"alg":"ES256","kid":"signed","typ":"token-introspection+jwt"}`,
			`{"iss":"`+as.URL+`","aud":"gateway","iat":`+strconv.FormatInt(now, 10)+
				`,"token_introspection":{"active":false},"token_introspection":{"active":true}}`), ContentType: signedType},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			as.Introspect(always(answer))
			a.restart(gateFor(introspecting(as, "opaque", "signed")))
			a.ourFault(a.send("opaque"), http.StatusBadGateway)
		})
	}
	s.attack(t, "a signed answer where plain ones are wanted", func(t *testing.T, a *attempt) {
		as.Introspect(always(good))
		a.restart(gateFor(introspecting(as, "opaque")))
		a.ourFault(a.send("opaque"), http.StatusBadGateway)
	})
	s.attack(t, "a signed answer as a token", func(t *testing.T, a *attempt) {
		a.restart(gateFor(introspecting(as, "opaque", "signed")))
		a.refusedFor(a.send(sign(key, typ, "aud", audience, "sub", "mallory").Body), "invalid_type")
	})
}

// The gate can be asked whether a token exists: at an address of its own, or by what its refusals say. There is no such
// address, and all tokens that are not good get the same answer.
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

// A token is made so that it becomes more than one parameter of the question, or ends it (CWE-88, as in resource
// servers that paste it in). It arrives as it is, as one parameter, or is refused before anybody is asked.
func TestAttackIntrospectParametersInTheToken(t *testing.T) {
	as := introspector(t)
	s := start(t,
		gateFor("token_from header Authorization Bearer", "token_from query access_token", introspecting(as, "opaque")))
	for _, token := range []string{
		"x&token_type_hint=refresh_token", "x&client_id=admin&client_secret=x", "x&token=good", "x;token=good",
		"x%26token=good", "x#", "x\r\n\r\ntoken=good",
		"x+token=good", "x token=good", "x\x00good", "x=&good", "../good", "good?", "\"good\"", "g\u00f6\u00f6d", "x==",
		"good/+~.-_==",
	} {
		s.attack(t, strconv.Quote(token), func(t *testing.T, a *attempt) {
			before := len(as.IntrospectionRequests())
			r := a.request(http.MethodGet, "/", nil)
			query := r.URL.Query()
			query.Set("access_token", token)
			r.URL.RawQuery = query.Encode()
			a.neverForwarded(a.do(r))
			for _, asked := range as.IntrospectionRequests()[before:] {
				if asked.Token != token || len(asked.Form) != 2 || len(asked.Form["token"]) != 1 ||
					asked.TokenTypeHint != "access_token" || asked.ClientID != "gateway" {
					t.Errorf("the question was %v", asked.Form)
				}
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
		"an audience that is none": {func(w http.ResponseWriter, _ *http.Request) {
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
			// What is on its way in the buffers of both ends is not taken, but cannot be told from it.
			if n := sent.Load(); n > 64<<20 {
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
}

// The address of the server is that of something else, which does not speak HTTP and sends back what it gets; Go's
// errors quote that, and so token and credentials are in the log (CWE-532). What a server has sent is not logged.
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
				issuerWithKeys("https://as.example.com", "jwks "+echo.URL+"/jwks", "request_header X-Api-Key "+key,
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
