package integration

import (
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// providers are in the order of the document.
func providers() []provider {
	return slices.Concat(keycloak(), entra(), hosted(), selfHosted(), hydra(), iris(), caddys(), doors(), machines())
}

// Every Caddyfile of docs/providers.md accepts the provider's tokens for this API, and the backend learns from them who
// is calling. It refuses other tokens of the same server, for reasons that the section names.
func TestProvidersOfTheDocumentation(t *testing.T) {
	s := prepare(t)
	sections := providerSections(t)
	for _, p := range providers() {
		t.Run(p.section+" "+strconv.Itoa(p.block), func(t *testing.T) {
			p.play(t, s.in(t), sections[p.section])
		})
	}
}

// Each section has its tests, and each test its section. The table at the top leads to every section.
func TestEveryProviderOfTheDocumentationIsTested(t *testing.T) {
	tested := make(map[string][]int)
	for _, p := range providers() {
		tested[p.section] = append(tested[p.section], p.block)
		refused := 0
		for _, token := range p.tokens {
			if token.reason != "" {
				refused++
			}
		}
		if refused < 2 || refused == len(p.tokens) {
			t.Errorf("%s %d: %d of %d tokens are refused: test both sides", p.section, p.block, refused, len(p.tokens))
		}
	}
	sections := providerSections(t)
	for name, text := range sections {
		var want []int
		for i := range fenced(text, "caddyfile") {
			want = append(want, i+1)
		}
		if got := slices.Sorted(slices.Values(tested[name])); !slices.Equal(got, want) {
			t.Errorf("%q: the Caddyfiles %v are tested, and there are %v", name, got, want)
		}
	}
	top, _, _ := strings.Cut(providersDocument(t), "\n## ")
	for name := range tested {
		if sections[name] == "" {
			t.Errorf("docs/providers.md has no section %q", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		if !strings.Contains(top, "\n| ["+name+"](#") {
			t.Errorf("the table at the top of docs/providers.md does not lead to %q", name)
		}
	}
}

func providersDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// providerSections are the sections of docs/providers.md, by their headings.
func providerSections(t *testing.T) map[string]string {
	t.Helper()
	sections := make(map[string]string)
	for i, section := range regexp.MustCompile(`(?m)^## `).Split(providersDocument(t), -1) {
		if name, text, _ := strings.Cut(section, "\n"); i > 0 {
			sections[name] = text
		}
	}
	return sections
}

// play runs the Caddyfile, and sends the tokens.
func (p *provider) play(t *testing.T, s *site, section string) {
	for _, name := range []string{"GATEWAY_SECRET", "IRIS_SECRET", "SUPABASE_JWT_SECRET"} {
		t.Setenv(name, "5a6f1c0e9d3b47a28c1e0f7d6b5a49385a6f1c0e9d3b")
	}
	key := tokentest.NewKey(t, p.alg, p.kid)
	server := p.serve(t, key)
	changes := []string{}
	if p.upstream != "" {
		changes = append(changes, p.upstream, s.upstream.addr())
	}
	for _, host := range p.hosts {
		changes = append(changes, host, server.URL)
	}
	for text, value := range p.replace {
		changes = append(changes, text, server.made(t, value, key))
	}
	before := int64(len(s.log()))
	s.loadFile(s.recipeText("providers.md", p.section, p.block, changes...))
	warnings := 0
	for line := range strings.Lines(s.logFrom(before)) {
		if strings.Contains(line, "bearer_auth") && strings.Contains(line, `"level":"warn"`) {
			warnings++
			if p.warning == "" || !strings.Contains(line, p.warning) {
				t.Errorf("a warning about the Caddyfile: %s", line)
			}
		}
	}
	if p.warning != "" && warnings == 0 {
		t.Errorf("nobody warns of %q", p.warning)
	}
	if p.public != "" {
		s.passed(s.get(p.public, ""))
	}
	s.refused(s.get("/", ""), http.StatusUnauthorized, "missing_token")
	for _, token := range p.tokens {
		t.Run(token.name, func(t *testing.T) {
			p.send(s.in(t), server, token, key, section)
		})
	}
}

// send sends one token.
func (p *provider) send(s *site, server *fake, token shape, key *tokentest.Key, section string) {
	s.t.Helper()
	field, text := p.field, server.mint(s.t, token, key)
	if field == "" {
		field, text = "Authorization", "Bearer "+text
	}
	a := s.do(s.request(http.MethodGet, "/", nil, field, text))
	if token.reason != "" {
		status := http.StatusUnauthorized
		if token.reason == "claim_mismatch" || token.reason == "insufficient_scope" {
			status = http.StatusForbidden
		}
		s.refused(a, status, token.reason)
		if !strings.Contains(section, "`"+token.reason+"`") {
			s.t.Errorf("the section %q does not name %s", p.section, token.reason)
		}
		return
	}
	got := s.passed(a)
	if len(token.seen) == 0 {
		s.t.Error("nobody looks at what the backend learns")
	}
	for i := 0; i < len(token.seen); i += 2 {
		name, want := token.seen[i], strings.ReplaceAll(token.seen[i+1], "$HOST", server.URL)
		if value := strings.Join(got.Header.Values(name), " | "); value != want {
			s.t.Errorf("%s is %q at the backend, want %q", name, value, want)
		}
	}
	if len(got.Header.Values(field)) > 0 {
		s.t.Errorf("the backend got the token in %s", field)
	}
}
