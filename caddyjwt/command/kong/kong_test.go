package kong_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong"
)

var update = flag.Bool("update", false, "rewrite the Caddyfiles of testdata")

const (
	beginning = "_format_version: \"3.0\"\n"
	alice     = "consumers: [{username: alice, jwt_secrets: [{key: k, secret: jTk3n8dWqPz5rLx0vBc7mYh2sGf9aEuQ}]}]\n"
)

// The Caddyfiles in testdata are what the files of decK of the same names become. To see what a change does, read their
// difference.
func TestConvertedText(t *testing.T) {
	goldens, err := filepath.Glob("testdata/*.Caddyfile")
	if err != nil || len(goldens) == 0 {
		t.Fatal("no Caddyfiles", err)
	}
	for _, golden := range goldens {
		name := strings.TrimSuffix(filepath.Base(golden), ".Caddyfile") + ".yaml"
		text, err := os.ReadFile(filepath.Join("../../integration/testdata/kong", name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := kong.Convert(text, kong.Options{Source: name, Site: ":8000"})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if *update {
			if err := os.WriteFile(golden, []byte(got.Caddyfile), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || got.Caddyfile != string(want) {
			t.Errorf("%s: %v; run this test with -update, and read what changed. Got:\n%s", golden, err, got.Caddyfile)
		}
	}
}

// What decides who may pass and has no place in a Caddyfile is an error.
func TestConvertRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plugins: [{name: jwt, route: x}]", `plugin "jwt": line 2: no route has the name or id "x"`},
		{"plugins: [{name: jwt, service: x}]", `plugin "jwt": line 2: no service has the name or id "x"`},
		{"plugins: [{name: jwt, consumer: x}]", `plugin "jwt": line 2: no consumer has the name or id "x"`},
		{"plugins: [{config: {}}]", "line 2: a plugin has no name"},
		{
			"consumer_groups: [{name: g, plugins: [{name: ip-restriction}]}]",
			`plugin "ip-restriction" of the consumer group "g"`,
		},
		{"routes: [{name: a, service: x}]", `line 2: no service has the name or id "x"`},
		{"routes: [{name: a, expression: 'http.path == \"/\"'}]", `line 2: route "a" has an expression`},
		{"e: &e a\nroutes: [{name: a, expression: *e}]", `the section "e" is unknown`},
		{"x-e: &e a\nroutes: [{name: a, expression: *e}]", `line 3: route "a" has an expression`},
		{"routes: [{name: a, paths: ['/${{ env \"X\" }}']}]", "line 2: a variable of decK can be converted in jwt_secrets"},
		{
			"routes: [{name: a, headers: {x: ['${{ env \"X\" }}']}}]",
			"line 2: a variable of decK can be converted in jwt_secrets",
		},
		{"services: [{name: s}, {name: s}]\nroutes: [{service: s}]", `line 3: two of kind service have the name "s"`},
		{"routes: [" + strings.Repeat("{paths: [/a]},", 5001) + "]", "5001 routes, counted with their paths"},
	} {
		got, err := kong.Convert([]byte(beginning+c.text), kong.Options{Site: ":8000"})
		if err == nil || !strings.Contains(err.Error(), c.want) || got.Caddyfile != "" {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
}

// Every loss is noted.
func TestConvertNotes(t *testing.T) {
	const service = "services: [{name: s, url: 'http://s', ROUTES}]\n"
	for _, c := range []struct{ text, want string }{
		{"routes: [{name: a, paths: [/a]}], read_timeout: 5", `line 2: service "s": read_timeout 5: not converted`},
		{"routes: [{name: a, paths: [/a]}], read_timeout: 60000", ""},
		{"routes: [{name: a, paths: [/a]}], tls_verify: false", `service "s": tls_verify: not converted`},
		{"routes: [{name: a, paths: [/a], plugins: [{name: cors}]}]", "plugin cors: not converted (write cors into"},
		{
			"routes: [{name: a, paths: ['~/(?!a)']}]",
			`route "a": closed (501), because this cannot be converted: the path`,
		},
		{"routes: [{name: a, hosts: ['a:80']}]", "the host a:80"},
		{"routes: [{name: a}]", "it has no conditions"},
		{"routes: [{name: a, methods: [get]}]", "the method get"},
		{
			"routes: [{name: a, paths: [/a], plugins: [{name: jwt, config: {maximum_expiration: 1e18}}]}]",
			"maximum_expiration",
		},
		{"routes: [{name: a, paths: [/a], plugins: [{name: jwt, config: {header_names: ['x{y']}}]}]", "a brace"},
		{"routes: [{name: a, paths: [/a], plugins: [{name: jwt, config: {key_claim_name: [a]}}]}]", "cannot unmarshal"},
		{"routes: [{name: a, paths: [/aa]}, {name: b, paths: [/ab], plugins: [{name: jwt}]}]", ""},
		{
			"routes: [{name: a, methods: [GET], paths: [/x]}, {name: b, paths: ['~/x'], plugins: [{name: jwt}]}]",
			`route "b" is tried before others that are not stricter, such as "a" of line 2`,
		},
		{
			"routes: [{name: a, methods: [GET]}, {name: b, methods: [GET], plugins: [{name: jwt}]}]",
			`route "b" is tried before others that are not stricter`,
		},
	} {
		file := beginning + strings.Replace(service, "ROUTES", c.text, 1) + alice
		got, err := kong.Convert([]byte(file), kong.Options{Site: ":8000"})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		notes := slices.DeleteFunc(slices.Clone(got.Notes), func(note string) bool {
			return strings.HasPrefix(note, "consumers: not converted")
		})
		if c.want == "" && len(notes) == 0 {
			continue
		}
		if c.want == "" || len(notes) != 1 || !strings.Contains(notes[0], c.want) {
			t.Errorf("%s: notes %q, want %q", c.text, notes, c.want)
		}
		for _, note := range got.Notes {
			if !strings.Contains(got.Caddyfile, "\n# - "+note+"\n") {
				t.Errorf("%s: %q is not at the end", c.text, note)
			}
		}
	}
}

// Without a consumer whose tokens could be verified, guarded routes stay closed.
func TestConvertWithoutConsumers(t *testing.T) {
	file := beginning + "services: [{name: s, url: 'http://s', routes: [{name: a, paths: [/a], plugins: [{name: jwt}]}]}]"
	got, err := kong.Convert([]byte(file), kong.Options{Site: ":8000"})
	if err != nil || !strings.Contains(got.Caddyfile, "no consumer's credential was converted") ||
		strings.Contains(got.Caddyfile, "reverse_proxy") {
		t.Errorf("%v\n%s", err, got.Caddyfile)
	}
}

// No secret is in a note: notes go to terminals and logs.
func TestNotesHaveNoSecrets(t *testing.T) {
	for _, secret := range []string{"short-secret", "brace-{secret}-secret-secret-secret", "tab\tsecret"} {
		file := beginning + "plugins: [{name: jwt}]\nroutes: [{name: a, paths: [/a]}]\n" +
			"consumers: [{username: a, jwt_secrets: [{key: k, secret: \"" + strings.ReplaceAll(secret, "\t", `\t`) + "\"}]}]"
		got, err := kong.Convert([]byte(file), kong.Options{Site: ":8000"})
		if err != nil || len(got.Notes) < 2 || strings.Contains(strings.Join(got.Notes, ""), secret) {
			t.Errorf("%v: %q", err, got.Notes)
		}
	}
}

// Whichever line of a file is missing or means something else, converting it ends, and what comes out loads.
func TestConvertMutatedFiles(t *testing.T) {
	files, err := filepath.Glob("../../integration/testdata/kong/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	odd := []string{"null", "[]", "{}", "-1", "''", "'a\nb'", "'{$HOME} {env.HOME} `'", "[[a]]", "'*'", "~", "true"}
	converted := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(string(text), "\n")
		for i, line := range lines {
			changed := line[:0]
			if name, value, found := strings.Cut(line, ": "); found && i%2 == 0 {
				changed = name + ": " + odd[i/2%len(odd)] + value[len(value)-1:]
			}
			mutated := strings.Join(lines[:i], "") + changed + strings.Join(lines[i+1:], "")
			_, err := kong.Convert([]byte(mutated), kong.Options{Site: ":8000"})
			if err == nil {
				converted++
			} else if strings.Contains(err.Error(), "the converted file does not load") {
				t.Errorf("%s without line %d (%q): %v", filepath.Base(file), i+1, changed, err)
			}
		}
	}
	if converted < 100 {
		t.Errorf("only %d mutated files were converted", converted)
	}
}
