package caddyjwt_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	// What the Caddyfiles here name besides our own. All of modules/standard takes longer to link.
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/logging"

	_ "github.com/caddyjwt/gateway/caddyjwt"
)

var update = flag.Bool("update", false, "rewrite the expected part of testdata/adapt")

const divider = "----------\n"

// TestAdapt runs every file of testdata/adapt: a Caddyfile, a dashed line, and the JSON that it becomes or the error
// that it gives. A new case is a new file.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	t.Setenv("GATE_TEST_SECRET", "5a6f1c0e9d3b47a28c1e0f7d6b5a4938")
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".caddyfiletest")
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			caddyfile, want, _ := strings.Cut(string(text), divider)
			got := adapted(t, caddyfile)
			if *update {
				if err := os.WriteFile(file, []byte(caddyfile+divider+got), 0o644); err != nil {
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

// adapted gives the JSON of the bearer_auth handlers in a Caddyfile, or the error.
func adapted(t *testing.T, caddyfile string) string {
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
	for _, handler := range handlers(tree) {
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "\t")
		if err := encoder.Encode(handler); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// handlers finds the bearer_auth handlers in a config.
func handlers(node any) []any {
	var found []any
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			found = append(found, handlers(element)...)
		}
	case map[string]any:
		if node["handler"] == "bearer_auth" {
			return []any{node}
		}
		for _, member := range node {
			found = append(found, handlers(member)...)
		}
	}
	return found
}
