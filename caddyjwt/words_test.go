package caddyjwt_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/caddyjwt/backchannel"
	"github.com/caddyjwt/gateway/caddyjwt/clienttls"
	"github.com/caddyjwt/gateway/caddyjwt/consumers"
	"github.com/caddyjwt/gateway/caddyjwt/cors"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/rights"
)

// sections of docs/configuration.md: each has the words of one block and the JSON fields of one struct.
var sections = map[string]reflect.Type{
	"bearer_auth":        reflect.TypeFor[caddyjwt.Handler](),
	"resource":           reflect.TypeFor[caddyjwt.Resource](),
	"issuer":             reflect.TypeFor[issuers.Issuer](),
	"tls":                reflect.TypeFor[clienttls.TLS](),
	"introspect":         reflect.TypeFor[issuers.Introspect](),
	"consumer":           reflect.TypeFor[consumers.Consumer](),
	"credential":         reflect.TypeFor[consumers.Credential](),
	"backchannel_logout": reflect.TypeFor[backchannel.Logout](),
	"private_key": reflect.TypeFor[struct { // its words fill fields of introspect
		PrivateKeyPassword string `json:"private_key_password"`
	}](),
	"cors": reflect.TypeFor[cors.Config](),
	"mcp":  reflect.TypeFor[rights.Rights](),
}

// The comment of UnmarshalCaddyfile has the syntax card that the tables make.
func TestSyntaxCardMatchesTheTables(t *testing.T) {
	if card, want := syntaxCard(t), caddyjwt.Directive.Card(caddyjwt.LineUsage); card != want {
		t.Errorf("the comment of UnmarshalCaddyfile has\n%s\nthe tables give\n%s", card, want)
	}
}

// syntaxCard reads the comment of UnmarshalCaddyfile: the lines that are indented.
func syntaxCard(t *testing.T) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "caddyfile.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var card strings.Builder
	for _, declaration := range file.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || f.Name.Name != "UnmarshalCaddyfile" {
			continue
		}
		for line := range strings.Lines(f.Doc.Text()) {
			if line == "\n" && card.Len() > 0 {
				card.WriteString(line)
			} else if line, indented := strings.CutPrefix(line, "\t"); indented {
				card.WriteString(line)
			}
		}
	}
	return strings.TrimRight(card.String(), "\n") + "\n"
}

// Each form of each word has a row in the manual, and each row is such a form.
func TestConfigurationReferenceHasEveryWordOfTheCaddyfile(t *testing.T) {
	documented := documentedRows(t)
	tables := caddyjwt.Directive.Tables()
	for section := range sections {
		var want, got []string
		for _, entry := range tables[section] {
			want = append(want, entry.Forms()...)
		}
		for _, row := range documented[section] {
			got = append(got, row.forms...)
		}
		compare(t, section, "the table of its words", want, got)
	}
	if len(tables) != len(sections) {
		t.Errorf("the directive has the blocks %v, the test knows %v",
			slices.Sorted(maps.Keys(tables)), slices.Sorted(maps.Keys(sections)))
	}
}

// The row of a word names the JSON fields that the word fills. It says "Repeatable" if the word is.
func TestConfigurationReferenceSaysWhatEachWordFills(t *testing.T) {
	documented := documentedRows(t)
	for block, entries := range caddyjwt.Directive.Tables() {
		for _, entry := range entries {
			var fields []string
			for _, row := range documented[block] {
				if len(row.forms) == 0 || strings.Fields(row.forms[0])[0] != entry.Name {
					continue
				}
				fields = append(fields, row.json...)
				if said := strings.Contains(row.meaning, "Repeatable"); said != entry.Repeatable {
					t.Errorf("docs/configuration.md, %s of %s: repeatable is %v there, and %v in the table",
						entry.Name, block, said, entry.Repeatable)
				}
			}
			for _, field := range entry.JSON {
				if !slices.Contains(fields, field) {
					t.Errorf("docs/configuration.md, %s of %s: no row has the JSON field %q", entry.Name, block, field)
				}
			}
			for _, field := range fields {
				top := strings.FieldsFunc(field, func(c rune) bool { return c == '.' || c == '[' })[0]
				if !slices.Contains(entry.JSON, top) {
					t.Errorf("docs/configuration.md, %s of %s: a row has the JSON field %q, and the word fills %v",
						entry.Name, block, field, entry.JSON)
				}
			}
		}
	}
}

func TestConfigurationReferenceHasEveryJSONField(t *testing.T) {
	documented := documentedRows(t)
	for section, structure := range sections {
		var got []string
		for _, row := range documented[section] {
			got = append(got, row.json...)
		}
		compare(t, section, "the structs", jsonFields(structure, ""), got)
	}
}

// compare compares two lists of one section, in both directions.
func compare(t *testing.T, section, source string, want, got []string) {
	t.Helper()
	for _, text := range want {
		if !slices.Contains(got, text) {
			t.Errorf("docs/configuration.md, section %q, lacks %q, which %s has", section, text, source)
		}
	}
	for _, text := range got {
		if !slices.Contains(want, text) {
			t.Errorf("docs/configuration.md, section %q, has %q, which %s does not have", section, text, source)
		}
	}
	if len(want) == 0 {
		t.Errorf("section %q: %s has nothing, the test cannot be right", section, source)
	}
}

// every_word.caddyfiletest keeps its promise: each word of each block is in it, and each kind of key source and place.
func TestEveryWordIsInEveryWord(t *testing.T) {
	text, err := os.ReadFile("testdata/adapt/every_word.caddyfiletest")
	if err != nil {
		t.Fatal(err)
	}
	site, _, _ := strings.Cut(string(text), divider)
	_, site, _ = strings.Cut(site, "{\n") // of the site
	written := writtenWords(site)
	for block, entries := range caddyjwt.Directive.Tables() {
		for _, entry := range entries {
			for _, form := range entry.Forms() {
				kinds, _, _ := strings.Cut(strings.TrimPrefix(form, entry.Name+" "), " ")
				if len(entry.Usage) < 2 || strings.HasPrefix(kinds, "<") { // only words of several forms have kinds
					kinds = ""
				}
				for kind := range strings.SplitSeq(kinds, "|") {
					if word := strings.TrimSpace(entry.Name + " " + kind); !written[block+": "+word] {
						t.Errorf("testdata/adapt/every_word.caddyfiletest lacks %q in a block %s", word, block)
					}
				}
			}
		}
	}
}

// writtenWords finds the words of a Caddyfile, alone and with what follows, each behind the name of its block.
func writtenWords(caddyfile string) map[string]bool {
	found := make(map[string]bool)
	var blocks []string
	for line := range strings.Lines(caddyfile) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[0] == "}" {
			blocks = blocks[:max(0, len(blocks)-1)]
			continue
		}
		if len(blocks) > 0 {
			found[blocks[len(blocks)-1]+": "+words[0]] = true
			found[blocks[len(blocks)-1]+": "+strings.Join(words[:min(2, len(words))], " ")] = true
		}
		if words[len(words)-1] == "{" {
			blocks = append(blocks, words[0])
		}
	}
	return found
}

// asInRequire are structs whose fields are those of require, as the rows about them say.
var asInRequire = []reflect.Type{reflect.TypeFor[require.Alternative](), reflect.TypeFor[require.Excluded]()}

// jsonFields lists the fields of a struct: those of nested structs after a dot, of list elements after "[].". A struct
// that has a section of its own is not entered.
func jsonFields(structure reflect.Type, prefix string) []string {
	var fields []string
	for i := range structure.NumField() {
		field := structure.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		path := prefix + name
		fields = append(fields, path)
		inner := field.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice {
			if inner.Kind() == reflect.Slice {
				path += "[]"
			}
			inner = inner.Elem()
		}
		own := slices.Contains(append(slices.Collect(maps.Values(sections)), asInRequire...), inner)
		if inner.Kind() == reflect.Struct && !own {
			fields = append(fields, jsonFields(inner, path+".")...)
		}
	}
	return fields
}

var (
	sectionHeading = regexp.MustCompile("^## `([a-z_]+)`")
	anyHeading     = regexp.MustCompile("^#+ ")
	codeSpan       = regexp.MustCompile("`([^`]+)`")
)

// row is one of the tables with a Caddyfile and a JSON column.
type row struct {
	forms, json []string // the code spans of these columns
	meaning     string
}

// documentedRows reads these tables, by section.
func documentedRows(t *testing.T) map[string][]row {
	t.Helper()
	rows := make(map[string][]row)
	section, inTable := "", false
	for line := range strings.Lines(readDoc(t, "docs/configuration.md")) {
		if heading := sectionHeading.FindStringSubmatch(line); heading != nil {
			section = heading[1]
		} else if anyHeading.MatchString(line) {
			section = ""
		}
		switch {
		case strings.HasPrefix(line, "| Caddyfile | JSON |"):
			inTable = true
			if _, known := sections[section]; !known {
				t.Errorf("a table of words stands outside of the sections: %q", section)
			}
			continue
		case !strings.HasPrefix(line, "|"):
			inTable = false
		}
		if columns := cells(line); inTable {
			rows[section] = append(rows[section], row{codes(columns[0]), codes(columns[1]), columns[2]})
		}
	}
	return rows
}

func codes(cell string) (texts []string) {
	for _, span := range codeSpan.FindAllStringSubmatch(cell, -1) {
		texts = append(texts, span[1])
	}
	return texts
}
