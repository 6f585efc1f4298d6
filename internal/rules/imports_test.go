package rules_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// arrows lists which of our packages each package may import directly. Its tests may also import the package itself,
// and packages whose names end in "test". The imports follow a request's way through the packages (see
// docs/architecture.md): a package does not depend on those that come later.
var arrows = map[string][]string{
	// introspect is public, but does not expose what it imports here. It has the gate's rules for JSON, addresses,
	// dates and secrets, so that each of them exists only once.
	"introspect": {"internal/hashing", "internal/strictjson", "internal/fetch", "internal/setting"},

	"internal/setting":    nil,
	"internal/smallfile":  nil,
	"internal/rewrite":    {"internal/smallfile"},
	"internal/rotating":   {"internal/smallfile"},
	"internal/privatekey": {"internal/jose"},
	"internal/sealed": {
		"internal/jose", "internal/privatekey", "internal/rotating", "internal/strictjson", "internal/causes",
	},
	"internal/sealing":               {"internal/jose", "internal/privatekey", "internal/strictjson"},
	"internal/store":                 nil,
	"internal/store/storetest":       {"internal/store"},
	"internal/store/redis":           {"internal/store", "internal/causes", "internal/durations"},
	"internal/store/redis/redistest": nil,
	"internal/revoke/table":          nil,
	"internal/hashing":               nil,
	"internal/hashing/hashingtest":   {"internal/hashing"},
	"internal/strictjson":            nil,
	"internal/causes":                nil,
	"internal/bearer":                nil,
	"internal/fields":                nil,
	"internal/apppath":               {"internal/publicpath"},
	"internal/issuing": {
		"internal/bearer", "internal/strictjson",
		"internal/claims", // its tests read what it writes
	},
	"internal/clients": {"internal/causes", "internal/hashing", "internal/keyset", "internal/setting", "internal/users"},
	"internal/oauth": {
		"internal/causes", "internal/claims", "internal/clients", "internal/issuing", "internal/jose", "internal/keyset",
		"internal/clientcert", "internal/possession", "internal/proof/replay", "internal/session", "internal/strictjson",
		"internal/opaque",
		// its tests have an issuer, and what verifies tokens and its answers
		"introspect", "internal/authserver", "internal/gate", "internal/bearer", "internal/proof", "internal/proof/nonce",
		"internal/keyring", "internal/revoke",
		"internal/store", "internal/users/attempts",
	},
	"internal/opaque":  nil,
	"internal/keyring": {"internal/jose", "internal/keyset", "internal/causes", "internal/strictjson", "internal/opaque"},
	"internal/session": {
		"internal/store",
		"internal/claims", "internal/revoke", // its tests have a real ledger
	},
	"internal/users": {
		"internal/causes", "internal/durations", "internal/setting", "internal/smallfile", "internal/strictjson",
	},
	"internal/users/attempts": {"internal/setting", "internal/special"},
	"internal/users/ldapusers": {
		"internal/causes", "internal/fetch", "internal/setting", "internal/users",
	},
	"internal/users/httpusers": {
		"internal/fetch", "internal/rotating", "internal/setting", "internal/strictjson", "internal/users",
	},
	"internal/proof/nonce": {
		"internal/store",
		"internal/store/redis", // its tests have several nodes
	},
	"internal/proof/replay": {
		"internal/store",
		"internal/store/redis", // its tests have several nodes
	},
	"internal/problem":          nil,
	"internal/publicpath":       nil,
	"internal/resource":         {"internal/publicpath", "internal/bearer"},
	"internal/special":          nil,
	"internal/special/generate": nil,
	"internal/fetch":            {"internal/hashing", "internal/rotating", "internal/special"},
	"internal/durations":        nil,
	"internal/spans":            nil,
	"internal/refresh":          {"internal/durations", "internal/fetch", "internal/setting"},
	"internal/lastgood": {
		"internal/causes", "internal/fetch", "internal/refresh", "internal/store",
		"internal/rotating", // its tests make header fields
	},
	"internal/lastgood/lastgoodtest": {"internal/lastgood", "internal/store"},
	"internal/jose":                  {"internal/strictjson", "internal/hashing"},
	"internal/proof":                 {"internal/jose", "internal/strictjson", "internal/causes"},
	"internal/claims":                {"internal/strictjson", "internal/causes"},
	"internal/scope":                 {"internal/bearer", "internal/claims", "internal/setting"},
	"internal/demand": {"internal/bearer", "internal/causes", "internal/claims", "internal/scope",
		"internal/setting"},
	"internal/keyset": {
		"internal/jose", "internal/strictjson", "internal/fetch", "internal/refresh", "internal/setting",
		"internal/hashing", "internal/smallfile", "internal/causes", "internal/lastgood", "internal/certchain",
		"internal/spans",
	},
	"internal/certchain": {"internal/causes", "internal/jose", "internal/smallfile"},
	"internal/tenant":    {"internal/causes", "internal/smallfile"},
	"internal/tenantkeys": {
		"internal/tenant", "internal/keyset", "internal/jose", "internal/fetch", "internal/refresh", "internal/setting",
		"internal/causes",
	},
	"internal/authserver": {
		"internal/jose", "internal/claims", "internal/keyset", "introspect", "internal/fetch", "internal/refresh",
		"internal/strictjson", "internal/hashing", "internal/setting", "internal/causes",
	},
	"internal/logout": {
		"internal/jose", "internal/claims", "internal/keyset", "internal/bearer", "internal/strictjson", "internal/causes",
		"internal/setting",
	},
	"internal/diagnose": {
		"internal/fetch", "internal/jose", "internal/keyset", "introspect",
		"internal/authserver", // its tests discover endpoints
	},
	"internal/deepcopy": nil,
	"internal/terminal": nil,
	"internal/consumer": {"internal/claims", "internal/fields", "internal/jose", "internal/setting"},
	"internal/roster": {
		"internal/consumer", "internal/claims", "internal/jose", "internal/causes", "internal/setting", "internal/smallfile",
		"internal/strictjson",
	},
	"internal/revoke": {"internal/claims", "internal/strictjson", "internal/store", "internal/revoke/table"},
	"internal/identity": {
		"internal/consumer", "internal/claims", "internal/tenant", "internal/causes", "internal/demand", "internal/revoke",
	},
	"internal/output": {
		"internal/identity", "internal/claims", "internal/fields", "internal/setting",
		"internal/consumer", // its tests make identities
	},
	"internal/gate": {
		"internal/bearer", "internal/jose", "internal/keyset", "internal/claims", "internal/setting", "internal/hashing",
		"internal/publicpath", "internal/apppath", "introspect", "internal/causes", "internal/demand", "internal/scope",
		"internal/fields",
		"internal/tenant", "internal/tenantkeys", "internal/deepcopy", "internal/consumer", "internal/identity",
		"internal/output", "internal/revoke", "internal/sealed", "internal/spans", "internal/strictjson",
		"internal/sealing", "internal/rotating", // its tests make encrypted tokens
		"internal/store",      // its tests open a ledger
		"internal/possession", // and these are what its tests prove it with:
		"internal/proof", "internal/proof/nonce", "internal/proof/replay",
	},

	"internal/clientcert": nil,
	"internal/possession": {
		"internal/proof", "internal/proof/nonce", "internal/proof/replay", "internal/clientcert", "internal/claims",
		"internal/fields", "internal/jose", "internal/setting",
	},

	"internal/mcp": {"internal/strictjson", "internal/causes", "internal/bearer", "internal/setting"},

	"internal/summary": {"internal/gate", "internal/claims", "internal/jose", "internal/demand", "internal/scope",
		"internal/tenant"},

	// Further Caddy modules will use these, too, so they must not depend on the handler.
	"caddyjwt/words": {
		"internal/jose", "internal/privatekey", "internal/rotating", "internal/setting", "internal/smallfile",
	},
	"caddyjwt/clienttls": {"caddyjwt/words", "internal/fetch", "internal/jose", "internal/setting"},
	"caddyjwt/decryption": {"caddyjwt/words", "introspect", "internal/gate", "internal/jose",
		"internal/sealed", "internal/setting", "internal/strictjson"},
	"caddyjwt/pool": {
		"internal/gate", "internal/keyset", "introspect", "internal/consumer", "internal/roster",
		"internal/jose", // its tests make keys
	},
	"caddyjwt/revocations": {
		"caddyjwt/adminroute", "caddyjwt/words", "caddyjwt/clienttls", "caddyjwt/require", "caddyjwt/pool", "internal/gate",
		"internal/logout",
		"internal/revoke", "internal/store", "internal/store/redis", "internal/strictjson", "internal/setting",
		"internal/causes", "internal/durations", "internal/hashing", "internal/jose",
		"internal/claims", // its tests make tokens
	},
	"caddyjwt/process": {
		"caddyjwt/pool", "caddyjwt/inforce", "caddyjwt/traffic", "internal/durations", "internal/keyset", "internal/spans",
		"introspect", "caddyjwt/revocations", "internal/causes", "internal/revoke", "internal/lastgood", "internal/sealed",
		"caddyjwt/proofs",
		"internal/jose", // its tests make keys, too
	},
	"caddyjwt/proofs": {
		"caddyjwt/words", "internal/bearer", "internal/claims", "internal/clientcert", "internal/gate", "internal/hashing",
		"internal/jose", "internal/possession", "internal/proof", "internal/proof/nonce", "internal/proof/replay",
		"internal/resource", "internal/setting", "internal/store",
		"internal/roster", // its tests have a file of consumers
	},
	"caddyjwt/traffic":    {"caddyjwt/expiry", "internal/durations", "internal/gate"},
	"caddyjwt/startup":    {"caddyjwt/pool", "internal/summary"},
	"caddyjwt/adminroute": {"internal/strictjson"},
	"caddyjwt/routes":     {"internal/terminal"},
	"caddyjwt/explain": {
		"caddyjwt/rights", "caddyjwt/routes", "internal/bearer", "internal/causes", "internal/gate", "internal/jose",
		"internal/paste", "internal/possession", "internal/proof", "internal/terminal",
	},
	"caddyjwt/inforce": {
		"caddyjwt/explain", "caddyjwt/routes", "caddyjwt/traffic", "internal/consumer", "internal/roster",
		"internal/gate", // its tests count refusals
	},
	"caddyjwt/operator": {
		"caddyjwt/adminroute", "caddyjwt/explain", "caddyjwt/inforce", "caddyjwt/pool", "caddyjwt/process", "caddyjwt/routes",
		"internal/causes", "internal/consumer", "internal/paste", "internal/roster",
	},

	"caddyjwt/require": {
		"caddyjwt/words", "internal/gate", "internal/claims", "internal/demand", "internal/scope", "internal/setting",
	},
	"caddyjwt/rights": {
		"caddyjwt/bodies", "caddyjwt/require", "caddyjwt/verdict", "caddyjwt/words", "internal/gate", "internal/mcp",
		"internal/bearer", "internal/setting",
	},
	"caddyjwt/verdict": {"internal/bearer", "internal/gate", "internal/claims", "internal/mcp", "internal/scope"},
	"caddyjwt/expiry":  nil,

	"caddyjwt/bodies":          nil,
	"caddyjwt/reach":           nil,
	"caddyjwt/document":        nil,
	"caddyjwt/words/wordstest": {"caddyjwt/words"},
	"caddyjwt/facts":           {"internal/gate"},
	"caddyjwt/localissuer":     {"internal/jose", "internal/keyset"},
	"caddyjwt/protected": {
		"caddyjwt/words", "caddyjwt/pool", "caddyjwt/reach", "caddyjwt/document", "internal/resource", "internal/authserver",
		"internal/keyset", "internal/causes", "internal/setting",
	},

	"caddyjwt/backchannel": {
		"caddyjwt/words", "caddyjwt/pool", "caddyjwt/reach", "caddyjwt/bodies", "internal/bearer", "internal/causes",
		"internal/claims", "internal/logout", "internal/publicpath", "internal/setting",
		"internal/jose", "internal/keyset", // its tests make receivers
	},

	"caddyjwt/onheader": nil,
	"caddyjwt/cors":     {"caddyjwt/words", "caddyjwt/onheader", "internal/causes", "internal/setting"},

	"caddyjwt/issuers": {
		"caddyjwt/words", "caddyjwt/clienttls", "caddyjwt/decryption", "caddyjwt/backchannel", "caddyjwt/pool",
		"caddyjwt/process", "caddyjwt/require", "caddyjwt/revocations", "caddyjwt/localissuer", "internal/gate",
		"internal/authserver",
		"introspect", "internal/fetch", "internal/hashing", "internal/jose", "internal/keyset", "internal/opaque",
		"internal/claims",
		"internal/certchain",
		"internal/privatekey", "internal/rotating", "internal/setting", "internal/tenant", "internal/tenantkeys",
	},
	"caddyjwt/consumers": {"caddyjwt/words", "internal/gate", "internal/consumer", "internal/claims", "internal/jose",
		"internal/setting", "internal/roster"},

	"caddyjwt/doubts": {
		"caddyjwt/issuers", "caddyjwt/consumers", "internal/gate", "internal/bearer", "internal/claims", "internal/jose",
		"internal/resource",
		"caddyjwt/words", // its tests compile settings
		"internal/clientcert", "internal/possession", "internal/revoke",
	},

	"caddyjwt/tokenissuer": {
		"caddyjwt", "caddyjwt/clienttls", "internal/store", "caddyjwt/tokenissuer/people", "caddyjwt/process",
		"caddyjwt/tokenissuer/applications", "caddyjwt/tokenissuer/registration", "caddyjwt/tokenissuer/trusted",
		"caddyjwt/tokenissuer/wellknown",
		"internal/clients", "internal/oauth", "internal/possession", "internal/proof/replay",
		"caddyjwt/words", "caddyjwt/bodies", "caddyjwt/cors", "caddyjwt/document", "caddyjwt/facts", "caddyjwt/issuers",
		"caddyjwt/localissuer", "caddyjwt/reach", "caddyjwt/tokenissuer/command", "caddyjwt/tokenissuer/orders",
		"caddyjwt/adminroute",
		"caddyjwt/pool", // its tests open a store
		"caddyjwt/onheader", "caddyjwt/revocations", "internal/apppath", "internal/bearer", "internal/claims",
		"internal/gate", "internal/hashing", "internal/issuing", "internal/jose", "internal/keyring", "internal/keyset",
		"internal/revoke", "internal/session", "internal/setting", "internal/users", "internal/users/attempts",
		"internal/durations",
	},

	"caddyjwt/tokenissuer/trusted": {
		"caddyjwt/issuers", "caddyjwt/pool", "caddyjwt/words",
		"internal/bearer", "internal/gate", "internal/oauth", "internal/possession", "internal/setting",
	},
	"caddyjwt/tokenissuer/wellknown": {"internal/clients", "internal/jose", "internal/possession"},
	"caddyjwt/tokenissuer/applications": {
		"caddyjwt/issuers", "caddyjwt/words", "internal/apppath", "internal/keyring", "internal/setting", "internal/users",
	},
	"caddyjwt/tokenissuer/people": {
		"caddyjwt/clienttls", "caddyjwt/words", "internal/fetch", "internal/setting", "internal/users",
		"internal/users/ldapusers", "internal/users/httpusers", "internal/durations",
	},
	"caddyjwt/tokenissuer/registration": {
		"caddyjwt/tokenissuer/orders",
		"caddyjwt/issuers", "caddyjwt/pool", "caddyjwt/process", "caddyjwt/words", "internal/clients", "internal/fetch",
		"internal/jose", "internal/keyring", "internal/keyset", "internal/setting", "internal/smallfile",
		"internal/strictjson", "internal/users", "internal/claims", "internal/issuing",
	},
	"caddyjwt/tokenissuer/orders": {"caddyjwt/adminroute"},
	"caddyjwt/tokenissuer/command": {
		"caddyjwt/command/endpoint", "caddyjwt/command/kong/caddytext", "caddyjwt/tokenissuer/orders",
		"caddyjwt/tokenissuer/registration", "internal/rewrite", "internal/smallfile", "internal/terminal",
		"internal/users", "caddyjwt/words",
	},

	"caddyjwt": {
		"caddyjwt/words", "caddyjwt/clienttls", "caddyjwt/issuers", "caddyjwt/consumers", "caddyjwt/doubts",
		"caddyjwt/pool", "caddyjwt/process", "caddyjwt/backchannel", "caddyjwt/revocations", "internal/logout",
		"caddyjwt/facts", "caddyjwt/localissuer", "caddyjwt/explain", "caddyjwt/inforce", "caddyjwt/proofs",
		"caddyjwt/decryption", // its tests compare the manual with it
		"caddyjwt/startup", "caddyjwt/require", "caddyjwt/verdict",
		"caddyjwt/expiry", "caddyjwt/onheader", "caddyjwt/cors", "internal/summary", "caddyjwt/traffic",
		"caddyjwt/bodies", "caddyjwt/rights", "caddyjwt/protected", "internal/resource",
		"internal/gate", "internal/authserver", "introspect", // and what their configurations are made of:
		"internal/bearer", "internal/claims", "internal/hashing", "internal/jose", "internal/keyset",
		"internal/problem", "internal/setting", "internal/causes", "internal/tenant", "internal/roster", "internal/revoke",
		"internal/diagnose", // what the command "check" is given
		// its tests adapt the Caddyfiles of the documents
		"caddyjwt/matcher", "caddyjwt/tokenissuer",
	},
	"caddyjwt/matcher": {
		"caddyjwt/require", "caddyjwt/verdict", "caddyjwt/words", "internal/gate", "internal/setting", "internal/tenant",
		"internal/claims", "internal/scope", // its tests make identities
	},
	"internal/paste":            nil,
	"caddyjwt/command/endpoint": nil,
	"caddyjwt/command/running": {
		"caddyjwt/command/endpoint", "caddyjwt/operator", "caddyjwt/revocations", "internal/paste", "internal/terminal",
	},
	"caddyjwt/command/schema": {
		// its tests make the schema of these
		"caddyjwt", "caddyjwt/backchannel", "caddyjwt/issuers", "caddyjwt/matcher", "caddyjwt/protected",
		"caddyjwt/require", "caddyjwt/tokenissuer",
	},
	"caddyjwt/command/kong/caddytext": nil,
	"caddyjwt/command/kong/deckfile":  nil,
	"caddyjwt/command/kong/pathmatch": nil,
	"caddyjwt/command/kong": {
		"caddyjwt", "caddyjwt/command/kong/caddytext", "caddyjwt/command/kong/deckfile",
		"caddyjwt/command/kong/pathmatch",
	},
	"caddyjwt/command": {
		"caddyjwt/command/kong", "caddyjwt/command/running", "caddyjwt/command/schema", "internal/terminal",
		"caddyjwt", "caddyjwt/command/endpoint", "caddyjwt/consumers", "caddyjwt/explain", "caddyjwt/operator",
		"caddyjwt/protected", "caddyjwt/revocations", "caddyjwt/routes", "caddyjwt/words",
		"internal/claims", "internal/clientcert", "internal/diagnose", "internal/gate", "internal/jose", "internal/paste",
		"internal/privatekey", "internal/resource", "internal/sealing",
	},
	".":         {"caddyjwt", "caddyjwt/command", "caddyjwt/matcher", "caddyjwt/operator"},
	"cmd/caddy": {".", "caddyjwt/tokenissuer"},
	"cmd/build": nil, // it runs before anything else can be built

	"internal/monitortest": {"internal/gate"}, // its tests know which reasons are trouble
	"internal/tokentest":   nil,               // it forges what the others check, so it must not share their code
	"internal/rules":       nil,               // it only reads the source of the others
	"packaging":            nil,               // it reads files, and runs what was built of them
	"bench":                nil,               // it compares processes
	"bench/caddybench":     {"."},
	// The integration tests send requests. The oracle of e2e compares verdicts without any.
	"caddyjwt/integration": {".", "caddyjwt/tokenissuer", "internal/gate"},
	"e2e":                  {"internal/bearer", "internal/gate", "internal/jose", "internal/keyset", "internal/logout"},
}

// caddyFree reports whether a package must not be linked with Caddy. That applies to those that check tokens, and to
// the fakes for their tests.
func caddyFree(name string) bool {
	return name == "introspect" || strings.HasPrefix(name, "internal/") && name != "internal/rules"
}

// foreign lists the modules with which these packages must not be linked, directly or indirectly, not even in their
// tests.
var foreign = []string{
	"github.com/caddyserver/",
	"go.uber.org/zap",
	"github.com/prometheus/",
}

const (
	whyForeign = "these packages do not depend on Caddy, so that their tests build in a fraction of a second " +
		"(a cold build with Caddy takes over a minute), and so that reading them takes no knowledge of Caddy; " +
		"code that needs Caddy, its logger or its metrics belongs in caddyjwt or below it"
	whyArrows = "each package depends only on those that come before it on a request's way, so that it can be read, " +
		"tested and changed alone; if the new import is right, change this test's list and the table in docs/architecture.md"
)

func TestPackagesImportOnlyAlongTheArrows(t *testing.T) {
	found := make(map[string]bool)
	for _, p := range ours(t) {
		name := short(p.ImportPath)
		found[name] = true
		allowed, ruled := arrows[name]
		if !ruled {
			t.Errorf("%s is not in the list of this test: add it, with those of our packages that it may import:\n%s",
				name, whyArrows)
			continue
		}
		for _, imported := range against(p.Imports, allowed) {
			t.Errorf("%s imports %s, but of our packages it may import only %v:\n%s", name, imported, allowed, whyArrows)
		}
		for _, imported := range against(slices.Concat(p.TestImports, p.XTestImports), allowed) {
			if imported == name || strings.HasSuffix(imported, "test") {
				continue
			}
			t.Errorf("the tests of %s import %s, but of our packages they may import only %v:\n%s",
				name, imported, allowed, whyArrows)
		}
		for _, unused := range unneeded(slices.Concat(p.Imports, p.TestImports, p.XTestImports), allowed) {
			t.Errorf("neither %s nor its tests import %s: remove that from the list of this test", name, unused)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(arrows)) {
		if !found[name] {
			t.Errorf("%s is not in the tree: remove it from the list of this test", name)
		}
	}
}

// against returns those of our packages that are imported but not allowed.
func against(imports, allowed []string) (wrong []string) {
	for _, imported := range imports {
		mine := imported == own || strings.HasPrefix(imported, own+"/")
		if mine && !slices.Contains(allowed, short(imported)) {
			wrong = append(wrong, short(imported))
		}
	}
	return wrong
}

// unneeded returns the packages that are allowed but not imported.
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

func TestPackagesThatCheckTokensAreNotLinkedWithCaddy(t *testing.T) {
	graph := map[string][]string{}
	packages := all(t)
	for _, p := range packages {
		graph[p.ImportPath] = p.Imports
	}
	checked := 0
	for _, p := range packages {
		name := short(strings.TrimSuffix(p.ImportPath, ".test"))
		if !strings.HasPrefix(p.ImportPath, own+"/") || strings.Contains(name, " ") || !caddyFree(name) {
			continue
		}
		checked++
		if path := wayToForeign(graph, p.ImportPath); path != nil {
			t.Errorf("%s is linked with %s:\n\t%s\n%s",
				short(p.ImportPath), path[len(path)-1], strings.Join(path, "\n\timports "), whyForeign)
		}
	}
	if checked == 0 {
		t.Fatal("none of the packages exists: this test would check nothing")
	}
}

// wayToForeign returns the shortest chain of imports from a package to one of a foreign module, or nil.
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
		// The search must end although the graph has a cycle.
		"logging": {"gate", "go.uber.org/zap"},
	}
	want := []string{"gate", "keyset", "logging", "go.uber.org/zap"}
	if got := wayToForeign(graph, "gate"); !slices.Equal(got, want) {
		t.Errorf("way = %v, want %v", got, want)
	}
	if got := wayToForeign(graph, "fmt"); got != nil {
		t.Errorf("way from fmt = %v, want nil", got)
	}
}
