package integration

import (
	"encoding/base64"
	"path/filepath"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const pluginsPage = "from-caddy-plugins.md"

// Each rule of caddy-security in docs/from-caddy-plugins.md has a line that refuses what the rule does.
func TestRulesOfCaddySecurity(t *testing.T) {
	linesOf(t, pluginsPage, "Rule there | Line here | What is different", map[string]line{
		"require claim roles clerk boss": {changed{{"roles", "boss"}, {"roles", []string{"x", "clerk"}}},
			changed{nil, {"roles", "Clerk"}, {"roles", "clerk boss"}, {"groups", "clerk"}}},
		"require not claim roles banned": {changed{nil, {"roles", "x"}, {"roles", []string{"x"}}},
			changed{{"roles", "banned"}, {"roles", []string{"x", "banned"}}}},
		"require any_scope orders:read orders:write": {changed{{"scope", "x orders:write"}, {"scp", []string{"orders:read"}}},
			changed{nil, {"scope", "orders:reader"}, {"scope", ""}}},
		"require claim sub alice": {changed{{"sub", "alice"}}, changed{{"sub", "alicea"}, {"sub", nil}}},
		"require claim sub like repo:org/*": {changed{{"sub", "repo:org/x"}},
			changed{{"sub", "repo:org-evil/x"}, {"sub", "xrepo:org/x"}}},
		"require claim email like *@example.com": {changed{{"email", "a@example.com"}},
			changed{nil, {"email", "a@example.com.evil"}, {"email", "a@sub.example.com"}}},
		"require not claim sub like guest:*": {changed{{"sub", "alice"}, {"sub", nil}}, changed{{"sub", "guest:7"}}},
		"require claim email":                {changed{{"email", "x"}}, changed{nil, {"email", ""}}},
		"require not claim picture":          {changed{nil, {"picture", ""}}, changed{{"picture", "x"}}},
	})
}

// Each Caddyfile of docs/from-caddy-plugins.md accepts what the plugin accepts, and tells the backend the same. It
// refuses what the plugin refuses, and what the page says that only the gate refuses.
func TestMovesFromPluginsOfCaddy(t *testing.T) {
	key, stranger := tokentest.NewKey(t, "ES256", "e1"), tokentest.NewKey(t, "ES256", "e2").WithKID("e1")
	secret := tokentest.NewKey(t, "HS256", "")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	const iss = "https://auth.example.com"
	fetched := func(changes ...any) string { return key.Sign(t, issuedBy(as.URL, changes...)) }
	filed := func(changes ...any) string { return key.Sign(t, issuedBy(iss, changes...)) }
	shared := func(changes ...any) string { return secret.Sign(t, issuedBy(iss, changes...)) }
	acme := []any{"username", "alice@acme", "org", map[string]any{"tenant": "acme"}}
	and := func(changes ...any) []any { return append(append([]any{}, acme...), changes...) }
	told := []string{"X-User", "alice@acme", "X-Tenant", "acme", "Authorization", "", "Cookie", ""}
	clerk := []any{"roles", []string{"clerk", "auditor"}, "name", "Alice", "email", "alice@example.com"}
	toldClerk := []string{"X-Token-Subject", "alice", "X-Token-User-Name", "Alice", "X-Token-User-Email",
		"alice@example.com", "X-Token-User-Roles", "clerk,auditor", "Authorization", "", "Cookie", ""}
	folder := t.TempDir()
	playAll(t, s, pluginsPage, []move{
		{"caddy-jwt", 1, []string{iss + "/oauth2/keys", as.JWKSURL(), iss, as.URL}, map[string]moved{
			"a header":            {token: fetched(acme...), seen: told},
			"the query":           {path: "/?a=b&access_token=" + fetched(acme...), seen: told},
			"a cookie":            {header: []string{"Cookie", "user_session=" + fetched(acme...)}, seen: told},
			"no tenant":           {token: fetched("username", "bob"), seen: []string{"X-User", "bob", "X-Tenant", ""}},
			"a list of audiences": {token: fetched(and("aud", []string{"x", audience})...), seen: told},
			"no token":            bad(401, "missing_token", ""),
			"no user claim":       bad(401, "missing_claim", fetched()),
			"another issuer":      bad(401, "unknown_issuer", fetched(and("iss", "https://evil.example")...)),
			"another audience":    bad(401, "invalid_audience", fetched(and("aud", "https://other.example.com")...)),
			"another key":         bad(401, "invalid_signature", stranger.Sign(t, issuedBy(as.URL, acme...))),
			"expired":             bad(401, "expired", fetched(and("exp", 1)...)),
			"not yet good":        bad(401, "not_yet_valid", fetched(and("nbf", 4102444800)...)),
			"no end":              bad(401, "missing_claim", fetched(and("exp", nil)...)),
			"no issuer":           bad(401, "unknown_issuer", fetched(and("iss", nil)...)),
			"an ID token":         bad(401, "invalid_type", fetched(and("token_use", "id")...)),
			"two tokens, both good": bad(400, "malformed_request", fetched(acme...),
				"Cookie", "user_session="+fetched(acme...)),
			"an HMAC of the public key": bad(401, "unsupported_algorithm", shared(and("iss", as.URL)...)),
		}},
		{"caddy-jwt", 2, []string{"/etc/caddy/sign_key", writeFile(t, filepath.Join(folder, "sign_key"),
			base64.StdEncoding.EncodeToString(secret.Secret())+"\n")}, map[string]moved{
			"any audience":      {token: shared("aud", "x"), seen: []string{"X-User", "alice", "Authorization", ""}},
			"no audience":       {token: shared("aud", nil), seen: []string{"X-User", "alice"}},
			"another secret":    bad(401, "invalid_signature", tokentest.FlipSignature(t, shared())),
			"no user claim":     bad(401, "missing_claim", shared("sub", nil)),
			"no end":            bad(401, "missing_claim", shared("exp", nil)),
			"another algorithm": bad(401, "unsupported_algorithm", secret.WithAlg("HS384").Sign(t, issuedBy(iss))),
		}},
		{"caddy-security", 1, []string{"/etc/caddy/auth.pub.pem", writeFile(t, filepath.Join(folder, "auth.pub.pem"),
			key.PublicPEM())}, map[string]moved{
			"a header": {token: filed(clerk...), seen: toldClerk},
			"a cookie": {header: []string{"Cookie", "access_token=" + filed(clerk...)}, seen: toldClerk},
			"no name and no email": {token: filed("roles", "boss"),
				seen: []string{"X-Token-User-Name", "", "X-Token-User-Email", ""}},
			"a public path":        {path: "/healthz", seen: []string{"X-Token-Subject", "", "X-Token-User-Roles", ""}},
			"near a public path":   {path: "/healthz/", reason: "missing_token", status: 401},
			"no token":             bad(401, "missing_token", ""),
			"a token in the query": {path: "/?access_token=" + filed(clerk...), reason: "missing_token", status: 401},
			"another role":         bad(403, "claim_mismatch", filed("roles", []string{"guest"})),
			"no role":              bad(403, "claim_mismatch", filed()),
			"another issuer":       bad(401, "unknown_issuer", filed("roles", "boss", "iss", "https://evil.example")),
			"another audience":     bad(401, "invalid_audience", filed("roles", "boss", "aud", "https://other.example.com")),
			"no end":               bad(401, "missing_claim", filed("roles", "boss", "exp", nil)),
			"another key":          bad(401, "invalid_signature", stranger.Sign(t, issuedBy(iss, clerk...))),
		}},
	}, 0)
}
