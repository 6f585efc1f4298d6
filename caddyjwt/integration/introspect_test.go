package integration

import (
	"encoding/base64"
	"net/http"
	"strings"
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
		gateForAudience(introspecting(as, "opaque", "param resource https://api"), "forward_claims X-Email email",
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
	s := start(t, gateForAudience(introspecting(as, "always"), "forward_claims X-Sub sub"))
	who := func(token, want string) {
		t.Helper()
		if got := s.passed(s.get("/", token)).Header.Get("X-Sub"); got != want {
			t.Errorf("%.20s is asked about at %q, want %q", token, got, want)
		}
	}
	who("opaque", "always")
	who(jwe, "always")
	s.refused(s.get("/", foreign), http.StatusUnauthorized, "unknown_issuer")

	s.load(gateForAudience(introspecting(as, "always"), introspecting(other, "opaque"), "forward_claims X-Sub sub"))
	who("opaque", "opaque")
	who(jwe, "opaque")

	s.load(gateForAudience(introspecting(as, "always", "prefix a_"), introspecting(other, "opaque"),
		"forward_claims X-Sub sub"))
	who("a_opaque", "always")
	who("opaque", "opaque")

	s.load(gateForAudience(introspecting(as, "always"), introspecting(other, "always")))
	s.refused(s.get("/", "opaque"), http.StatusUnauthorized, "malformed_token")
	s.refused(s.get("/", jwe), http.StatusUnauthorized, "malformed_token")
	for _, cause := range []string{"opaque token, and several issuers here",
		"encrypted token (JWE), and no key here opens it"} {
		if !s.logged("malformed_token", cause) {
			t.Errorf("the log does not say %q", cause)
		}
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

// The metadata of such an issuer need not name a key set. Nobody must hear of missing keys that nobody wants.
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
