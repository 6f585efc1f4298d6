package rules_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/xcaddy"
)

const caddyModule = "github.com/caddyserver/caddy/v2"

// The working tree can be run in two ways: "go run ./cmd/caddy" takes its versions from go.mod, and "go run
// ./cmd/build" from xcaddy.json. cmd/caddy also lists the plugins, as imports. All must describe the same Caddy, or a
// test of one says nothing about the other.

func TestXcaddyBuildsTheCaddyOfGoMod(t *testing.T) {
	if got, want := manifest(t).CaddyVersion, required(t)[caddyModule]; got != want {
		t.Errorf("xcaddy.json builds Caddy %s, go.mod requires %s: change both together", got, want)
	}
}

func TestPluginsHaveTheSameVersionsInXcaddyJSONAndGoMod(t *testing.T) {
	versions := required(t)
	for _, plugin := range manifest(t).Plugins {
		if plugin.PackagePath == own {
			if plugin.Version != "" {
				t.Errorf("xcaddy.json names %s: the version of our own module belongs on the command line", plugin)
			}
			continue
		}
		if want := moduleVersion(versions, plugin.PackagePath); plugin.Version != want {
			t.Errorf("xcaddy.json has %s, but go.mod requires its version %q: change both together", plugin, want)
		}
	}
}

// bench must measure what users get.
func TestBenchHasTheVersionsOfGoMod(t *testing.T) {
	versions, bench := required(t), requiredBy(t, filepath.Join(root, "bench"), own+"/bench")
	if bench[caddyModule] == "" {
		t.Errorf("bench/go.mod does not require %s", caddyModule)
	}
	for path, version := range bench {
		if want, both := versions[path]; both && version != want {
			t.Errorf("bench/go.mod requires %s %s, but go.mod %s: run \"go mod tidy\" in bench", path, version, want)
		}
	}
}

var (
	usedAction   = regexp.MustCompile(`(?m)uses: (.*)$`)
	pinnedAction = regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40} # v[\d.]+$`)
)

// Whoever takes over an action's repository can move its tags to other commits, as happened to tj-actions/changed-files
// (CVE-2025-30066).
func TestActionsArePinnedByTheirCommits(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no workflows: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, used := range usedAction.FindAllSubmatch(text, -1) {
			if !pinnedAction.Match(used[1]) {
				t.Errorf("%s uses %s: give its commit, and its version in a comment", filepath.Base(file), used[1])
			}
		}
	}
}

func TestCmdCaddyImportsThePluginsOfXcaddyJSON(t *testing.T) {
	want := []string{caddyModule + "/cmd", caddyModule + "/modules/standard"}
	for _, plugin := range manifest(t).Plugins {
		want = append(want, plugin.PackagePath)
	}
	slices.Sort(want)
	for _, p := range ours(t) {
		if short(p.ImportPath) != "cmd/caddy" {
			continue
		}
		if got := slices.Sorted(slices.Values(p.Imports)); !slices.Equal(got, want) {
			t.Errorf("cmd/caddy imports\n\t%v\nbut by xcaddy.json it should import\n\t%v", got, want)
		}
		return
	}
	t.Error("there is no cmd/caddy")
}

// manifest reads xcaddy.json. The tests of cmd/build check the file more strictly.
func manifest(t *testing.T) xcaddy.Builder {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "xcaddy.json"))
	if err != nil {
		t.Fatal(err)
	}
	var builder xcaddy.Builder
	if err := json.Unmarshal(text, &builder); err != nil {
		t.Fatal(err)
	}
	return builder
}

// required returns the versions in this module's go.mod, by module.
func required(t *testing.T) map[string]string {
	t.Helper()
	return requiredBy(t, root, own)
}

// requiredBy returns the versions in the go.mod of a directory, by module.
func requiredBy(t *testing.T, dir, module string) map[string]string {
	t.Helper()
	watchTree(t)
	cmd := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json")
	cmd.Dir = dir
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s in %s: %v", cmd, dir, err)
	}
	var file struct {
		Module  struct{ Path string }
		Require []struct{ Path, Version string }
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&file); err != nil {
		t.Fatal(err)
	}
	if file.Module.Path != module {
		t.Fatalf("the go.mod in %s is that of %s, not of %s", dir, file.Module.Path, module)
	}
	versions := map[string]string{}
	for _, module := range file.Require {
		versions[module.Path] = module.Version
	}
	return versions
}

// moduleVersion returns the version of the module that a package belongs to.
func moduleVersion(versions map[string]string, importPath string) string {
	for path := importPath; path != "."; path = strings.TrimSuffix(filepath.ToSlash(filepath.Dir(path)), "/") {
		if version, ok := versions[path]; ok {
			return version
		}
	}
	return ""
}
