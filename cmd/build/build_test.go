package main_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/xcaddy"

	build "github.com/caddyjwt/gateway/cmd/build"
)

const (
	ownModule    = "github.com/caddyjwt/gateway"
	realManifest = "../../xcaddy.json"
)

func TestTheManifestOfThisProjectIsABuilderForTheWorkingTree(t *testing.T) {
	builder, origin, err := build.Plan(t.Context(), "-config", realManifest)
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	want := xcaddy.NewReplace(ownModule, root)
	if len(builder.Replacements) != 1 || builder.Replacements[0] != want {
		t.Errorf("replacements = %v, want only %v", builder.Replacements, want)
	}
	// With a version, so that nobody is asked which ones are published.
	if len(builder.Plugins) != 2 || builder.Plugins[0].String() != ownModule+"@v0.0.0" ||
		builder.Plugins[1].String() != ownModule+"/caddyjwt/tokenissuer@v0.0.0" {
		t.Errorf("plugins = %v, want only those of %s at a version", builder.Plugins, ownModule)
	}
	if !strings.Contains(origin, root) {
		t.Errorf("origin %q does not name the tree %s", origin, root)
	}
}

func TestAVersionOnTheCommandLineIsBuiltInsteadOfTheWorkingTree(t *testing.T) {
	builder, origin, err := build.Plan(t.Context(), "-config", realManifest, "-version", "v1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if len(builder.Replacements) != 0 {
		t.Errorf("replacements = %v, want none", builder.Replacements)
	}
	if want := ownModule + "@v1.2.3"; builder.Plugins[0].String() != want || origin != want {
		t.Errorf("plugin %s from %q, want %s", builder.Plugins[0], origin, want)
	}
	for _, plugin := range builder.Plugins { // or xcaddy would take the newest version of our module
		if plugin.Version != "v1.2.3" {
			t.Errorf("plugin %s, want all at v1.2.3", plugin)
		}
	}
}

func TestTheTargetOnTheCommandLineGoesBeforeTheManifests(t *testing.T) {
	path := manifest(t, `{"caddy_version": "v2.11.9", "os": "linux", "arch": "amd64",
		"plugins": [{"module_path": "`+ownModule+`"}]}`)
	builder, _, err := build.Plan(t.Context(), "-config", path, "-arch", "arm64")
	if err != nil {
		t.Fatal(err)
	}
	if builder.OS != "linux" || builder.Arch != "arm64" {
		t.Errorf("target %s/%s, want linux/arm64", builder.OS, builder.Arch)
	}
}

func TestAManifestThatWouldBuildSomethingElseIsRefused(t *testing.T) {
	plugin := `"plugins": [{"module_path": "` + ownModule + `"}]`
	tests := []struct {
		name string
		text string
		args []string
		want error
	}{
		{"a field that xcaddy does not have", `{"caddy_version": "v2.11.9", "plugin": []}`, nil, build.ErrManifest},
		{"an unknown field inside a plugin", `{"caddy_version": "v2.11.9", "plugins": [{"path": "x"}]}`, nil,
			build.ErrManifest},
		{"a value of the wrong type", `{"caddy_version": 2}`, nil, build.ErrManifest},
		{"text after the object", `{"caddy_version": "v2.11.9", ` + plugin + `} {}`, nil, build.ErrManifest},
		{"an empty file", ``, nil, build.ErrManifest},
		{"no version of Caddy", `{` + plugin + `}`, nil, build.ErrManifest},
		{"our own module is not listed", `{"caddy_version": "v2.11.9"}`, nil, build.ErrNotListed},
		{"a replacement of our own module", `{"caddy_version": "v2.11.9", ` + plugin +
			`, "replacements": [{"old": "` + ownModule + `", "new": "/elsewhere"}]}`, []string{"-version", "v1.2.3"},
			build.ErrReplaced},
		{"a version of our own module and the working tree", `{"caddy_version": "v2.11.9", "plugins": [{"module_path": "` +
			ownModule + `", "version": "v1.0.0"}]}`, nil, build.ErrPinned},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := manifest(t, test.text)
			_, _, err := build.Plan(t.Context(), append([]string{"-config", path}, test.args...)...)
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

func TestAMissingManifestIsReportedAsMissing(t *testing.T) {
	_, err := build.ReadManifest(filepath.Join(t.TempDir(), "xcaddy.json"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want %v", err, os.ErrNotExist)
	}
}

func TestACommandLineWithAStrayArgumentIsRefused(t *testing.T) {
	if err := build.Run(t.Context(), []string{"v1.2.3"}, io.Discard, io.Discard); err == nil {
		t.Error("no error, want one about the argument")
	}
}

// It takes minutes where the module cache is cold, so it runs only when asked:
// BUILD_CADDY=1 go test ./cmd/build
func TestTheBuiltCaddyListsTheModule(t *testing.T) {
	if testing.Short() || os.Getenv("BUILD_CADDY") == "" {
		t.Skip("set BUILD_CADDY=1 to build a whole Caddy")
	}
	binary := filepath.Join(t.TempDir(), "caddy")
	var stdout bytes.Buffer
	args := []string{"-config", realManifest, "-output", binary}
	if err := build.Run(t.Context(), args, &stdout, t.Output()); err != nil {
		t.Fatal(err)
	}
	modules, err := exec.CommandContext(t.Context(), binary, "list-modules").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(modules, []byte("http.handlers.bearer_auth\n")) {
		t.Errorf("http.handlers.bearer_auth is not among the modules of the build:\n%s", stdout.Bytes())
	}
}

// manifest writes a manifest into a module of our name: the module that a
// manifest belongs to is the one around it.
func manifest(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module "+ownModule+"\n")
	path := filepath.Join(dir, "xcaddy.json")
	write(t, path, text)
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
