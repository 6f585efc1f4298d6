package rules_test

import (
	"slices"
	"strings"
	"testing"
)

// arrows says which of our own packages each Caddy-free package may import
// directly. A package that is missing here may import none and be imported by
// none of these. The direction is the way of a request through the house (see
// docs/architecture.md): what is judged first knows nothing of what comes later.
var arrows = map[string][]string{
	// introspect is public, and its users never see what it imports here. Its rules for JSON, addresses, dates and secrets
	// are those of the gate: each stands once.
	"introspect": {"internal/hashing", "internal/strictjson", "internal/fetch", "internal/setting"},

	"internal/setting":             nil,
	"internal/hashing":             nil,
	"internal/hashing/hashingtest": {"internal/hashing"},
	"internal/strictjson":          nil,
	"internal/bearer":              nil,
	"internal/fetch":               {"internal/hashing"},
	"internal/smallfile":           nil,
	"internal/tokentest":           nil, // it forges what the others judge, so it must not share their code
	"internal/jose":                {"internal/strictjson", "internal/hashing"},
	"internal/claims":              {"internal/strictjson"},
	"internal/refresh":             {"internal/fetch", "internal/setting"},
	"internal/keyset": {
		"internal/jose", "internal/strictjson", "internal/fetch", "internal/refresh", "internal/setting", "internal/hashing",
		"internal/smallfile",
	},
	"internal/authserver": {"internal/jose", "internal/claims", "internal/keyset", "introspect"},
	"internal/gate": {
		"internal/bearer", "internal/jose", "internal/keyset", "internal/claims", "internal/strictjson", "internal/setting",
		"internal/hashing", "introspect",
	},
}

// adapters are the packages beside caddyjwt that know Caddy, and what they may import of ours. Those that every Caddy
// module of this project can use do not know the handler.
var adapters = map[string][]string{
	"caddyjwt/words":   {"internal/setting", "internal/smallfile"},
	"caddyjwt/pool":    {"internal/gate", "internal/keyset", "introspect"},
	"caddyjwt/process": {"caddyjwt/pool", "internal/gate", "internal/keyset", "introspect"},
	"caddyjwt/command": {"caddyjwt", "internal/gate", "internal/jose"},
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
		"code that needs Caddy, its logger or its metrics belongs into caddyjwt"
	whyArrows = "each package knows only what comes before it on a request's way, so that it can be read, tested and " +
		"changed alone; if the new arrow is right, change the list in this test and the picture in docs/architecture.md"
)

func TestPackagesImportOnlyAlongTheArrows(t *testing.T) {
	for _, p := range list(t, "-json=ImportPath,Imports", "./...") {
		allowed, ruled := arrows[short(p.ImportPath)]
		if !ruled {
			allowed, ruled = adapters[short(p.ImportPath)]
		}
		if !ruled {
			continue
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, own) && !slices.Contains(allowed, short(imported)) {
				t.Errorf("%s imports %s, and may import only %v of ours:\n%s",
					short(p.ImportPath), short(imported), allowed, whyArrows)
			}
		}
	}
}

func TestPackagesThatJudgeTokensKnowNothingOfCaddy(t *testing.T) {
	var patterns []string
	for _, p := range list(t, "-json=ImportPath", "./...") {
		if _, ruled := arrows[short(p.ImportPath)]; ruled {
			patterns = append(patterns, p.ImportPath)
		}
	}
	if len(patterns) == 0 {
		t.Fatal("none of the packages in the list exists: this test would check nothing")
	}
	graph := map[string][]string{}
	packages := list(t, append([]string{"-deps", "-test", "-json=ImportPath,Imports"}, patterns...)...)
	for _, p := range packages {
		graph[p.ImportPath] = p.Imports
	}
	for _, p := range packages {
		if !isRoot(p.ImportPath) {
			continue
		}
		if path := wayToForeign(graph, p.ImportPath); path != nil {
			t.Errorf("%s is linked with %s:\n\t%s\n%s",
				short(p.ImportPath), path[len(path)-1], strings.Join(path, "\n\timports "), whyForeign)
		}
	}
}

// isRoot tells the packages under the rule, and their test programs
// ("p.test"), from what they depend on.
func isRoot(importPath string) bool {
	_, ruled := arrows[short(strings.TrimSuffix(importPath, ".test"))]
	return ruled
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
