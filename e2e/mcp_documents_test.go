//go:build e2e

package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// resourceSites is how many configurations are generated, and resourceSeed makes which.
const (
	resourceSites = 60
	resourceSeed  = 9728
)

// TestDocumentsSayWhatTheConfigurationSays lets oauth4webapi, which is strict, read the metadata of resources of random
// configurations. It must accept each, and each must say what the configuration says and nothing else.
func TestDocumentsSayWhatTheConfigurationSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys.pem")
	if err := os.WriteFile(keys, []byte(tokentest.NewKey(t, "ES256", "").PublicPEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(resourceSeed, 0))
	sites := make([]resourceSite, resourceSites)
	for i := range sites {
		sites[i] = newResourceSite(random, i)
	}
	g := &gate{log: new(tokentest.Buffer)}
	g.start(t, func(socket string) string {
		var text strings.Builder
		for _, site := range sites {
			site.write(&text, socket, keys)
		}
		return text.String()
	})

	identifiers := make([]string, len(sites))
	for i, site := range sites {
		identifiers[i] = site.resource
	}
	needs, err := json.Marshal(map[string]any{"socket": g.socket, "resources": identifiers})
	if err != nil {
		t.Fatal(err)
	}
	documents := play(t, "mcp/client.js", "documents", string(needs))
	if len(documents) != len(sites) {
		t.Fatalf("%d documents of %d resources", len(documents), len(sites))
	}
	for i, site := range sites {
		var got map[string]any
		if err := json.Unmarshal([]byte(documents[i]), &got); err != nil {
			t.Fatal(err)
		}
		if methods, ok := got["bearer_methods_supported"].([]any); ok { // their order says nothing
			slices.SortFunc(methods, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		}
		if want := site.document(t); !reflect.DeepEqual(got, want) {
			var text strings.Builder
			site.write(&text, "socket", "keys")
			t.Errorf("%sgives the document\n%s", &text, documents[i])
		}
	}
}

// resourceSite is a site with one resource and one or two gates that guard it.
type resourceSite struct {
	resource, host string
	texts          map[string]string // member of the document → value
	gates          []resourceGate
}

type resourceGate struct {
	issuers, scopes, named []string
	anyScopes              [][]string
	tools                  [][]string // the scopes of each tool of an MCP server
	places                 []tokenPlace
}

// tokenPlace is where a token may be, and what RFC 9728 section 2 calls this method of RFC 6750; empty for others.
type tokenPlace struct{ text, method string }

var (
	resourcePaths = []string{"", "/mcp", "/a/b.c/~d", "/teams/blue_1/@mcp"}
	resourceTexts = map[string][]string{
		"resource_name":          {"Orders", `Bücher & "more", and <others>`, "scope=admin"},
		"resource_documentation": {"https://docs.example.com/", "https://docs.example.com/a?b=c&d=e#f"},
		"resource_policy_uri":    {"https://example.com/policy"},
		"resource_tos_uri":       {"http://example.com/tos"},
	}
	resourceIssuers = []string{
		"https://auth.example.com", "https://auth.example.com/", "https://auth.example.com/realms/main",
		"http://127.0.0.1:8080", "https://login.example.org/tenant/v2.0",
	}
	resourceNames  = []string{"spiffe://example.org", "auth.example.com"} // no client can find these
	allScopes      = []string{"read", "write", "mcp:tools", "a|b", "https://example.com/.default", "x.y:z"}
	resourcePlaces = []tokenPlace{
		{"header Authorization", "header"}, {"query access_token", "query"}, {"form access_token", "body"},
		{"header X-Token", ""}, {"cookie session", ""}, {"query token", ""},
	}
)

func newResourceSite(random *rand.Rand, number int) resourceSite {
	site := resourceSite{host: fmt.Sprintf("site-%d.example.com", number), texts: map[string]string{}}
	site.resource = "https://" + site.host + pick(random, resourcePaths)
	for _, member := range slices.Sorted(maps.Keys(resourceTexts)) {
		if random.IntN(2) == 0 {
			site.texts[member] = pick(random, resourceTexts[member])
		}
	}
	for range 1 + random.IntN(2) {
		site.gates = append(site.gates, resourceGate{
			issuers:   append(some(random, resourceIssuers, 1), some(random, resourceNames, 0)...),
			scopes:    some(random, allScopes, 0),
			named:     some(random, allScopes, 0),
			tools:     [][]string{some(random, allScopes, 1), some(random, allScopes, 1)}[:random.IntN(3)],
			anyScopes: [][]string{some(random, allScopes, 2), some(random, allScopes, 2)}[:random.IntN(3)],
			places:    some(random, resourcePlaces, 0),
		})
	}
	return site
}

func pick[T any](random *rand.Rand, from []T) T { return from[random.IntN(len(from))] }

// some picks at least a number of different values, in any order.
func some[T any](random *rand.Rand, from []T, least int) []T {
	picked := slices.Clone(from)
	random.Shuffle(len(picked), func(i, j int) { picked[i], picked[j] = picked[j], picked[i] })
	return picked[:least+random.IntN(min(3, len(from)-least)+1)]
}

func (s resourceSite) write(text *strings.Builder, socket, keys string) {
	fmt.Fprintf(text, "http://%s {\n\tbind unix/%s\n", s.host, socket)
	for i, gate := range s.gates {
		matcher := ""
		if i > 0 {
			matcher = "/more/* "
		}
		fmt.Fprintf(text, "\tbearer_auth %s{\n", matcher)
		for _, issuer := range gate.issuers {
			fmt.Fprintf(text, "\t\tissuer %s {\n\t\t\tkeys file %s\n\t\t}\n", issuer, keys)
		}
		fmt.Fprintf(text, "\t\tresource %s {\n", s.resource)
		for member, value := range s.texts {
			word := strings.TrimSuffix(strings.TrimPrefix(member, "resource_"), "_uri")
			fmt.Fprintf(text, "\t\t\t%s `%s`\n", word, value)
		}
		line(text, "\t\t\tscopes ", gate.named)
		text.WriteString("\t\t}\n")
		line(text, "\t\trequire scope ", gate.scopes)
		for _, scopes := range gate.anyScopes {
			line(text, "\t\trequire any_scope ", scopes)
		}
		if len(gate.tools) > 0 {
			text.WriteString("\t\tmcp {\n")
			for i, scopes := range gate.tools {
				line(text, fmt.Sprintf("\t\t\ttool tool_%d scope ", i), scopes)
			}
			text.WriteString("\t\t}\n")
		}
		for _, place := range gate.places {
			fmt.Fprintf(text, "\t\ttoken_from %s\n", place.text)
		}
		text.WriteString("\t}\n")
	}
	text.WriteString("\trespond ok\n}\n")
}

func line(text *strings.Builder, word string, values []string) {
	if len(values) > 0 {
		fmt.Fprintf(text, "%s%s\n", word, strings.Join(values, " "))
	}
}

// document is what RFC 9728 section 2 makes of the site. A list has each value once, and is absent when it is empty. An
// empty bearer_methods_supported says that no method of RFC 6750 works.
func (s resourceSite) document(t *testing.T) map[string]any {
	var servers, scopes, named, methods []string
	for _, gate := range slices.Backward(s.gates) { // Caddy puts what has a matcher first
		for _, issuer := range gate.issuers {
			if strings.HasPrefix(issuer, "http") {
				servers = append(servers, issuer)
			}
		}
		scopes, named = append(scopes, gate.scopes...), append(named, gate.named...)
		for _, more := range slices.Concat(gate.anyScopes, gate.tools) {
			scopes = append(scopes, more...)
		}
		for _, place := range gate.places {
			methods = append(methods, place.method)
		}
		if len(gate.places) == 0 {
			methods = append(methods, "header")
		}
	}
	slices.Sort(methods)
	methods = slices.DeleteFunc(methods, func(method string) bool { return method == "" })
	want := map[string]any{
		"resource": s.resource, "authorization_servers": once(servers), "scopes_supported": once(append(scopes, named...)),
		"bearer_methods_supported": append([]string{}, once(methods)...),
	}
	for member, value := range s.texts {
		want[member] = value
	}
	if len(scopes) == 0 && len(named) == 0 {
		delete(want, "scopes_supported")
	}
	return asJSON(t, want)
}

func once(list []string) (unique []string) {
	for _, value := range list {
		if !slices.Contains(unique, value) {
			unique = append(unique, value)
		}
	}
	return unique
}

// asJSON is a value as encoding/json would read it back.
func asJSON(t *testing.T, value any) (read map[string]any) {
	t.Helper()
	text, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(text, &read)
	}
	if err != nil {
		t.Fatal(err)
	}
	return read
}
