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

// The working tree can be run in three ways: "go run ./cmd/caddy" takes its
// versions from go.mod, "go run ./cmd/build" from xcaddy.json, and cmd/caddy
// lists the plugins a third time, as imports. All must be the same Caddy, or
// a test of one says nothing about the others.

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
				t.Errorf("xcaddy.json names %s: the version of our own module is for the command line to say", plugin)
			}
			continue
		}
		if want := moduleVersion(versions, plugin.PackagePath); plugin.Version != want {
			t.Errorf("xcaddy.json has %s, go.mod requires %q of it: change both together", plugin, want)
		}
	}
}

// What bench measures must be what people get.
func TestBenchHasTheVersionsOfGoMod(t *testing.T) {
	versions, bench := required(t), requiredBy(t, filepath.Join(root, "bench"), own+"/bench")
	if bench[caddyModule] == "" {
		t.Errorf("bench/go.mod does not require %s", caddyModule)
	}
	for path, version := range bench {
		if want, both := versions[path]; both && version != want {
			t.Errorf("bench/go.mod requires %s %s, and go.mod %s: run \"go mod tidy\" in bench", path, version, want)
		}
	}
}

var (
	usedAction   = regexp.MustCompile(`(?m)uses: (.*)$`)
	pinnedAction = regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40} # v[\d.]+$`)
)

// A tag of an action can be moved to another commit by whoever takes over its
// repository, as happened to tj-actions/changed-files (CVE-2025-30066).
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
				t.Errorf("%s uses %s: name its commit, and the version in a comment", filepath.Base(file), used[1])
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
			t.Errorf("cmd/caddy imports\n\t%v\nand xcaddy.json means\n\t%v", got, want)
		}
		return
	}
	t.Error("there is no cmd/caddy")
}

// manifest reads xcaddy.json; how strictly, is for the tests of cmd/build.
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

// required is what the go.mod of this module requires, module by module.
func required(t *testing.T) map[string]string {
	t.Helper()
	return requiredBy(t, root, own)
}

// requiredBy is what the go.mod in a directory requires, module by module.
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
		t.Fatalf("the go.mod in %s is that of %s, and these tests are about %s", dir, file.Module.Path, module)
	}
	versions := map[string]string{}
	for _, module := range file.Require {
		versions[module.Path] = module.Version
	}
	return versions
}

// moduleVersion is the version of the module that holds a package.
func moduleVersion(versions map[string]string, importPath string) string {
	for path := importPath; path != "."; path = strings.TrimSuffix(filepath.ToSlash(filepath.Dir(path)), "/") {
		if version, ok := versions[path]; ok {
			return version
		}
	}
	return ""
}
