// Package rules has only tests. They check what the design requires of the source tree as a whole: which package may
// import which, how long files and packages may be, that every package has a comment, that docs/architecture.md matches
// the tree, that secrets are compared in constant time, and that versions agree wherever they are named.
package rules_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/build"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const (
	root = "../.."
	own  = "github.com/caddyjwt/gateway"
)

// listed is what these tests need to know about a package.
type listed struct {
	ImportPath   string   // a test program has "p.test", a package compiled for a test "p [q.test]"
	Dir          string   // where its files are
	Name         string   // the package's name
	Doc          string   // first sentence of the package comment
	GoFiles      []string // without tests
	Imports      []string // direct; without those of tests
	TestImports  []string // of the tests inside the package
	XTestImports []string // of the tests outside of it
}

// everything lists all packages of the module, and all that they and their tests are linked with. One run of the go
// command serves all tests.
var everything = sync.OnceValues(func() ([]listed, error) {
	cmd := exec.Command("go", "list",
		"-e", // the compiler reports an import that cannot be found
		"-deps", "-test", "-tags=e2e,e2eall,packages",
		"-json=ImportPath,Dir,Name,Doc,GoFiles,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, stderr.Bytes())
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var p listed
		switch err := decoder.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", cmd, err)
		}
		packages = append(packages, p)
	}
})

// all returns everything.
func all(t *testing.T) []listed {
	t.Helper()
	watchTree(t)
	packages, err := everything()
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// ours lists every package of this repository once, without the test programs.
func ours(t *testing.T) []listed {
	t.Helper()
	var packages []listed
	for _, p := range all(t) {
		mine := p.ImportPath == own || strings.HasPrefix(p.ImportPath, own+"/")
		if mine && !strings.HasSuffix(p.ImportPath, ".test") && !strings.Contains(p.ImportPath, " ") {
			packages = append(packages, p)
		}
	}
	packages = append(packages, benchPackages(t)...)
	if len(packages) < 10 {
		t.Fatalf("found only %d packages of ours: these tests would check nothing", len(packages))
	}
	return packages
}

// benchPackages lists the packages of the module in bench. The go command could list them only with all of that
// module's dependencies.
func benchPackages(t *testing.T) []listed {
	t.Helper()
	var packages []listed
	err := filepath.WalkDir(filepath.Join(root, "bench"), func(dir string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		p, err := build.ImportDir(dir, 0)
		if _, none := errors.AsType[*build.NoGoError](err); none {
			return nil
		} else if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, dir)
		if err != nil {
			return err
		}
		packages = append(packages, listed{
			ImportPath: own + "/" + filepath.ToSlash(relative), Dir: dir, Name: p.Name, Doc: p.Doc, GoFiles: p.GoFiles,
			Imports: p.Imports, TestImports: p.TestImports, XTestImports: p.XTestImports,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// watchTree opens every directory of the module, so that "go test" knows what these tests depend on. It sees what a
// test opens, but not what a go command that the test starts reads. Without this, it would serve an old result from its
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
	for _, p := range ours(t) {
		if len(p.GoFiles) == 0 {
			continue // only tests, so nobody can import it
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment: say what the package is for", p.ImportPath)
		}
	}
}

func TestNoPackageHasAVagueName(t *testing.T) {
	for _, p := range ours(t) {
		for _, vague := range []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "types"} {
			if p.Name == vague {
				t.Errorf("%s: name the package for what it provides; %q does not say that", p.ImportPath, vague)
			}
		}
	}
}

// short is an import path relative to the module. It is "." for the package in the root.
func short(importPath string) string {
	if importPath == own {
		return "."
	}
	return strings.TrimPrefix(importPath, own+"/")
}
