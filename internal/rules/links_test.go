package rules_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A link inside of the repository leads to a file that is there, and to a heading that is in it.
func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	documents := make(map[string]string)
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/monitoring/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			documents[path.Join(path.Dir(pattern), filepath.Base(file))] = string(text)
		}
	}
	if len(documents) < 10 {
		t.Fatalf("found only %d documents: the test cannot be right", len(documents))
	}
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
		return err == nil
	}
	count, problems := brokenLinks(documents, exists)
	if count < 50 {
		t.Errorf("found only %d links: the test cannot be right", count)
	}
	for _, problem := range problems {
		t.Error(problem)
	}
}

var (
	codeBlock  = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	anyCode    = regexp.MustCompile("`[^`]+`")
	linkTarget = regexp.MustCompile(`\]\(([^)\s]+)\)|(?m)^\[[^\]]+\]: (\S+)$`)
	heading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	linkText   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	notInID    = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// brokenLinks counts the relative links of some documents, by name, and says which of them lead nowhere.
func brokenLinks(documents map[string]string, exists func(string) bool) (count int, problems []string) {
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		text := anyCode.ReplaceAllString(codeBlock.ReplaceAllString(documents[name], ""), "")
		for _, found := range linkTarget.FindAllStringSubmatch(text, -1) {
			target := found[1] + found[2]
			if strings.Contains(target, ":") { // a URL
				continue
			}
			count++
			file, anchor, _ := strings.Cut(target, "#")
			if file = path.Join(path.Dir(name), file); strings.HasPrefix(target, "#") {
				file = name
			}
			other, isDocument := documents[file]
			switch {
			case !isDocument && !exists(file):
				problems = append(problems, fmt.Sprintf("%s links to %s, and there is no such file", name, target))
			case anchor != "" && !slices.Contains(anchors(other), anchor):
				problems = append(problems, fmt.Sprintf("%s links to %s, and %s has no such heading", name, target, file))
			}
		}
	}
	return count, problems
}

// anchors are the names by which GitHub lets a link lead to each heading: in lower case, with hyphens for blanks,
// without punctuation, and numbered from the second heading of the same name on.
func anchors(text string) (ids []string) {
	times := make(map[string]int)
	for _, found := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(text, ""), -1) {
		id := strings.ToLower(strings.TrimSpace(linkText.ReplaceAllString(found[1], "$1")))
		id = strings.ReplaceAll(notInID.ReplaceAllString(id, ""), " ", "-")
		if n := times[id]; n > 0 {
			ids = append(ids, fmt.Sprintf("%s-%d", id, n))
		} else {
			ids = append(ids, id)
		}
		times[id]++
	}
	return ids
}

func TestTheRuleFindsBrokenLinks(t *testing.T) {
	documents := map[string]string{
		"README.md": "# A gate\n[good](docs/a.md#when-it-asks) [good](LICENSE) [good](#a-gate)\n" +
			"[good](https://example.com/#x)\n`[code](nowhere.md)`\n```\n[code](nowhere.md)\n```\n" +
			"[bad](docs/b.md) [bad](docs/a.md#code) [bad](#gate)\n\n[ref]: bad.md\n",
		"docs/a.md": "## When it asks\n```\n# code\n```\n## `introspect` of an issuer, and [more](../LICENSE)\n" +
			"## When it asks\n[good](#introspect-of-an-issuer-and-more) [good](#when-it-asks-1) [good](../README.md#a-gate)\n" +
			"[bad](README.md)\n",
	}
	count, problems := brokenLinks(documents, func(name string) bool { return name == "LICENSE" })
	if count != 12 || len(problems) != 5 {
		t.Errorf("found %d links, want 12, and of 5 broken ones %d: %q", count, len(problems), problems)
	}
}
