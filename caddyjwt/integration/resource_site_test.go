package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

const (
	tools = "https://gate.test/tools"
	notes = "https://gate.test/notes"
)

// gateOfResource is a gate of a resource for tokens of consumerAlice, with more lines. An issuer that nobody asks is
// there for the metadata.
func gateOfResource(t testing.TB, matcher, resource string, lines ...string) string {
	gate := gateFor(append([]string{"resource " + resource, consumerAlice(t),
		"issuer https://auth.example.com"}, lines...)...)
	return strings.Replace(gate, "bearer_auth", "bearer_auth "+matcher, 1)
}

// metadataPath is where the metadata of a resource with this path is.
func metadataPath(path string) string { return "/.well-known/oauth-protected-resource" + path }

// The metadata of a resource is at its own path, wherever in the configuration its gate is.
func TestMetadataOfResourcesInSites(t *testing.T) {
	type want map[string]string // host and path: resource; "" for none
	inBlocks := func(t *testing.T, kind string, before ...string) []string {
		return append(before,
			kind+" /tools* {\n"+gateOfResource(t, "", tools)+"\n}",
			kind+" /notes* {\n"+gateOfResource(t, "", notes)+"\n}")
	}
	both := want{
		"gate.test" + metadataPath("/tools"): tools, "gate.test" + metadataPath("/notes"): notes,
		"gate.test" + metadataPath(""): "", "gate.test" + metadataPath("/tools/"): "", "gate.test/tools": "",
	}
	for name, c := range map[string]struct {
		sites    func(t *testing.T, s *site) []string
		want     want
		unserved []string // resources that the log warns about
	}{
		"two handle blocks with protected_resource": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://gate.test", inBlocks(t, "handle",
				"protected_resource "+tools, "protected_resource "+notes)...)}
		}, both, nil},
		"two route blocks with protected_resource": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://gate.test", inBlocks(t, "route",
				"protected_resource "+tools, "protected_resource "+notes)...)}
		}, both, nil},
		"two handle blocks without it": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://gate.test", inBlocks(t, "handle")...)}
		}, want{"gate.test" + metadataPath("/tools"): "", "gate.test" + metadataPath("/notes"): ""}, []string{tools, notes}},
		"two handle blocks, one with it": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://gate.test", inBlocks(t, "handle", "protected_resource "+notes)...)}
		}, want{"gate.test" + metadataPath("/tools"): "", "gate.test" + metadataPath("/notes"): notes}, []string{tools}},
		"two gates of a site": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://gate.test",
				gateOfResource(t, "/tools*", tools), gateOfResource(t, "/notes*", notes))}
		}, both, nil},
		"in a route, written before the gate": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://gate.test",
				"route {\nprotected_resource "+tools+"\n"+gateOfResource(t, "", tools)+"\n}")}
		}, want{"gate.test" + metadataPath("/tools"): tools}, nil},
		"in a route, behind another gate": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://gate.test",
				"route {\n"+gateFor(consumerAlice(t))+"\n"+gateOfResource(t, "", tools)+"\n}")}
		}, want{"gate.test" + metadataPath("/tools"): ""}, []string{tools}},
		"in an imported snippet": {func(t *testing.T, s *site) []string {
			return []string{
				"(guarded) {\nprotected_resource {args[0]}\nhandle /tools* {\n" + gateOfResource(t, "", "{args[0]}") + "\n}\n}",
				s.siteOf("http://gate.test", "import guarded "+tools),
				s.siteOf("http://other.test", "import guarded https://other.test/tools"),
			}
		}, want{"gate.test" + metadataPath("/tools"): tools,
			"other.test" + metadataPath("/tools"): "https://other.test/tools"}, nil},
		"in a named route": {func(t *testing.T, s *site) []string {
			return []string{"&(way) {\nprotected_resource " + tools + "\n}",
				s.siteOf("http://gate.test", "route {\ninvoke way\nhandle /tools* {\n"+gateOfResource(t, "", tools)+"\n}\n}")}
		}, want{"gate.test" + metadataPath("/tools"): tools}, nil},
		"at a wildcard host": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://*.tenants.test", gateOfResource(t, "", "https://one.tenants.test/tools"))}
		}, want{"one.tenants.test" + metadataPath("/tools"): "https://one.tenants.test/tools"}, nil},
		"two sites with one path": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://gate.test", gateOfResource(t, "", tools)),
				s.siteOf("http://other.test", gateOfResource(t, "", "https://other.test/tools"))}
		}, want{"gate.test" + metadataPath("/tools"): tools,
			"other.test" + metadataPath("/tools"): "https://other.test/tools"}, nil},
		"in another site of the host": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://gate.test/tools*", "uri strip_prefix /x", gateOfResource(t, "", tools)),
				s.siteOf("http://gate.test", "protected_resource "+tools)}
		}, want{"gate.test" + metadataPath("/tools"): tools}, nil},
		"behind a proxy that changes the host": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://inner.test", gateOfResource(t, "", tools))}
		}, want{"inner.test" + metadataPath("/tools"): tools}, nil},
		"behind a rewrite": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://gate.test", "rewrite * /index.php",
				"protected_resource "+tools, "handle {\n"+gateOfResource(t, "", tools)+"\n}")}
		}, want{"gate.test" + metadataPath("/tools"): tools}, nil},
		"a gate of the site behind a rewrite": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://gate.test", "rewrite * /v1{uri}",
				"protected_resource "+tools, gateOfResource(t, "", tools))}
		}, want{"gate.test" + metadataPath("/tools"): tools}, nil},
		"with a matcher that the metadata does not meet": {func(t *testing.T, s *site) []string {
			return []string{s.siteOf("http://gate.test", gateOfResource(t, "/tools*", tools))}
		}, want{"gate.test" + metadataPath("/tools"): tools}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			s.loadFile(s.sites(c.sites(t, s)...))
			for address, resource := range c.want {
				host, path, _ := strings.Cut(address, "/")
				if got := s.resourceAt(host, "/"+path); got != resource {
					t.Errorf("at %s: %q, want %q", address, got, resource)
				}
			}
			for _, resource := range []string{tools, notes} {
				want := false
				for _, unserved := range c.unserved {
					want = want || unserved == resource
				}
				if got := s.logged("nothing serves the metadata", `"resource":"`+resource+`"`); got != want {
					t.Errorf("the log warns about %s: %v, want %v", resource, got, want)
				}
			}
		})
	}
}

// A reload that moves a resource to another gate shows what the new gate says, and only that.
func TestMetadataMovesWithAReload(t *testing.T) {
	s := prepare(t)
	scopes := func() []string {
		var document struct {
			Scopes []string `json:"scopes_supported"`
		}
		if a := s.at("gate.test", metadataPath("/tools")); json.Unmarshal([]byte(a.body), &document) != nil {
			t.Fatalf("status %d, body %q", a.StatusCode, a.body)
		}
		return document.Scopes
	}
	for round := range 4 {
		first, second := gateOfResource(t, "", tools, "require scope first"), gateOfResource(t, "", notes)
		want := "first"
		if round%2 == 1 {
			first, second = gateOfResource(t, "", notes), gateOfResource(t, "", tools, "require scope second")
			want = "second"
		}
		s.loadFile(s.sites(s.siteOf("http://gate.test", "protected_resource "+tools,
			"handle /a* {\n"+first+"\n}", "handle /b* {\n"+second+"\n}")))
		if got := fmt.Sprint(scopes()); got != "["+want+"]" {
			t.Errorf("round %d: scopes %s, want %s", round, got, want)
		}
	}
}

// Handlers of a configuration in JSON work without a Caddyfile, and in any place.
func TestMetadataOfAConfigurationInJSON(t *testing.T) {
	s := prepare(t)
	config, err := adapt(s.sites(s.siteOf("http://gate.test", "handle /tools* {\n"+gateOfResource(t, "", tools)+"\n}")))
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(config, &tree); err != nil {
		t.Fatal(err)
	}
	servers := tree["apps"].(map[string]any)["http"].(map[string]any)["servers"].(map[string]any)
	for _, server := range servers {
		server := server.(map[string]any)
		handler := map[string]any{"handler": "protected_resource", "resource": tools}
		server["routes"] = append([]any{map[string]any{"handle": []any{handler}}}, server["routes"].([]any)...)
	}
	if err := caddy.Load([]byte(asJSON(t, tree)), true); err != nil {
		t.Fatal(err)
	}
	s.inForce()
	if got := s.resourceAt("gate.test", metadataPath("/tools")); got != tools {
		t.Errorf("resource %q", got)
	}
	if s.logged("nothing serves the metadata") {
		t.Error("the log warns about metadata that is served")
	}
	if a := s.get("/tools", ""); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d without a token", a.StatusCode)
	}
}

// A resource that no gate has is an error, which names the one that was meant.
func TestAResourceThatNoGateHas(t *testing.T) {
	for name, c := range map[string]struct{ written, want string }{
		"another slash at its end": {tools + "/", `did you mean "` + tools + `"?`},
		"another path":             {"https://gate.test/other", `did you mean "` + tools + `"?`},
		"another host":             {"https://other.test/x", `gates have "` + tools + `"; write one of them`},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			err := s.tryLoad(s.sites(s.siteOf("http://gate.test",
				"protected_resource "+c.written, gateOfResource(t, "", tools))))
			if err == nil || !strings.Contains(err.Error(), c.want) ||
				!strings.Contains(err.Error(), "protected_resource "+c.written) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	t.Run("no gate has any", func(t *testing.T) {
		s := prepare(t)
		err := s.tryLoad(s.sites(s.siteOf("http://gate.test", "protected_resource "+tools, gateFor(consumerAlice(t)))))
		if err == nil || !strings.Contains(err.Error(), `write "resource `+tools+`" in the block of the gate`) {
			t.Errorf("error %v", err)
		}
	})
}

// Each mistake in the directive has an error with the line that says how to mend it.
func TestMistakesInProtectedResource(t *testing.T) {
	for name, c := range map[string]struct{ written, want string }{
		"no URL": {"protected_resource", "needs the URL of a resource"},
		"a path": {
			"protected_resource /x " + tools,
			`takes no matcher, because it answers only at the address of the metadata: remove "/x"`},
		"a named matcher": {"protected_resource @a " + tools, `remove "@a"`},
		"a wildcard":      {"protected_resource * " + tools, `remove "*"`},
		"two URLs": {
			"protected_resource " + tools + " " + notes,
			`write a line for each resource, and move "` + notes + `"`},
		"a block": {
			"protected_resource " + tools + " {\nname Tools\n}",
			`has no block: write "name" into the block "resource"`},
		"upper case":     {"protected_resource https://Gate.test/tools", `would spell it "https://gate.test/tools"`},
		"another scheme": {"protected_resource ftp://gate.test/tools", "use https"},
	} {
		t.Run(name, func(t *testing.T) {
			s := prepare(t)
			_, err := adapt(s.sites(s.siteOf("http://gate.test", c.written, gateOfResource(t, "", tools))))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "Caddyfile:") {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// A placeholder is known only when the configuration loads.
func TestProtectedResourceWithAPlaceholder(t *testing.T) {
	t.Setenv("RESOURCE_OF_TEST", tools)
	s := prepare(t)
	s.loadFile(s.sites(s.siteOf("http://gate.test", "protected_resource {env.RESOURCE_OF_TEST}",
		"handle /tools* {\n"+gateOfResource(t, "", "{env.RESOURCE_OF_TEST}")+"\n}")))
	if got := s.resourceAt("gate.test", metadataPath("/tools")); got != tools {
		t.Errorf("resource %q", got)
	}
}
