package deckfile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/deckfile"
)

const version = "_format_version: \"3.0\"\n"

// A file that would be read in another way than Kong does is not read.
func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "the file is empty"},
		{"services: []", "_format_version is missing"},
		{`_format_version: "1.1"`, "deck convert --from kong-gateway-2.x"},
		{version + "---\na: 1", "more than one YAML document"},
		{version + "filter_chains: [{name: x}]", `line 2: the section "filter_chains" is unknown`},
		{version + "_info: {defaults: {plugin: {enabled: false}}}", "line 2: _info.defaults.plugin is unknown"},
		{version + "plugins: [{name: jwt, _config: x}]", `line 2: _plugin_configs has no "x"`},
		{version + "jwt_secrets: [{consumer: x, key: k}]", `no consumer has the name or id "x"`},
		{version + "acls: [{consumer: {id: x}, group: g}]", `no consumer has the name or id "x"`},
		{version + "targets: [{upstream: x, target: y}]", `line 2: no upstream has the name "x"`},
		{version + "routes: [{name: a, service: {host: x}}]", "line 2: this reference has neither a name nor an id"},
		{version + "routes: [{name: a, paths: 1}]", "line 2: cannot unmarshal"},
		{version + "routes: [{name: a, name: b}]", "line 2: mapping key a value already defined"},
		{version + "routes: [{name: a, paths: [/a], strip_path: x}]", "line 2: cannot unmarshal"},
		{"a: &a [b, b]\nc: &c [*a, *a]\n_format_version: [*c", "did not find expected"},
		{"a: &a [*a]", `line 1: the anchor "a" has itself inside`},
		{"a: {<<: [b]}", "line 1: only objects can be merged"},
		{manyAliases(2_000), "the file is too large, or its aliases make it too large"},
		{version + "services: [{name: s, routes: [{name: a, service: s}]}]", "a route inside of a service names"},
		{version + "services: [{name: s, plugins: [{name: jwt, service: s}]}]", `plugin "jwt" is inside of a service`},
		{
			version + "consumers: [{username: a, id: x}, {id: x}]\nacls: [{consumer: x, group: g}]",
			`two of kind consumer have the id "x"`,
		},
	} {
		if _, err := deckfile.Read([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
}

// manyAliases has n times an object that is n times in another one.
func manyAliases(n int) string {
	return "a: &a [" + strings.Repeat("b,", n) + "]\nc: [" + strings.Repeat("*a,", n) + "]"
}

// An error has no value of the file: it may be a secret.
func TestErrorsHaveNoValues(t *testing.T) {
	for _, text := range []string{
		"jwt_secrets: [SuperSecret]", "consumers: [{username: a, jwt_secrets: {key: SuperSecret}}]",
		"consumers: [{username: a, jwt_secrets: [{key: k, secret: [SuperSecret]}]}]", "plugins: SuperSecret",
		"a: *SuperSecret", "a: {Super: 1, Super: 2}", "targets: [SuperSecret]", "routes: [SuperSecret]",
		"consumers: [{username: a, jwt_secrets: [{key: k, secret: *SuperSecret}]}]",
	} {
		_, err := deckfile.Read([]byte(version + text))
		if err == nil || strings.Contains(err.Error(), "Super") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A name is a username or an id, and never a custom_id. What is a username and the id of another one names nobody.
func TestFindConsumer(t *testing.T) {
	f, err := deckfile.Read([]byte(version +
		"consumers: [{username: a, id: b, custom_id: c}, {username: b, id: d}, {username: e, custom_id: a}]"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"a": 0, "b": -1, "c": -1, "d": 1, "e": 2, "": -1} {
		if got := f.FindConsumer(name); got != want {
			t.Errorf("%q is %d, want %d", name, got, want)
		}
	}
}

// What has no effect on requests is noted.
func TestReadNotes(t *testing.T) {
	f, err := deckfile.Read([]byte(`_format_version: "3.0"
_info: {select_tags: [a], lookup_tags: {consumers: [b]}}
x-anchors: &a [/a]
vaults: [{name: env}]
certificates: []
routes: [{name: a, paths: *a, tags: [b], created_at: 1}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := "section vaults: not converted\n_info.lookup_tags: not converted"
	if got := strings.Join(f.Notes, "\n"); got != want {
		t.Errorf("notes:\n%s\nwant:\n%s", got, want)
	}
	if names := f.Routes[0].Unknown.Names(); len(names) != 0 {
		t.Errorf("unknown fields: %v", names)
	}
}

// However a file is broken, reading it ends.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("../../../integration/testdata/kong/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = deckfile.Read(text) })
}
