package integration

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Every directory of examples has a README, and Caddyfiles that are good as they stand, in the style of "caddy fmt".
// One of them has a gate. Variables and files of secrets are those of somebody who has followed the README. e2e and
// packaging run some of them.
func TestExamplesAreGood(t *testing.T) {
	const examples = "../../examples"
	entries, err := os.ReadDir(examples)
	if err != nil || len(entries) < 3 {
		t.Fatalf("%d examples: %v", len(entries), err)
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			dir := filepath.Join(examples, entry.Name())
			if info, err := os.Stat(filepath.Join(dir, "README.md")); err != nil || info.Size() < 100 {
				t.Errorf("README.md must say what the example is, and how to run it: %v", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "Caddyfile")); err != nil {
				t.Errorf("\"caddy run\" in the directory must run the example: %v", err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*Caddyfile"))
			if err != nil {
				t.Fatal(err)
			}
			gates := 0
			for _, file := range files {
				gates += strings.Count(exampleIsGood(t, file), `"handler":"bearer_auth"`)
			}
			if gates == 0 {
				t.Error("no Caddyfile has a gate")
			}
		})
	}
}

var (
	usedVariable = regexp.MustCompile(`\{(?:env\.|\$)(\w+)\}`)
	usedFile     = regexp.MustCompile(`\{file\.(/[\w./-]+)\}`)
)

// exampleIsGood validates a Caddyfile, and returns it adapted.
func exampleIsGood(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	if formatted := string(caddyfile.Format(content)); formatted != text {
		t.Errorf("of %s, \"caddy fmt\" would make\n%s", path, formatted)
	}
	for _, used := range usedVariable.FindAllStringSubmatch(text, -1) {
		t.Setenv(used[1], rand.Text()+rand.Text())
	}
	for _, used := range usedFile.FindAllStringSubmatch(text, -1) {
		secret := filepath.Join(t.TempDir(), "secret")
		writeFile(t, secret, rand.Text()+rand.Text())
		text = strings.ReplaceAll(text, used[1], secret)
	}
	// What Caddy keeps, it keeps here. A validated configuration may open stores.
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	adapted, err := adapt(text)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	var config caddy.Config
	if err := json.Unmarshal(adapted, &config); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&config); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return string(adapted)
}
