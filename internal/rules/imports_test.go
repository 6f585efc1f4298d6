package rules_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// arrows are the packages of ours that each package may import directly. Its
// tests may also import the package itself, and the packages whose names end
// in "test". The direction is the way of a request through the house (see
// docs/architecture.md): what is judged first knows nothing of what comes later.
var arrows = map[string][]string{
	// introspect is public, and its users never see what it imports here. Its rules for JSON, addresses, dates and
	// secrets are those of the gate: each stands once.
	"introspect": {"internal/hashing", "internal/strictjson", "internal/fetch", "internal/setting"},

	"internal/setting":             nil,
	"internal/smallfile":           nil,
	"internal/hashing":             nil,
	"internal/hashing/hashingtest": {"internal/hashing"},
	"internal/strictjson":          nil,
	"internal/bearer":              nil,
	"internal/fetch":               {"internal/hashing"},
	"internal/refresh":             {"internal/fetch", "internal/setting"},
	"internal/jose":                {"internal/strictjson", "internal/hashing"},
	"internal/claims":              {"internal/strictjson"},
	"internal/keyset": {
		"internal/jose", "internal/strictjson", "internal/fetch", "internal/refresh", "internal/setting",
		"internal/hashing", "internal/smallfile",
	},
	"internal/authserver": {"internal/jose", "internal/claims", "internal/keyset", "introspect"},
	"internal/gate": {
		"internal/bearer", "internal/jose", "internal/keyset", "internal/claims", "internal/setting", "internal/hashing",
		"introspect",
	},

	// The next Caddy modules use these as well, so they do not know the handler.
	"caddyjwt/words": {"internal/setting", "internal/smallfile"},
	"caddyjwt/pool": {
		"internal/gate", "internal/keyset", "introspect",
		"internal/jose", // its tests make keys
	},
	"caddyjwt/process": {
		"caddyjwt/pool", "internal/gate", "internal/keyset", "introspect",
		"internal/jose", // its tests make keys as well
	},

	"caddyjwt": {
		"caddyjwt/words", "caddyjwt/pool", "caddyjwt/process",
		"internal/gate", "internal/authserver", "introspect", // and what builds their values
		"internal/bearer", "internal/claims", "internal/fetch", "internal/hashing", "internal/jose", "internal/keyset",
		"internal/setting",
	},
	"caddyjwt/command": {"caddyjwt", "internal/gate", "internal/jose"},
	".":                {"caddyjwt", "caddyjwt/command"},
	"cmd/caddy":        {"."},
	"cmd/build":        nil, // it runs before anything else can be built

	"internal/tokentest": nil, // it forges what the others judge, so it must not share their code
	"internal/rules":     nil, // it reads the others, and is linked with none
	"bench":              nil, // it compares processes
	"bench/caddybench":   {"."},
	// The integration tests ask over the wire; the oracle of e2e has the verdict without one.
	"caddyjwt/integration": {".", "internal/gate"},
	"e2e":                  {"internal/bearer", "internal/gate", "internal/jose", "internal/keyset"},
}

// caddyFree are the packages that must not be linked with Caddy: those that
// judge tokens, and the fakes for their tests.
func caddyFree(name string) bool {
	return name == "introspect" || strings.HasPrefix(name, "internal/") && name != "internal/rules"
}

// foreign are the modules that the packages above must not be linked with,
// neither directly nor through others, nor in their tests.
var foreign = []string{
	"github.com/caddyserver/",
	"go.uber.org/zap",
	"github.com/prometheus/",
}

const (
	whyForeign = "these packages know nothing of Caddy, so that they test in a fraction of a second " +
		"(linked with Caddy it is over a minute cold) and so that what decides about a token can be read without it; " +
		"code that needs Caddy, its logger or its metrics belongs into caddyjwt or below it"
	whyArrows = "each package knows only what comes before it on a request's way, so that it can be read, tested and " +
		"changed alone; if the new arrow is right, change the list in this test and the picture in docs/architecture.md"
)

func TestPackagesImportOnlyAlongTheArrows(t *testing.T) {
	found := make(map[string]bool)
	for _, p := range ours(t) {
		name := short(p.ImportPath)
		found[name] = true
		allowed, ruled := arrows[name]
		if !ruled {
			t.Errorf("%s is not in the list of this test: add it, with what it may import of ours:\n%s", name, whyArrows)
			continue
		}
		for _, imported := range against(p.Imports, allowed) {
			t.Errorf("%s imports %s, and may import only %v of ours:\n%s", name, imported, allowed, whyArrows)
		}
		for _, imported := range against(slices.Concat(p.TestImports, p.XTestImports), allowed) {
			if imported == name || strings.HasSuffix(imported, "test") {
				continue
			}
			t.Errorf("the tests of %s import %s, and may import only %v of ours:\n%s", name, imported, allowed, whyArrows)
		}
		for _, unused := range unneeded(slices.Concat(p.Imports, p.TestImports, p.XTestImports), allowed) {
			t.Errorf("neither %s nor its tests import %s: take the arrow out of the list of this test", name, unused)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(arrows)) {
		if !found[name] {
			t.Errorf("%s is not in the tree: take it out of the list of this test", name)
		}
	}
}

// against are the packages of ours among the imported ones that are not allowed.
func against(imports, allowed []string) (wrong []string) {
	for _, imported := range imports {
		mine := imported == own || strings.HasPrefix(imported, own+"/")
		if mine && !slices.Contains(allowed, short(imported)) {
			wrong = append(wrong, short(imported))
		}
	}
	return wrong
}

// unneeded are the packages that may be imported and are not.
func unneeded(imports, allowed []string) (unused []string) {
	for _, name := range allowed {
		if !slices.Contains(imports, own+"/"+name) && !(name == "." && slices.Contains(imports, own)) {
			unused = append(unused, name)
		}
	}
	return unused
}

func TestTheRuleFindsImportsAgainstTheArrows(t *testing.T) {
	imports := []string{"fmt", own, own + "/internal/gate", own + "/internal/jose", own + "-other/p"}
	if got, want := against(imports, []string{"internal/gate"}), []string{".", "internal/jose"}; !slices.Equal(got, want) {
		t.Errorf("against the arrows: %v, want %v", got, want)
	}
	allowed := []string{".", "internal/gate", "internal/bearer"}
	if got, want := unneeded(imports, allowed), []string{"internal/bearer"}; !slices.Equal(got, want) {
		t.Errorf("unneeded arrows: %v, want %v", got, want)
	}
}

func TestPackagesThatJudgeTokensKnowNothingOfCaddy(t *testing.T) {
	graph := map[string][]string{}
	packages := all(t)
	for _, p := range packages {
		graph[p.ImportPath] = p.Imports
	}
	judged := 0
	for _, p := range packages {
		name := short(strings.TrimSuffix(p.ImportPath, ".test"))
		if !strings.HasPrefix(p.ImportPath, own+"/") || strings.Contains(name, " ") || !caddyFree(name) {
			continue
		}
		judged++
		if path := wayToForeign(graph, p.ImportPath); path != nil {
			t.Errorf("%s is linked with %s:\n\t%s\n%s",
				short(p.ImportPath), path[len(path)-1], strings.Join(path, "\n\timports "), whyForeign)
		}
	}
	if judged == 0 {
		t.Fatal("none of the packages exists: this test would check nothing")
	}
}

// wayToForeign is the shortest chain of imports from a package to one that it
// must not be linked with; nil when there is none.
func wayToForeign(graph map[string][]string, from string) []string {
	cameFrom := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if isForeign(at) {
			var path []string
			for ; at != ""; at = cameFrom[at] {
				path = append(path, at)
			}
			slices.Reverse(path)
			return path
		}
		for _, next := range graph[at] {
			if _, seen := cameFrom[next]; !seen {
				cameFrom[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}

func isForeign(importPath string) bool {
	return slices.ContainsFunc(foreign, func(prefix string) bool { return strings.HasPrefix(importPath, prefix) })
}

func TestTheRuleFindsAChainThatLeadsToCaddy(t *testing.T) {
	graph := map[string][]string{
		"gate":   {"fmt", "keyset"},
		"keyset": {"fmt", "logging"},
		// A ring must not keep the search from ending.
		"logging": {"gate", "go.uber.org/zap"},
	}
	want := []string{"gate", "keyset", "logging", "go.uber.org/zap"}
	if got := wayToForeign(graph, "gate"); !slices.Equal(got, want) {
		t.Errorf("way = %v, want %v", got, want)
	}
	if got := wayToForeign(graph, "fmt"); got != nil {
		t.Errorf("way from fmt = %v, want none", got)
	}
}
