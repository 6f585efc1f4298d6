package caddyjwt_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	caddyfileformat "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	_ "github.com/caddyjwt/gateway/caddyjwt/matcher"
	_ "github.com/caddyjwt/gateway/caddyjwt/tokenissuer"
	"github.com/caddyjwt/gateway/caddyjwt/words/wordstest"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/problem"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// Every Reason has a row in docs/errors.md, in the order of the rules, with the status and error code that clients get.
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
		row := wordstest.Cells(line)
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

// Every type of problem is an address of docs/errors.md, where a heading explains it.
func TestErrorReferenceExplainsEveryTypeOfProblem(t *testing.T) {
	text, types := readDoc(t, "docs/errors.md"), make(map[string]bool)
	for _, reason := range gate.Reasons() {
		answer := new(gate.Gate).Answer(&gate.Failure{Reason: reason})
		types[problem.Of(answer.Status, answer.Code, answer.Text, answer.Scope).Type] = true
	}
	for uri := range types {
		address, heading, ok := strings.Cut(uri, "#")
		if uri != "about:blank" && (!ok || !strings.HasSuffix(address, "/docs/errors.md") ||
			!strings.Contains(text, "\n### `"+heading+"`\n")) {
			t.Errorf("docs/errors.md does not explain %s", uri)
		}
	}
	if len(types) != 8 {
		t.Errorf("%d types: %v", len(types), types)
	}
}

// Every test that the documentation names exists, so a renamed or removed test of a defence is noticed. Every attack is
// in the threat model, which shows what was tried.
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

// Every Caddyfile in the documentation adapts. The test makes the files that they read from /etc/caddy.
func TestCaddyfilesInTheDocumentation(t *testing.T) {
	dir := t.TempDir()
	key := tokentest.NewKey(t, "RS256", "docs")
	for _, name := range []string{"partner.crt", "auth.pub.pem"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(key.PublicPEM()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	users := "alice:$2a$10$IQjhBuOuDeTa2PCmjYYahupL5fguYjADShbkbzbpbZmIwUCq5yOmq\n"
	if err := os.WriteFile(filepath.Join(dir, "users"), []byte(users), 0o600); err != nil {
		t.Fatal(err)
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
