package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/caddyserver/xcaddy"
)

var (
	errManifest  = errors.New("manifest")
	errNotListed = errors.New("the module is not among the manifest's plugins")
	errReplaced  = errors.New("the manifest already replaces the module")
	errPinned    = errors.New("the manifest already names a version of the module")
)

// readManifest reads the JSON form of xcaddy's Builder. It is strict: otherwise a misspelt field would silently build
// something else.
func readManifest(path string) (xcaddy.Builder, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return xcaddy.Builder{}, err
	}
	var builder xcaddy.Builder
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&builder); err != nil {
		return xcaddy.Builder{}, fmt.Errorf("%w %s: %w", errManifest, path, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return xcaddy.Builder{}, fmt.Errorf("%w %s: text after the object", errManifest, path)
	}
	// Without a version, xcaddy takes the newest Caddy of the day, and two builds of one commit differ.
	if builder.CaddyVersion == "" {
		return xcaddy.Builder{}, fmt.Errorf("%w %s: caddy_version is missing", errManifest, path)
	}
	return builder, nil
}

// module is what "go list -m" prints about a module.
type module struct {
	Path string // import path
	Dir  string // directory of go.mod
}

// mainModule finds the module around dir. It asks the go command, whose rules for finding go.mod count. It ignores a
// workspace around the tree, since xcaddy builds outside of it.
func mainModule(ctx context.Context, dir string) (module, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-json=Path,Dir")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return module{}, fmt.Errorf("finding the module of %s: %w", dir, err)
	}
	var own module
	if err := json.Unmarshal(text, &own); err != nil {
		return module{}, fmt.Errorf("finding the module of %s: %w", dir, err)
	}
	if own.Dir == "" {
		return module{}, fmt.Errorf("no go.mod at or above %s", dir)
	}
	return own, nil
}

// workingTree is the version that the build gives the working tree. Any version would do, since the replacement holds
// for all. Without one, xcaddy's "go get" would ask the module proxy for the newest published version, and the build of
// a tree would depend on what is published.
const workingTree = "v0.0.0"

// useWorkingTree makes the builder take our own module from its directory.
func useWorkingTree(builder *xcaddy.Builder, own module) error {
	plugins, err := ownPlugins(builder, own)
	if err != nil {
		return err
	}
	for _, plugin := range plugins {
		if plugin.Version != "" {
			return fmt.Errorf("%w: %s", errPinned, plugin)
		}
		plugin.Version = workingTree
	}
	builder.Replacements = append(builder.Replacements, xcaddy.NewReplace(own.Path, own.Dir))
	return nil
}

// pin makes the builder take our own module at a published version.
func pin(builder *xcaddy.Builder, own module, version string) error {
	plugins, err := ownPlugins(builder, own)
	if err != nil {
		return err
	}
	for _, plugin := range plugins {
		plugin.Version = version
	}
	return nil
}

// ownPlugins are the entries of our own module in the manifest: its root, and packages that are plugins of their own.
func ownPlugins(builder *xcaddy.Builder, own module) (plugins []*xcaddy.Dependency, err error) {
	for _, replacement := range builder.Replacements {
		if string(replacement.Old) == own.Path {
			return nil, fmt.Errorf("%w: %s", errReplaced, own.Path)
		}
	}
	for i := range builder.Plugins {
		if path := builder.Plugins[i].PackagePath; path == own.Path || strings.HasPrefix(path, own.Path+"/") {
			plugins = append(plugins, &builder.Plugins[i])
		}
	}
	if len(plugins) > 0 {
		return plugins, nil
	}
	return nil, fmt.Errorf("%w: %s", errNotListed, own.Path)
}
