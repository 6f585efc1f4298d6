package integration

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const proxiesPage = "from-proxies.md"

// Each function of Traefik Hub in docs/from-proxies.md has a line that refuses what the function does.
func TestClaimsOfTraefikHub(t *testing.T) {
	linesOf(t, proxiesPage, "Function there | Line here | What is different", map[string]line{
		"require claim grp admin": {changed{{"grp", "admin"}, {"grp", []string{"x", "admin"}}},
			changed{nil, {"grp", "admins"}}},
		"require claim active true": {changed{{"active", true}, {"active", "true"}}, changed{nil, {"active", false}}},
		`require claim user.name "John Snow"`: {changed{{"user", map[string]any{"name": "John Snow"}}},
			changed{{"user", map[string]any{"name": "John"}}, {"user.name", "John Snow"}}},
		"require claim referrer like https://example.com/*": {changed{{"referrer", "https://example.com/x"}},
			changed{nil, {"referrer", "https://example.com.evil/"}}},
		"require claim areas home": {changed{{"areas", []string{"office", "home"}}, {"areas", "home"}},
			changed{{"areas", []string{"office"}}, {"areas", "homeless"}}},
		"require claim areas office lab": {changed{{"areas", []string{"x", "lab"}}},
			changed{nil, {"areas", []string{"home"}}}},
		"require scope writer":          {changed{{"scope", "reader writer deploy"}}, changed{nil, {"scope", "writers"}}},
		"require not claim grp testers": {changed{nil, {"grp", "x"}}, changed{{"grp", "testers"}}},
	})
}

// Each Caddyfile of docs/from-proxies.md accepts what the other proxy accepts, and tells the backend the same. It
// refuses what that proxy refuses, and what the page says that only the gate refuses.
func TestMovesFromOtherProxies(t *testing.T) {
	key, stranger := tokentest.NewKey(t, "ES256", "e1"), tokentest.NewKey(t, "ES256", "e2").WithKID("e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	const iss = "https://auth.example.com"
	fetched := func(changes ...any) string {
		return key.Sign(t, issuedBy(as.URL, append([]any{"scope", "openid orders:read"}, changes...)...))
	}
	member := memberOf(t, key, as)
	filed := func(changes ...any) string {
		return key.Sign(t, issuedBy(iss, append([]any{"scope", "openid orders:read"}, changes...)...))
	}
	tenant := map[string]any{"tenant": "acme"}
	playAll(t, s, proxiesPage, []move{
		{"Traefik", 1, []string{iss + "/oauth2/keys", as.JWKSURL(), iss, as.URL}, map[string]moved{
			"good": {token: fetched("org", tenant),
				seen: []string{"X-User", "alice", "X-Tenant", "acme", "Authorization", ""}},
			"no tenant":        {token: fetched(), seen: []string{"X-User", "alice", "X-Tenant", ""}},
			"no token":         bad(401, "missing_token", ""),
			"no scope":         bad(403, "insufficient_scope", fetched("scope", "openid")),
			"a longer scope":   bad(403, "insufficient_scope", fetched("scope", "orders:reader")),
			"a longer text":    bad(401, "invalid_audience", fetched("aud", audience+".evil.example")),
			"another issuer":   bad(401, "unknown_issuer", fetched("iss", iss)),
			"another key":      bad(401, "invalid_signature", stranger.Sign(t, issuedBy(as.URL, "scope", "orders:read"))),
			"no end":           bad(401, "missing_claim", fetched("exp", nil)),
			"a refresh token":  bad(401, "invalid_type", fetched("typ", "Refresh")),
			"issued in future": bad(401, "not_yet_valid", fetched("iat", 4102444800, "exp", 4102445800)),
		}},
		{"oauth2-proxy", 1, []string{iss, as.URL}, map[string]moved{
			"good": {token: member(), seen: []string{"X-Forwarded-User", "alice", "X-Forwarded-Email", "alice@example.com",
				"X-Forwarded-Groups", "staff,clerks", "X-Forwarded-Preferred-Username", "Alice", "Authorization", ""}},
			"no name": {token: member("preferred_username", nil),
				seen: []string{"X-Forwarded-Preferred-Username", ""}},
			"no token":              bad(401, "missing_token", ""),
			"another client":        bad(401, "invalid_audience", member("aud", "billing")),
			"another domain":        bad(403, "claim_mismatch", member("email", "alice@example.com.evil.example")),
			"a domain below":        bad(403, "claim_mismatch", member("email", "alice@sub.example.com")),
			"no email, but a sub":   bad(403, "claim_mismatch", member("email", nil, "sub", "alice@example.com")),
			"an unverified email":   bad(403, "claim_mismatch", member("email_verified", false)),
			"nobody has verified":   bad(403, "claim_mismatch", member("email_verified", nil)),
			"another group":         bad(403, "claim_mismatch", member("groups", []string{"staff"})),
			"no group":              bad(403, "claim_mismatch", member("groups", nil)),
			"a text, not a list":    bad(403, "claim_mismatch", member("groups", "staff,clerks")),
			"expired":               bad(401, "expired", member("exp", 1)),
			"an ID token":           bad(401, "invalid_type", member("typ", "ID")),
			"as a password":         bad(401, "missing_token", "", "Authorization", "Basic YWxpY2U6eA=="),
			"a changed signature":   bad(401, "invalid_signature", tokentest.FlipSignature(t, member())),
			"beside another token":  bad(400, "malformed_request", member(), "Authorization", "Bearer "+member()),
			"a token of nobody":     bad(401, "unknown_issuer", member("iss", "https://evil.example")),
			"good, but not for now": bad(401, "not_yet_valid", member("nbf", 4102444800)),
		}},
		{"nginx", 1, []string{"/etc/caddy/keys.json", writeFile(t, filepath.Join(t.TempDir(), "keys.json"),
			tokentest.JWKS(key))}, map[string]moved{
			"good":                {token: filed(), seen: []string{"X-User", "alice", "Authorization", ""}},
			"a list of audiences": {token: filed("aud", []string{"x", audience}), seen: []string{"X-User", "alice"}},
			"no subject":          {token: filed("sub", nil), seen: []string{"X-User", ""}},
			"no token":            bad(401, "missing_token", ""),
			"no scope":            bad(403, "insufficient_scope", filed("scope", "openid")),
			"another issuer":      bad(401, "unknown_issuer", filed("iss", "https://evil.example")),
			"another audience":    bad(401, "invalid_audience", filed("aud", "https://other.example.com")),
			"joined audiences":    bad(401, "invalid_audience", filed("aud", "x,"+audience)),
			"another key":         bad(401, "invalid_signature", stranger.Sign(t, issuedBy(iss, "scope", "orders:read"))),
			"expired":             bad(401, "expired", filed("exp", 1)),
			"no end":              bad(401, "missing_claim", filed("exp", nil)),
		}},
	}, 1)
}

// memberOf makes tokens for the client of the examples for oauth2-proxy.
func memberOf(t *testing.T, key *tokentest.Key, as *tokentest.AS) func(changes ...any) string {
	return func(changes ...any) string {
		return key.Sign(t, issuedBy(as.URL, append([]any{"aud", "orders", "email", "alice@example.com",
			"email_verified", true, "groups", []string{"staff", "clerks"}, "preferred_username", "Alice"}, changes...)...))
	}
}

// The second Caddyfile for oauth2-proxy answers another proxy, and tells it who is calling.
func TestAnAnswerForAuthRequestLikeOAuth2Proxy(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	member := memberOf(t, key, as)
	s.recipeIn(proxiesPage, "oauth2-proxy", 2, "https://auth.example.com", as.URL)
	for name, c := range map[string]struct {
		token  string
		status int
		said   string // user, email and groups
	}{
		"good":           {member(), 202, "alice alice@example.com staff,clerks"},
		"no email":       {member("email", nil), 202, "alice  staff,clerks"},
		"no token":       {"", 401, "  "},
		"another group":  {member("groups", []string{"staff"}), 403, "  "},
		"another client": {member("aud", "billing"), 401, "  "},
	} {
		a := s.get("/oauth2/auth", c.token, "X-Auth-Request-User", "forged", "X-Auth-Request-Email", "forged")
		said := strings.Join([]string{a.Header.Get("X-Auth-Request-User"), a.Header.Get("X-Auth-Request-Email"),
			a.Header.Get("X-Auth-Request-Groups")}, " ")
		if a.StatusCode != c.status || said != c.said {
			t.Errorf("%s: status %d, %q; want %d, %q", name, a.StatusCode, said, c.status, c.said)
		}
		if challenge := a.Header.Get("WWW-Authenticate"); (challenge == "") != (c.status == http.StatusAccepted) {
			t.Errorf("%s: challenge %q", name, challenge)
		}
	}
}
