// Package rules holds no code, only tests of what the design demands of the
// source tree as a whole: who may import whom, that every package says what it
// is, and that every place that names a version names the same one.
package rules_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	root = "../.."
	own  = "github.com/caddyjwt/gateway"
)

// listed is what these tests read of "go list".
type listed struct {
	ImportPath string   // with -test also "p.test" and "p [q.test]"
	Name       string   // the package's name
	Doc        string   // first sentence of the package comment
	GoFiles    []string // without tests
	Imports    []string // direct; without those of tests
}

// list runs the go command in the root of the module. An import that cannot be
// found is left for the compiler to report.
func list(t *testing.T, args ...string) []listed {
	t.Helper()
	watchTree(t)
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-e"}, args...)...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var p listed
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages
		case err != nil:
			t.Fatalf("%s: %v", cmd, err)
		}
		packages = append(packages, p)
	}
}

// watchTree opens every directory of the module, so that "go test" sees what
// these tests depend on: it knows what a test opens, but not what the go
// command started by the test reads, and would serve an old result from its
// cache after an import was added.
func watchTree(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	for _, p := range list(t, "-json=ImportPath,Doc,GoFiles", "-tags=e2e", "./...") {
		if len(p.GoFiles) == 0 {
			continue // only tests: nothing that anybody could import
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment: say in one sentence what it is for", p.ImportPath)
		}
	}
}

func TestNoPackageHasANameThatSaysNothing(t *testing.T) {
	for _, p := range list(t, "-json=ImportPath,Name", "./...") {
		for _, vague := range []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "types"} {
			if p.Name == vague {
				t.Errorf("%s: a package is named for what it provides, and %q names nothing", p.ImportPath, vague)
			}
		}
	}
}

// short is an import path without the module's part of it.
func short(importPath string) string { return strings.TrimPrefix(importPath, own+"/") }
