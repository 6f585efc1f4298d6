package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile" // adapts
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/logging"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/logging"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/caddyjwt/gateway/caddyjwt/words/wordstest"
)

var update = flag.Bool("update", false, "write bearer_auth.schema.json")

const file = "bearer_auth.schema.json"

func TestTheSchemaIsThatOfTheStructs(t *testing.T) {
	want := generate(t, ask(t))
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text, want) {
		t.Errorf("%s is not what the structs and their comments say: run \"go test ./caddyjwt/command/schema -update\"", file)
	}
}

func TestCommand(t *testing.T) {
	var out bytes.Buffer
	cmd := Command()
	cmd.SetOut(&out)
	cmd.SetArgs(nil)
	if err := cmd.Execute(); err != nil || !bytes.Equal(out.Bytes(), text) {
		t.Errorf("%d bytes, error %v", out.Len(), err)
	}
}

// Every module of ours that Caddy can load from a configuration is in the schema.
func TestTheSchemaHasAllModules(t *testing.T) {
	var known []caddy.ModuleID
	for _, module := range modules {
		known = append(known, module.CaddyModule().ID)
	}
	found := 0
	for _, name := range caddy.Modules() {
		info, err := caddy.GetModule(name)
		if err != nil {
			t.Fatal(err)
		}
		made := reflect.Indirect(reflect.ValueOf(info.New())).Type()
		if !strings.HasPrefix(made.PkgPath(), module) || info.ID.Namespace() == "admin.api" { // which have no settings
			continue
		}
		if found++; !slices.Contains(known, info.ID) {
			t.Errorf("%s is missing", name)
		}
	}
	if found != len(modules) {
		t.Errorf("%d modules, want %d", found, len(modules))
	}
}

// compiled is the schema as editors use it.
func compiled(tb testing.TB) *jsonschema.Schema {
	tb.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(file, document); err != nil {
		tb.Fatal(err)
	}
	schema, err := compiler.Compile(file)
	if err != nil {
		tb.Fatal(err)
	}
	return schema
}

func parsed(tb testing.TB, config string) any {
	tb.Helper()
	tree, err := jsonschema.UnmarshalJSON(strings.NewReader(config))
	if err != nil {
		tb.Fatal(err)
	}
	return tree
}

// adapted are the JSON of all Caddyfiles in test data and documents of this project, by where they are. Other tests
// require that they adapt; here those are left out that do not, or need what only those tests have.
func adapted(tb testing.TB) map[string]any {
	tb.Helper()
	tb.Setenv("GATE_TEST_SECRET", "5a6f1c0e9d3b47a28c1e0f7d6b5a4938")
	found := make(map[string]any)
	add := func(where, caddyfile string) {
		config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": where})
		if err == nil {
			found[where] = parsed(tb, string(config))
		}
	}
	fence := regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```$")
	for _, pattern := range []string{
		"caddyjwt/testdata/adapt/*.caddyfiletest", "caddyjwt/tokenissuer/testdata/adapt/*.caddyfiletest", "docs/*.md", "*.md",
	} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			tb.Fatal(err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				tb.Fatal(err)
			}
			if caddyfile, _, isGolden := strings.Cut(string(content), wordstest.Divider); isGolden {
				add(path, caddyfile)
			}
			for i, block := range fence.FindAllStringSubmatch(string(content), -1) {
				add(fmt.Sprintf("%s, Caddyfile %d", path, i+1), block[1])
			}
		}
	}
	return found
}

func TestEveryAdaptedCaddyfileIsValid(t *testing.T) {
	schema := compiled(t)
	all := adapted(t)
	for path, config := range all {
		if err := schema.Validate(config); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	t.Logf("%d configurations", len(all))
	if len(all) < 100 {
		t.Errorf("only %d configurations", len(all))
	}
}

// changed gives copies of a tree, each with one change inside of a module: a member with another name, and one with a
// value of another type. apply is called for each, with the module that was changed and what was done.
func changed(tb testing.TB, config any, apply func(module map[string]any, name, what string)) {
	var inModule func(module map[string]any, node any, name string)
	inModule = func(module map[string]any, node any, name string) {
		switch node := node.(type) {
		case []any:
			for i, element := range node {
				inModule(module, element, name)
				node[i] = []any{map[string]any{"a": "b"}}
				apply(module, name, "an element of another type")
				node[i] = element
			}
		case map[string]any:
			for member, value := range node {
				if member == "handler" && name == "" {
					continue
				}
				inModule(module, value, name+"."+member)
				delete(node, member)
				node[member+"x"] = value
				apply(module, name+"."+member, "another name")
				delete(node, member+"x")
				node[member] = []any{map[string]any{"a": "b"}}
				apply(module, name+"."+member, "another type")
				node[member] = value
			}
		}
	}
	for _, m := range modules {
		id := m.CaddyModule().ID
		if id.Namespace() != "http.handlers" {
			continue
		}
		for _, found := range wordstest.Handlers(config, id.Name()) {
			inModule(found.(map[string]any), found, "")
		}
	}
}

// decoded reads a handler as Caddy does.
func decoded(tb testing.TB, handler map[string]any) error {
	tb.Helper()
	members := make(map[string]any)
	for name, value := range handler {
		if name != "handler" {
			members[name] = value
		}
	}
	raw, err := json.Marshal(members)
	if err != nil {
		tb.Fatal(err)
	}
	return caddy.StrictUnmarshalJSON(raw, reflect.New(moduleOf(handler)).Interface())
}

// What Caddy cannot read, the schema refuses, and the reverse. Only what lacks a required member is more to the schema.
func TestMistakesAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("thousands of configurations")
	}
	schema := compiled(t)
	tried, refused := 0, 0
	for path, config := range adapted(t) {
		changed(t, config, func(module map[string]any, name, what string) {
			tried++
			byCaddy, bySchema := decoded(t, module), schema.Validate(config)
			if byCaddy != nil && bySchema == nil || byCaddy == nil && bySchema != nil {
				t.Errorf("%s: %s: %s: Caddy says %v, the schema says %v", path, name, what, byCaddy, bySchema)
			}
			if bySchema != nil {
				refused++
			}
		})
		if err := schema.Validate(config); err != nil {
			t.Fatalf("%s has not been restored: %v", path, err)
		}
	}
	t.Logf("%d mistakes, %d refused", tried, refused)
	if refused < 500 {
		t.Errorf("only %d mistakes were refused", refused)
	}
}

func TestWhereModulesAre(t *testing.T) {
	schema := compiled(t)
	const good, bad = `{"handler": "bearer_auth", "realm": "a"}`, `{"handler": "bearer_auth", "realms": "a"}`
	server := func(text string) string { return `{"apps": {"http": {"servers": {"a": ` + text + `}}}}` }
	for name, around := range map[string]string{
		"route":        server(`{"routes": [{"handle": [?]}]}`),
		"error route":  server(`{"errors": {"routes": [{"handle": [?]}]}}`),
		"named route":  server(`{"named_routes": {"a": {"handle": [?]}}}`),
		"subroute":     server(`{"routes": [{"handle": [{"handler": "subroute", "routes": [{"handle": [?]}]}]}]}`),
		"another's":    `{"apps": {"other": {"of": [[{"handler": "a", "match": 7, "b": [{"routes": [{"handle": [?]}]}]}]]}}}`,
		"at the top":   `{"apps": {}, "logging": {"a": ?}}`,
		"with a @id":   server(`{"@id": 7, "routes": [{"@id": "a", "handle": [?]}]}`),
		"after others": server(`{"routes": [{"handle": [{"handler": "vars", "realms": 1}, ?]}]}`),
	} {
		if err := schema.Validate(parsed(t, strings.Replace(around, "?", good, 1))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if schema.Validate(parsed(t, strings.Replace(around, "?", bad, 1))) == nil {
			t.Errorf("%s: a mistake is not found", name)
		}
	}
}

func TestExamples(t *testing.T) {
	schema := compiled(t)
	matched := func(set string) string {
		return `{"apps": {"http": {"servers": {"a": {"routes": [{"match": [` + set + `], "handle": []}]}}}}}`
	}
	handled := func(text string) string {
		return `{"apps": {"http": {"servers": {"a": {"routes": [{"handle": [` + text + `]}]}}}}}`
	}
	for _, valid := range []string{
		`{}`, `{"admin": {"disabled": true}, "apps": {"bearer_auth": {}}}`,
		`{"apps": {"bearer_auth": {"prefetch": true, "store": {"kind": "file"}, "@id": "a"}}}`,
		matched(`{"bearer": {"scopes": ["a"]}, "path": ["/a"], "host": ["bearer"]}`),
		matched(`{"not": [{"bearer": {"groups": ["a"]}}]}`),
		handled(`{"handler": "bearer_auth", "@id": "a", "leeway": "5s", "max_lifetime": 3600000000000}`),
		handled(`{"handler": "bearer_auth", "leeway": "1h30m", "max_lifetime": "1.5d"}`),
		handled(`{"handler": "bearer_auth", "issuers": [{"issuer": "a", "keys": {"source": "jwks", "url": "b"}}]}`),
		handled(`{"handler": "bearer_auth", "issuers": [{"issuer": "a", "keys": [{"source": "none"}, {"source": "jwks"}]}]}`),
		handled(`{"handler": "bearer_auth", "require": {"claims": [{"claim": "a", "at_least": "18"}]}}`),
		handled(`{"handler": "protected_resource", "resource": "https://a.example.com"}`),
		handled(`{"handler": "backchannel_logout", "path": "/a"}`),
		handled(`{"handler": "token_issuer", "issuer": "a", "apps": [{"path": "/a/", "claims": {"anything": "b"}}]}`),
	} {
		if err := schema.Validate(parsed(t, valid)); err != nil {
			t.Errorf("%s: %v", valid, err)
		}
	}
	for _, wrong := range []string{
		`[]`, `{"apps": []}`,
		`{"apps": {"bearer_auth": {"prefetched": true}}}`,
		`{"apps": {"bearer_auth": {"store": {"kind": "sqlite"}}}}`,
		`{"apps": {"bearer_auth": {"store": {}}}}`,
		matched(`{"bearer": {"scope": ["a"]}}`),
		matched(`{"not": [{"bearer": {"group": ["a"]}}]}`),
		matched(`{"not": [{"not": [{"bearer": {"group": ["a"]}}]}]}`),
		handled(`{"handler": "bearer_auth", "leeway": "5 minutes"}`),
		handled(`{"handler": "bearer_auth", "leeway": 5.5}`),
		handled(`{"handler": "bearer_auth", "leeway": true}`),
		handled(`{"handler": "bearer_auth", "audience": "a"}`),
		handled(`{"handler": "bearer_auth", "end_at_expiry": "stream"}`),
		handled(`{"handler": "bearer_auth", "issuers": [{"audience": ["a"]}]}`),
		handled(`{"handler": "bearer_auth", "issuers": [{"issuer": "a", "keys": {"source": "http"}}]}`),
		handled(`{"handler": "bearer_auth", "issuers": [{"issuer": "a", "keys": [{"source": "jwks", "uri": "b"}]}]}`),
		handled(`{"handler": "bearer_auth", "issuers": [{"issuer": "a", "algorithms": ["none"]}]}`),
		handled(`{"handler": "bearer_auth", "require": {"claims": [{"claim": "a", "at_least": 18}]}}`),
		handled(`{"handler": "bearer_auth", "require": {"any": [[{"scope": ["a"]}]]}}`),
		handled(`{"handler": "protected_resource"}`),
		handled(`{"handler": "token_issuer", "issuer": "a", "apps": [{"path": "/a/", "claims": {"a": 1}}]}`),
	} {
		if schema.Validate(parsed(t, wrong)) == nil {
			t.Errorf("valid: %s", wrong)
		}
	}
}

// Everything says what it is for.
func TestEveryMemberHasADescription(t *testing.T) {
	var document struct {
		Defs map[string]struct {
			Properties map[string]struct{ Description, Const string } `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	members := 0
	for name, definition := range document.Defs {
		for member, property := range definition.Properties {
			if members++; strings.Contains(name, ".") && len(property.Description) < 10 {
				t.Errorf("%s of %s: %q", member, name, property.Description)
			}
		}
	}
	if members < 150 {
		t.Errorf("only %d members", members)
	}
}
