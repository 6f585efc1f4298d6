package integration

import (
	"net/http"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Each line of the first table in docs/from-envoy.md refuses what it should, and nothing else.
func TestLinesFromEnvoyAndIstio(t *testing.T) {
	linesOf(t, "from-envoy.md", "There | Here | What is different", map[string]line{
		"require claim role clerk boss": {changed{{"role", "boss"}, {"role", []string{"x", "clerk"}}},
			changed{nil, {"role", "Clerk"}, {"role", "clerk boss"}}},
		"require claim role": {changed{{"role", "x"}, {"role", 0}}, changed{nil, {"role", ""}, {"role", []string{}}}},
		"require claim sub like repo:org/*": {changed{{"sub", "repo:org/x"}, {"sub", "repo:org/"}},
			changed{{"sub", "repo:org-evil/x"}, {"sub", "repo:org"}, {"sub", "xrepo:org/x"}}},
		"require claim sub like *@example.com": {changed{{"sub", "a@example.com"}},
			changed{{"sub", "a@example.com.evil"}, {"sub", "a@sub.example.com"}, {"sub", "example.com"}}},
		"require not claim role banned": {changed{nil, {"role", "x"}, {"role", []string{"x"}}},
			changed{{"role", "banned"}, {"role", []string{"x", "banned"}}, {"role", map[string]any{"banned": 1}}}},
		"require not claim role like test-*": {changed{nil, {"role", "contest-1"}},
			changed{{"role", "test-1"}, {"role", []string{"x", "test-"}}, {"role", 7}}},
		"require not claim role": {changed{nil, {"role", ""}, {"role", []string{}}},
			changed{{"role", "x"}, {"role", 0}}},
		"require any_scope read write": {changed{{"scope", "write x"}}, changed{{"scope", "x"}, {"scope", nil}}},
		"require not scope guest":      {changed{{"scope", "x"}, {"scope", nil}}, changed{{"scope", "x guest"}}},
		"require claim sub alice":      {changed{{"sub", "alice"}}, changed{{"sub", "alicea"}}},
		"require claim azp spa":        {changed{{"azp", "spa"}}, changed{nil, {"azp", "spa2"}}},
	})
}

// Each Caddyfile of docs/from-envoy.md lets the right tokens through, and refuses the others.
func TestRecipesFromEnvoyAndIstio(t *testing.T) {
	key, other := tokentest.NewKey(t, "ES256", "e1"), tokentest.NewKey(t, "ES256", "e2")
	as, partner := tokentest.NewAS(t, tokentest.WithKeys(key)), tokentest.NewAS(t, tokentest.WithKeys(other))
	stranger := tokentest.NewKey(t, "ES256", "e3")
	s := prepare(t)
	ours := func(changes ...any) string { return key.Sign(t, issuedBy(as.URL, withAudience(changes)...)) }
	theirs := func(changes ...any) string { return other.Sign(t, issuedBy(partner.URL, withAudience(changes)...)) }
	const first, second = "https://auth.example.com", "https://partner.example.net"
	type request struct {
		token  string
		header []string
		want   int
	}
	for section, c := range map[string]struct {
		addresses []string
		requests  map[string]request
	}{
		"One of several rules": {[]string{first, as.URL}, map[string]request{
			"the scope":              {ours("scope", "x orders:read"), nil, 200},
			"a role":                 {ours("scope", nil, "role", "boss"), nil, 200},
			"a subject":              {ours("scope", nil, "sub", "spiffe://example.org/a"), nil, 200},
			"none of them":           {ours("scope", "orders", "role", "x", "sub", "spiffe://example.org"), nil, 403},
			"a subject that is near": {ours("scope", nil, "sub", "spiffe://example.org.evil/a"), nil, 403},
		}},
		"Tokens of one of several issuers": {[]string{first, as.URL, second, partner.URL}, map[string]request{
			"the first":           {ours(), nil, 200},
			"the second":          {theirs(), nil, 200},
			"neither":             {stranger.Sign(t, issuedBy(as.URL, withAudience(nil)...)), nil, 401},
			"another one's name":  {other.Sign(t, issuedBy(as.URL, withAudience(nil)...)), nil, 401},
			"no token":            {"", nil, 401},
			"both in one request": {ours(), []string{"Authorization", "Bearer " + theirs()}, 400},
		}},
		"Two tokens in one request": {[]string{first, as.URL, second, partner.URL}, map[string]request{
			"both":            {ours(), []string{"X-Partner-Token", theirs()}, 200},
			"only the first":  {ours(), nil, 401},
			"only the second": {"", []string{"X-Partner-Token", theirs()}, 401},
			"the wrong order": {theirs(), []string{"X-Partner-Token", ours()}, 401},
			"the first twice": {ours(), []string{"X-Partner-Token", ours()}, 401},
		}},
		"Requests without a token": {[]string{first, as.URL}, map[string]request{
			"a token": {ours(), nil, 200}, "no token": {"", nil, 200}, "a bad token": {ours() + "x", nil, 401},
			"a token of somebody else": {theirs(), nil, 401},
		}},
		"Other comparisons": {[]string{first, as.URL}, map[string]request{
			"contains":             {ours("azp", "a:tenant-7:b"), nil, 200},
			"nearly contains":      {ours("azp", "a:tenant-77:b"), nil, 403},
			"any case":             {ours("email", "Alice@Example.com"), nil, 200},
			"nearly in any case":   {ours("email", "Alice@Example.comx"), nil, 403},
			"a regular expression": {ours("sub", "repo:example/x:ref:refs/heads/release-1"), nil, 200},
			"nearly so":            {ours("sub", "repo:example-evil/x:ref:refs/heads/release-1"), nil, 403},
			"another type":         {ours("sub", nil, "email", []string{"alice@example.com"}), nil, 403},
			"no such claims":       {ours("sub", nil), nil, 403},
		}},
	} {
		s.recipeIn("from-envoy.md", section, 1, c.addresses...)
		for name, r := range c.requests {
			req := s.request(http.MethodGet, "/", nil, r.header...)
			if r.token != "" {
				req.Header.Add("Authorization", "Bearer "+r.token)
			}
			if a := s.do(req); a.StatusCode != r.want {
				t.Errorf("%s: %s: status %d, want %d", section, name, a.StatusCode, r.want)
			}
		}
	}
}

// withAudience adds the audience that the recipes of the documents have.
func withAudience(changes []any) []any {
	return append([]any{"aud", "https://api.example.com"}, changes...)
}
