package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The Caddyfile of the manual, with callers who meet it and callers who nearly do.
func TestRecipeOfRequirements(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	s.recipe("Requirements", 1, "https://auth.example.com", as.URL)
	good := []any{"aud", "https://deploy.example.com", "sub", "repo:example/api", "level", 5, "scope", "deploy"}
	for name, test := range map[string]struct {
		changes []any
		want    int
	}{
		"all of it":                     {nil, 200},
		"the other pattern":             {[]any{"sub", "alice@example.com"}, 200},
		"the least level":               {[]any{"level", 3.0}, 200},
		"the greatest level":            {[]any{"level", 7}, 200},
		"a role in place of the scope":  {[]any{"scope", nil, "roles", []string{"x", "deployer"}}, 200},
		"another environment":           {[]any{"environment", "staging"}, 200},
		"another organization":          {[]any{"sub", "repo:example-evil/api"}, 403},
		"the organization alone":        {[]any{"sub", "repo:example"}, 403},
		"another mail server":           {[]any{"sub", "alice@example.com.evil"}, 403},
		"a level too low":               {[]any{"level", 2.999}, 403},
		"a level too high":              {[]any{"level", 7.001}, 403},
		"a level as a text":             {[]any{"level", "5"}, 403},
		"no level":                      {[]any{"level", nil}, 403},
		"the environment":               {[]any{"environment", "production"}, 403},
		"the environment among others":  {[]any{"environment", []string{"staging", "production"}}, 403},
		"the environment as a name":     {[]any{"environment", map[string]any{"production": true}}, 403},
		"another scope, another role":   {[]any{"scope", "deployer", "roles", "deploy"}, 403},
		"neither the scope nor a role":  {[]any{"scope", nil}, 403},
		"the scope under another claim": {[]any{"scope", nil, "scopes", "deploy"}, 403},
	} {
		a := s.get("/", key.Sign(t, issuedBy(as.URL, append(append([]any{}, good...), test.changes...)...)))
		if a.StatusCode != test.want {
			t.Errorf("%s: status %d, want %d", name, a.StatusCode, test.want)
		}
		if a.StatusCode == http.StatusForbidden && !strings.HasSuffix(a.Header.Get("WWW-Authenticate"), ` scope="deploy"`) {
			t.Errorf("%s: challenge %s", name, a.Header.Get("WWW-Authenticate"))
		}
	}
}

// A pattern may match other names than those that were meant. A gate and a matcher warn about it when they load.
func TestWarningOfPatterns(t *testing.T) {
	s := prepare(t)
	s.behind("@them bearer claim sub like user*\nrespond @them yes\nGATE", consumerAlice(t),
		"require claim sub like repo:org/* repo:org*", "require not claim sub like evil*",
		"require any {\nscope a\nclaim email like *example.com\n}")
	for warning, told := range map[string]bool{
		`require claim sub like repo:org* also matches \"repo:org-evil\"`:             true,
		`require any: claim email like *example.com also matches \"evilexample.com\"`: true,
		`bearer claim sub like user* also matches \"user-evil\"`:                      true,
		`like repo:org/* also`: false,
		`like evil* also`:      false,
	} {
		if s.logged(warning) != told {
			t.Errorf("%s: told %v", warning, !told)
		}
	}
}

// The metadata of a resource lists the scopes of alternatives, and a challenge names those of the first one.
func TestScopesOfAlternativesInMetadata(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := prepare(t)
	s.load(gateFor("resource https://gate.test/", issuerByJWKS(as), "require scope base",
		"require any {\nclaim roles x\nany_scope a b\nscope c\n}"))
	a := s.get("/.well-known/oauth-protected-resource", "")
	if !strings.Contains(a.body, `"scopes_supported":["base","a","b","c"]`) {
		t.Errorf("status %d, %s", a.StatusCode, a.body)
	}
	if a := s.get("/", ""); !strings.Contains(a.Header.Get("WWW-Authenticate"), ` scope="base a",`) {
		t.Errorf("challenge %s", a.Header.Get("WWW-Authenticate"))
	}
}
