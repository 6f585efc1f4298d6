package integration

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// recipe is the n-th Caddyfile of a section of docs/configuration.md: the inside of its one site, with other addresses.
func (s *site) recipe(section string, n int, addresses ...string) {
	s.t.Helper()
	s.recipeIn("configuration.md", section, n, addresses...)
}

// recipeIn is recipe for any document.
func (s *site) recipeIn(document, section string, n int, addresses ...string) {
	s.t.Helper()
	s.loadFile(s.recipeText(document, section, n, addresses...))
}

// recipeText is the whole Caddyfile of a recipe.
func (s *site) recipeText(document, section string, n int, addresses ...string) string {
	s.t.Helper()
	text, err := os.ReadFile("../../docs/" + document)
	if err != nil {
		s.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n## "+section+"\n")
	after, _, _ = strings.Cut(after, "\n## ")
	blocks := strings.Split(after, "```caddyfile\n")
	if len(blocks) <= n {
		s.t.Fatalf("the section %q has %d Caddyfiles", section, len(blocks)-1)
	}
	site, _, _ := strings.Cut(blocks[n], "```")
	_, inside, _ := strings.Cut(site, "{\n")
	inside = strings.TrimSuffix(inside, "}\n")
	for i := 0; i < len(addresses); i += 2 {
		if !strings.Contains(inside, addresses[i]) {
			s.t.Fatalf("%q is not in the recipe:\n%s", addresses[i], inside)
		}
	}
	inside = strings.NewReplacer(append(addresses, "localhost:9000", s.upstream.addr())...).Replace(inside)
	return strings.Replace(s.caddyfile(inside), "\n\treverse_proxy "+s.upstream.addr()+"\n}", "\n}", 1)
}

// The patterns that the manual shows, against claims that come near.
func TestRecipeOfPatterns(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	const github, audience = "https://token.actions.githubusercontent.com", "https://deploy.example.com"
	token := func(changes ...any) string {
		return key.Sign(t, issuedBy(as.URL, append([]any{"aud", audience}, changes...)...))
	}

	s.recipe("Patterns", 2, github, as.URL)
	for sub, want := range map[any]int{
		"repo:example/api:ref:refs/heads/main":                       200,
		"repo:example/web:ref:refs/heads/release-12":                 200,
		"repo:example/api:ref:refs/heads/mainly":                     403,
		"repo:example/api:ref:refs/heads/main\n":                     403,
		"repo:example-evil/api:ref:refs/heads/main":                  403,
		"repo:evil/repo:example/api:ref:refs/heads/main":             403,
		"repo:evil/x\nrepo:example/api:ref:refs/heads/main":          403,
		"repo:example/api:pull_request":                              403,
		"repo:example/x:ref:refs/heads/y/z:ref:refs/heads/main":      403,
		"{http.auth.user.sub}":                                       403,
		"^repo:example/[^/:]+:ref:refs/heads/(main|release-[0-9]+)$": 403,
		nil: 403, // no claim at all
	} {
		if a := s.get("/", token("sub", sub)); a.StatusCode != want {
			t.Errorf("sub %q: status %d, want %d", sub, a.StatusCode, want)
		}
	}
	if a := s.get("/", ""); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("no token: status %d", a.StatusCode)
	}

	s.recipe("Patterns", 1, github, as.URL)
	good := []any{"repository_owner_id", "4711", "ref", "refs/heads/main"}
	for name, test := range map[string]struct {
		changes []any
		want    int
	}{
		"ours":           {good, 200},
		"another owner":  {append(good[:0:0], "repository_owner_id", "47110", "ref", "refs/heads/main"), 403},
		"another branch": {append(good[:0:0], "repository_owner_id", "4711", "ref", "refs/heads/feature"), 403},
		"no branch":      {append(good[:0:0], "repository_owner_id", "4711"), 403},
	} {
		if a := s.get("/", token(test.changes...)); a.StatusCode != test.want {
			t.Errorf("%s: status %d, want %d", name, a.StatusCode, test.want)
		}
	}

	s.behind("route {\nGATE\n@either vars_regexp {http.auth.user.scope} \"(^| )orders:(read|write)( |$)\"\nrespond "+
		"@either yes\nerror 403\n}",
		issuerBlock(as.URL, "audience "+audience, "keys jwks "+as.JWKSURL()))
	for scope, want := range map[any]int{
		"orders:read": 200, "orders:write": 200, "a orders:write b": 200, "orders:read orders:write": 200,
		"orders:delete": 403, "xorders:read": 403, "orders:readonly": 403, "": 403, nil: 403,
	} {
		if a := s.get("/", token("scope", scope)); a.StatusCode != want {
			t.Errorf("scope %q: status %d, want %d", scope, a.StatusCode, want)
		}
	}
}

// Three callers with one name must be three different callers to a backend that is set up as the manual says.
func TestRecipeOfCallersWithTheSameName(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	first, second := tokentest.NewAS(t, tokentest.WithKeys(key)), tokentest.NewAS(t, tokentest.WithKeys(key))
	t.Setenv("ALICE_SECRET", base64.StdEncoding.EncodeToString(hmacKey(t).Secret()))
	s := prepare(t)
	s.recipe("Callers with the same name", 1, "https://auth.example.com", first.URL, "https://partner.example.net",
		second.URL,
		"{env.ALICE_SECRET}", "{env.ALICE_SECRET} base64")
	const audience = "https://api.example.com"
	for want, token := range map[string]string{
		first.URL + "|alice":  key.Sign(t, issuedBy(first.URL, "sub", "alice", "aud", audience)),
		second.URL + "|alice": key.Sign(t, issuedBy(second.URL, "sub", "alice", "aud", audience)),
		"|alice":              hmacKey(t).Sign(t, claims("aud", audience)),
		// When the sub itself looks like issuer and name, the real one begins behind the first bar.
		first.URL + "|" + second.URL +
			"|alice": key.Sign(t, issuedBy(first.URL, "sub", second.URL+"|alice", "aud", audience)),
	} {
		got := s.passed(s.get("/", token, "X-User", "forged"))
		if values := got.Header.Values("X-User"); len(values) != 1 || values[0] != want {
			t.Errorf("X-User %q at the upstream, want %q", values, want)
		}
	}
	s.refused(s.get("/", key.Sign(t, issuedBy(first.URL, "sub", nil, "username", "alice", "aud", audience))),
		http.StatusUnauthorized, "missing_claim")
}

// An answer without a sub is known by its username, unless the issuer asks for a sub.
func TestRecipeOfCallersWithTheSameNameInAnswers(t *testing.T) {
	as := introspector(t)
	as.Introspect(func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		return tokentest.IntrospectionAnswer{Claims: map[string]any{"active": true, "username": "alice", "aud": audience,
			"token_type": "Bearer"}}
	})
	s := prepare(t)
	s.behind("GATE\nrespond {http.auth.user.id}", "audience "+audience, introspecting(as, "opaque"))
	if a := s.get("/", "opaque"); a.body != "alice" {
		t.Errorf("status %d, body %q", a.StatusCode, a.body)
	}
	s.load(gateForAudience(strings.Replace(introspecting(as, "opaque"), "{", "{\nrequired_claims sub", 1)))
	s.refused(s.get("/", "opaque"), http.StatusUnauthorized, "missing_claim")
}

// The JSON body that the manual shows, for every answer to a client's mistake that has a page.
func TestRecipeOfErrorsAsJSON(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	const api = "audience https://api.example.com"
	s.recipeIn("errors.md", "In error routes", 2, "https://auth.example.com", as.URL, api, api+"\nrequire scope orders")
	expired := key.Sign(t, issuedBy(as.URL, "exp", 1))
	good := key.Sign(t, issuedBy(as.URL, "aud", "https://api.example.com"))
	for name, test := range map[string]struct {
		token  string
		status int
		code   string
	}{
		"no token":                  {"", 401, ""},
		"an expired token":          {expired, 401, "invalid_token"},
		"a token without the scope": {good, 403, "insufficient_scope"},
	} {
		a := s.get("/", test.token)
		var body struct {
			Error       *string `json:"error"`
			Description *string `json:"error_description"`
		}
		if err := json.Unmarshal([]byte(a.body), &body); err != nil || body.Error == nil || body.Description == nil {
			t.Errorf("%s: body %q: %v", name, a.body, err)
			continue
		}
		if a.StatusCode != test.status || *body.Error != test.code || (*body.Description == "") != (test.code == "") ||
			a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: status %d, %s %s; want status %d and code %q", name, a.StatusCode,
				a.Header.Get("Content-Type"), a.body, test.status, test.code)
		}
	}
}
