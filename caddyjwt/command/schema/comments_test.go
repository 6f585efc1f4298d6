package schema

import (
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const (
	module = "github.com/caddyjwt/gateway"
	root   = "../../.." // of the module
)

// comments are the comments of structs and their fields, by the path of the package, the type and the field.
type comments struct {
	read  map[string]bool
	texts map[string]string
}

// of returns the comment of a type, or that of one of its fields.
func (c *comments) of(tb testing.TB, t reflect.Type, field string) string {
	tb.Helper()
	if !c.read[t.PkgPath()] {
		c.read[t.PkgPath()] = true
		c.readPackage(tb, t.PkgPath())
	}
	found := c.texts[t.PkgPath()+"."+t.Name()+"."+field]
	if found == "" {
		tb.Errorf("%s.%s has no comment: it is the manual of the JSON", t, field)
	}
	return found
}

func (c *comments) readPackage(tb testing.TB, path string) {
	tb.Helper()
	below, ours := strings.CutPrefix(path, module)
	if !ours {
		tb.Fatalf("%s is not of this module", path)
	}
	names, err := filepath.Glob(filepath.Join(root, below, "*.go"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			tb.Fatal(err)
		}
		for _, declaration := range file.Decls {
			if types, ok := declaration.(*ast.GenDecl); ok && types.Tok == token.TYPE {
				c.readTypes(path, types)
			}
		}
	}
}

func (c *comments) readTypes(path string, types *ast.GenDecl) {
	for _, spec := range types.Specs {
		spec := spec.(*ast.TypeSpec)
		name := path + "." + spec.Name.Name + "."
		c.texts[name] = plain(types.Doc)
		c.texts[name], _, _ = strings.Cut(c.texts[name], "\n\n") // the rest has tables for the manual
		structure, ok := spec.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, field := range structure.Fields.List {
			for _, ident := range field.Names {
				c.texts[name+ident.Name] = plain(field.Doc)
			}
		}
	}
}

// plain is a comment as text, with one line for each paragraph.
func plain(group *ast.CommentGroup) string {
	printer := comment.Printer{TextWidth: -1}
	return strings.TrimSpace(string(printer.Text(new(comment.Parser).Parse(group.Text()))))
}
