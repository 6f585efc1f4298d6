package caddyjwt_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	caddyfileformat "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// sections of docs/configuration.md: each has the words of one block and the JSON fields of one struct.
var sections = map[string]reflect.Type{
	"bearer_auth": reflect.TypeFor[caddyjwt.Handler](),
	"issuer":      reflect.TypeFor[caddyjwt.Issuer](),
	"tls":         reflect.TypeFor[caddyjwt.TLS](),
	"introspect":  reflect.TypeFor[caddyjwt.Introspect](),
	"consumer":    reflect.TypeFor[caddyjwt.Consumer](),
	"credential":  reflect.TypeFor[caddyjwt.Credential](),
}

func TestConfigurationReferenceHasEveryWordOfTheCaddyfile(t *testing.T) {
	documented := documentedColumn(t, 0)
	card, _ := syntaxCard(t)
	for section := range sections {
		compare(t, section, "the comment of UnmarshalCaddyfile", card[section], documented[section])
	}
	if len(card) != len(sections) {
		t.Errorf("the syntax card has the blocks %v, the test knows %v", slices.Sorted(maps.Keys(card)), slices.Sorted(maps.Keys(sections)))
	}
}

func TestConfigurationReferenceHasEveryJSONField(t *testing.T) {
	documented := documentedColumn(t, 1)
	for section, structure := range sections {
		compare(t, section, "the structs", jsonFields(structure, ""), documented[section])
	}
}

// compare holds the two lists of one section against each other, in both directions.
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

// The parser looks up in a list which words there are, for its errors, and which of them may be repeated. That list and
// the syntax card are the same.
func TestSyntaxCardHasTheWordsOfTheParser(t *testing.T) {
	card, repeatable := syntaxCard(t)
	for block, words := range caddyjwt.Words {
		var want []string
		for _, line := range card[block] {
			word, _, _ := strings.Cut(line, " ")
			if repeatable[block+" "+word] {
				word += "*"
			}
			want = append(want, word)
		}
		got := strings.Fields(words)
		slices.Sort(want)
		slices.Sort(got)
		if want = slices.Compact(want); !slices.Equal(got, want) {
			t.Errorf("block %q: the parser knows\n%v\nthe comment of UnmarshalCaddyfile has\n%v", block, got, want)
		}
	}
	if len(caddyjwt.Words) != len(card) {
		t.Errorf("the parser knows %d blocks, the comment of UnmarshalCaddyfile has %d", len(caddyjwt.Words), len(card))
	}
}

// syntaxCard reads the comment of UnmarshalCaddyfile: the lines of each block, without comments and extra spaces; and
// which words, after their block and a space, are marked as repeatable.
func syntaxCard(t *testing.T) (card map[string][]string, repeatable map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "caddyfile.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	card, repeatable = make(map[string][]string), make(map[string]bool)
	for _, declaration := range file.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || f.Name.Name != "UnmarshalCaddyfile" {
			continue
		}
		var blocks []string
		for line := range strings.Lines(f.Doc.Text()) {
			line, remark, _ := strings.Cut(line, "#")
			words := strings.Fields(line)
			switch {
			case !strings.HasPrefix(line, "\t") || len(words) == 0:
				continue
			case words[0] == "}":
				blocks = blocks[:len(blocks)-1]
				continue
			}
			opens := words[len(words)-1] == "{"
			if opens {
				words = words[:len(words)-1]
			}
			if len(blocks) > 0 {
				block := blocks[len(blocks)-1]
				card[block] = append(card[block], strings.Join(words, " "))
				if strings.TrimSpace(remark) == "repeatable" {
					repeatable[block+" "+words[0]] = true
				}
			}
			if opens {
				blocks = append(blocks, words[0])
			}
		}
	}
	return card, repeatable
}

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
		own := slices.Contains(slices.Collect(maps.Values(sections)), inner)
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

// documentedColumn reads the code spans in one column of the tables with a Caddyfile and a JSON column, by section.
func documentedColumn(t *testing.T, column int) map[string][]string {
	t.Helper()
	spans := make(map[string][]string)
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
		if !inTable {
			continue
		}
		for _, span := range codeSpan.FindAllStringSubmatch(cells(line)[column], -1) {
			spans[section] = append(spans[section], span[1])
		}
	}
	return spans
}

// cells splits a row of a table; "\|" is a bar inside a cell.
func cells(row string) []string {
	const bar = "\x00"
	row = strings.ReplaceAll(strings.TrimSpace(row), `\|`, bar)
	list := strings.Split(strings.Trim(row, "|"), "|")
	for i := range list {
		list[i] = strings.TrimSpace(strings.ReplaceAll(list[i], bar, "|"))
	}
	return list
}

// Every Reason has a row in docs/errors.md, in the order of the rules, with the status and error code that the gate
// gives to clients.
func TestErrorReferenceHasEveryReason(t *testing.T) {
	var documented []gate.Reason
	inTable := false
	for line := range strings.Lines(readDoc(t, "docs/errors.md")) {
		switch {
		case strings.HasPrefix(line, "| Reason | Status |"):
			inTable = true
			continue
		case !strings.HasPrefix(line, "|"):
			inTable = false
		}
		if !inTable || strings.HasPrefix(line, "| ---") {
			continue
		}
		row := cells(line)
		reason := gate.Reason(strings.Trim(row[0], "`"))
		documented = append(documented, reason)
		answer := new(gate.Gate).Answer(&gate.Failure{Reason: reason})
		code := ""
		if _, after, ok := strings.Cut(answer.Header.Get("WWW-Authenticate"), `error="`); ok {
			code, _, _ = strings.Cut(after, `"`)
		}
		if want := strconv.Itoa(answer.Status); row[1] != want {
			t.Errorf("docs/errors.md: status of %s is %s, the gate answers %s", reason, row[1], want)
		}
		if got := strings.Trim(row[2], "`"); got != code {
			t.Errorf("docs/errors.md: error code of %s is %q, the gate sends %q", reason, got, code)
		}
	}
	if !slices.Equal(documented, gate.Reasons()) {
		t.Errorf("docs/errors.md has\n%v\nthe gate has\n%v", documented, gate.Reasons())
	}
}

// Every test that the documentation names exists: a defence whose test was renamed or removed is not tested as said. And
// every attack is in the threat model: what was tried tells what the gate is good for.
func TestDocumentationNamesRealTestsAndEveryAttack(t *testing.T) {
	exists := make(map[string]bool)
	declaration := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)\(`)
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "node_modules":
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		for _, found := range declaration.FindAllStringSubmatch(string(text), -1) {
			exists[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z][A-Za-z0-9]*)`")
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range append(documents, "../README.md", "../SECURITY.md", "../CONTRIBUTING.md") {
		document = strings.TrimPrefix(filepath.ToSlash(document), "../")
		for _, found := range name.FindAllStringSubmatch(readDoc(t, document), -1) {
			if !exists[found[1]] {
				t.Errorf("%s names %s, which is nowhere in the tree", document, found[1])
			}
		}
	}
	model := readDoc(t, "docs/threat-model.md")
	attacks := 0
	for _, test := range slices.Sorted(maps.Keys(exists)) {
		if !strings.HasPrefix(test, "TestAttack") {
			continue
		}
		attacks++
		if !strings.Contains(model, "`"+test+"`") {
			t.Errorf("docs/threat-model.md does not name %s: say who attacks what, and what the defence is", test)
		}
	}
	if attacks == 0 {
		t.Error("there are no attacks in the tree")
	}
}

// Every Caddyfile in the documentation adapts. What they read from /etc/caddy is made for the test.
func TestCaddyfilesInTheDocumentation(t *testing.T) {
	dir := t.TempDir()
	key := tokentest.NewKey(t, "RS256", "docs")
	for _, name := range []string{"partner.crt", "auth.pub.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(key.PublicPEM()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ALICE_SECRET", "BATCH_SECRET", "GATEWAY_SECRET", "IRIS_SECRET"} {
		t.Setenv(name, "5a6f1c0e9d3b47a28c1e0f7d6b5a49385a6f1c0e9d3b")
	}
	documents, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?ms)^```caddyfile\n(.*?)^```$")
	count := 0
	for _, document := range append(documents, "../README.md") {
		text := readDoc(t, strings.TrimPrefix(filepath.ToSlash(document), "../"))
		for _, found := range block.FindAllStringSubmatch(text, -1) {
			count++
			caddyfile := strings.ReplaceAll(found[1], "/etc/caddy", dir)
			if got := adapted(t, caddyfile); strings.HasPrefix(got, "error: ") {
				t.Errorf("%s: %s\n%s", document, got, found[1])
			}
			if formatted := string(caddyfileformat.Format([]byte(found[1]))); formatted != found[1] {
				t.Errorf("%s: \"caddy fmt\" would write\n%s\ninstead of\n%s", document, formatted, found[1])
			}
		}
	}
	if count == 0 {
		t.Error("there is no Caddyfile in the documentation")
	}
}

// readDoc reads a document of the repository.
func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
