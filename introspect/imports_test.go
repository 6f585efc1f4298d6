package introspect_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestThePackageStandsAlone: the package is public, and must not bring a web server or a logger to its users.
// internal/rules says what it may import of this module.
func TestThePackageStandsAlone(t *testing.T) {
	allowed := map[string]bool{"github.com/golang-jwt/jwt/v5": true, "github.com/maypok86/otter/v2": true}
	const own = "github.com/caddyjwt/gateway/internal/"
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(path, own) && strings.Contains(strings.Split(path, "/")[0], ".") && !allowed[path] {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}
