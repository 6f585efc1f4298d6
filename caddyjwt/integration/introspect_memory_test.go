package integration

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

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

// A thousand requests with one new token make one question. It goes on for the others when the first client leaves.
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

// What is remembered survives a reload that changes nothing about the provider, and is out of reach after one that
// does.
func TestIntrospectStateSurvivesReload(t *testing.T) {
	as := introspector(t)
	as.Introspect(always(active()))
	s := start(t, gateForAudience(introspecting(as, "opaque")))
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
		gateForAudience(introspecting(one, "opaque", "prefix one_"), introspecting(two, "opaque", "prefix two_")))
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
	s := start(t, block("1h"))
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
	s := start(t, pem(old))
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
