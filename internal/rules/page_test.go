package rules_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The page that describes the architecture is useful only as long as it is true. These tests compare its tables and
// names with the tree.
const page = "docs/architecture.md"

func TestThePageNamesEveryProductFile(t *testing.T) {
	files := make(map[string][]string) // by package
	for _, p := range ours(t) {
		name := short(p.ImportPath)
		if !isProduct(name) {
			continue
		}
		for _, file := range goFiles(t, p.Dir) {
			if !strings.HasSuffix(file, "_test.go") {
				files[name] = append(files[name], file)
			}
		}
	}
	for _, problem := range unequalFiles(filesOnPage(readPage(t)), files) {
		t.Error(problem)
	}
}

// isProduct reports whether a package is part of the product. Packages that compare gateways, or are only for tests,
// have a row on the page, but no list of files.
func isProduct(name string) bool {
	return !strings.HasPrefix(name, "bench") && !strings.HasSuffix(name, "test") && name != "e2e" &&
		name != "internal/rules" && name != "caddyjwt/integration" && name != "packaging"
}

// goFiles lists the Go files of a directory, including those for other systems and for tests.
func goFiles(t *testing.T, dir string) []string {
	t.Helper()
	names, err := fs.Glob(os.DirFS(dir), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// unequalFiles compares the files that the page lists for each package with those in the tree.
func unequalFiles(listed, tree map[string][]string) (problems []string) {
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		for _, file := range tree[name] {
			if !slices.Contains(listed[name], file) {
				problems = append(problems, fmt.Sprintf("%s: the files of %s lack %s: say there what it is for", page, name, file))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		for i, file := range listed[name] {
			switch {
			case !slices.Contains(tree[name], file):
				problems = append(problems, fmt.Sprintf("%s: %s has no file %s", page, name, file))
			case slices.Contains(listed[name][:i], file):
				problems = append(problems, fmt.Sprintf("%s: the files of %s have %s twice", page, name, file))
			}
		}
	}
	return problems
}

// filesOnPage reads the table of files. A row without a package belongs to the package of the row above.
func filesOnPage(text string) map[string][]string {
	files := make(map[string][]string)
	name := ""
	for _, row := range table(text, "| Package | Files |") {
		if row[0] != "" {
			name = strings.Trim(row[0], "`")
		}
		for _, file := range codes(row[1]) {
			if strings.HasSuffix(file, ".go") {
				files[name] = append(files[name], file)
			}
		}
	}
	return files
}

func TestThePageHasTheAllowedImports(t *testing.T) {
	listed := make(map[string][]string)
	for _, row := range table(readPage(t), "| Package | Job | May import of ours |") {
		name := codes(row[0])
		if len(name) != 1 {
			t.Fatalf("%s: %q is not one package", page, row[0])
		}
		if _, twice := listed[name[0]]; twice {
			t.Errorf("%s has a second row for %s", page, name[0])
		}
		if listed[name[0]] = codes(row[2]); len(listed[name[0]]) == 0 && row[2] != "none" {
			t.Errorf("%s: what %s may import is %q: write the packages, or none", page, name[0], row[2])
		}
	}
	for _, problem := range unequalArrows(listed, arrows) {
		t.Error(problem)
	}
}

// unequalArrows compares the imports on the page with those that the tests allow.
func unequalArrows(listed, allowed map[string][]string) (problems []string) {
	for _, name := range slices.Sorted(maps.Keys(allowed)) {
		imports, known := listed[name]
		if !known {
			problems = append(problems, fmt.Sprintf("%s has no row for %s", page, name))
			continue
		}
		if got, want := sorted(imports), sorted(allowed[name]); !slices.Equal(got, want) {
			problems = append(problems, fmt.Sprintf("%s: %s may import %v, and by the tests %v", page, name, got, want))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		if _, known := allowed[name]; !known {
			problems = append(problems, fmt.Sprintf("%s has a row for %s, which the tests do not know", page, name))
		}
	}
	return problems
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

// Every file and package that the page names exists, also those in its diagrams.
func TestThePageNamesOnlyFilesThatExist(t *testing.T) {
	var paths []string
	for _, p := range ours(t) {
		for _, file := range goFiles(t, p.Dir) {
			paths = append(paths, path.Join("/", short(p.ImportPath), file))
		}
	}
	text := readPage(t)
	names := goFile.FindAllString(text, -1)
	if len(names) < 100 {
		t.Fatalf("%s names only %d files: this test does not find them", page, len(names))
	}
	for _, name := range names {
		if !slices.ContainsFunc(paths, func(p string) bool { return strings.HasSuffix(p, "/"+name) }) {
			t.Errorf("%s names %s, which is nowhere in the tree", page, name)
		}
	}
	for _, name := range codes(text) {
		first, _, deep := strings.Cut(name, "/")
		if !deep || !slices.Contains([]string{"caddyjwt", "internal", "introspect", "cmd", "bench"}, first) {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err != nil {
			t.Errorf("%s names %s, which is nowhere in the tree", page, name)
		}
	}
}

// Functions, types and tables that the page names still have those names.
func TestThePageNamesOnlyIdentifiersThatExist(t *testing.T) {
	known := make(map[string]bool)
	for _, p := range ours(t) {
		for _, file := range goFiles(t, p.Dir) {
			if file == "page_test.go" {
				continue
			}
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, word := range word.FindAllString(string(text), -1) {
				known[word] = true
			}
		}
	}
	names := identifiers(readPage(t))
	if len(names) < 100 {
		t.Fatalf("%s names only %d identifiers: this test does not find them", page, len(names))
	}
	for _, name := range names {
		if !known[name] && name != "RACE" { // of the Makefile: see TestEveryPackageThatSharesMemoryIsTestedForRaces
			t.Errorf("%s names %s, which is nowhere in the code", page, name)
		}
	}
}

// identifiers returns what the page names in code spans, and at the beginning of lines in its first diagram.
func identifiers(text string) (names []string) {
	spans := codes(text)
	_, picture, _ := strings.Cut(text, "\n```\n")
	picture, _, _ = strings.Cut(picture, "\n```\n")
	for line := range strings.Lines(picture) {
		spans = append(spans, stepName.FindString(line))
	}
	for _, span := range spans {
		if span = strings.TrimSpace(span); qualified.MatchString(span) && !strings.HasSuffix(span, ".go") {
			names = append(names, span[strings.LastIndex(span, ".")+1:])
		}
	}
	return names
}

// The page gives the reasons why some packages are longer than others.
func TestThePageNamesTheLongPackages(t *testing.T) {
	_, section, found := strings.Cut(readPage(t), "\n## Sizes\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if !found {
		t.Fatalf("%s has no section about sizes", page)
	}
	var listed []string
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "- ") {
			listed = append(listed, codes(line)[0])
		}
	}
	if want := slices.Sorted(maps.Keys(longPackages)); !slices.Equal(sorted(listed), want) {
		t.Errorf("%s has the long packages %v, and the tests have %v", page, listed, want)
	}
}

var (
	goFile    = regexp.MustCompile(`[A-Za-z0-9_./-]*[A-Za-z0-9_]\.go\b`)
	word      = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
	qualified = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*\.)*[A-Za-z_][A-Za-z0-9_]*$`)
	stepName  = regexp.MustCompile(`^ *[A-Za-z.]+`)
	codeSpan  = regexp.MustCompile("`([^`\n]+)`")
)

// codes returns the code spans of a text.
func codes(text string) (spans []string) {
	for _, found := range codeSpan.FindAllStringSubmatch(text, -1) {
		spans = append(spans, found[1])
	}
	return spans
}

// table returns the rows of the table with this heading, cell by cell.
func table(text, heading string) (rows [][]string) {
	_, body, _ := strings.Cut(text, "\n"+heading+"\n")
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			break
		}
		if strings.HasPrefix(line, "| ---") {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

func readPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheRuleFindsWhatThePageLacks(t *testing.T) {
	const text = `
| Package | Files |
| --- | --- |
| ` + "`a` | One. `one.go`: this. `two.go`, `two.go`: that" + ` |
| | ` + "`gone.go`, by `One`" + ` |
| ` + "`b` | `main.go`: another" + ` |

` + "`other.go`" + `
`
	want := map[string][]string{"a": {"one.go", "two.go", "two.go", "gone.go"}, "b": {"main.go"}}
	listed := filesOnPage(text)
	if !maps.EqualFunc(listed, want, slices.Equal) {
		t.Errorf("the page lists %v, want %v", listed, want)
	}
	tree := map[string][]string{"a": {"one.go", "two.go"}, "b": {"main.go", "new.go"}, "c": {"c.go"}}
	if problems := unequalFiles(listed, tree); len(problems) != 4 { // two.go twice, gone.go, new.go, c.go
		t.Errorf("found %q, want 4 problems", problems)
	}
	problems := unequalArrows(map[string][]string{"a": {"c", "b"}, "b": {"c"}, "old": nil},
		map[string][]string{"a": {"b", "c"}, "b": nil, "new": nil})
	if len(problems) != 3 { // b, old, new
		t.Errorf("found %q, want 3 problems", problems)
	}
}
