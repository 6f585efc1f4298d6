package wordstest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// Divider ends a Caddyfile.
const Divider = "----------\n"

// Adapt runs every file of a directory: a Caddyfile, a dashed line, and what Adapted gives. If update is set, it writes
// the files.
func Adapt(t *testing.T, directory, handler string, update bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(directory, "*.caddyfiletest"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddyfiletest")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			caddyfile, want, _ := strings.Cut(string(text), Divider)
			got := Adapted(t, caddyfile, handler)
			if update {
				if err := os.WriteFile(file, []byte(caddyfile+Divider+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// Adapted gives the JSON of the handlers of a name in a Caddyfile, or the error.
func Adapted(t *testing.T, caddyfile, handler string) string {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	var tree any
	if err := json.Unmarshal(config, &tree); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, found := range Handlers(tree, handler) {
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "\t")
		if err := encoder.Encode(found); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// Handlers finds the handlers of a name in a config.
func Handlers(node any, name string) []any {
	var found []any
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			found = append(found, Handlers(element, name)...)
		}
	case map[string]any:
		if node["handler"] == name {
			return []any{node}
		}
		for _, member := range node {
			found = append(found, Handlers(member, name)...)
		}
	}
	return found
}
