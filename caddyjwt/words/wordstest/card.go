package wordstest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/caddyjwt/words"
)

// Card reads the comment of UnmarshalCaddyfile in a file of Go: the lines that are indented.
func Card(t *testing.T, path string) string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
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

// EveryWordIn requires that each word of each block is in a file with a Caddyfile, and each kind of what may follow it.
func EveryWordIn(t *testing.T, path string, tables map[string][]words.Entry) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	site, _, _ := strings.Cut(string(text), Divider)
	_, site, _ = strings.Cut(site, "{\n") // of the site
	written := writtenWords(site)
	for block, entries := range tables {
		for _, entry := range entries {
			for _, form := range entry.Forms() {
				kinds, _, _ := strings.Cut(strings.TrimPrefix(form, entry.Name+" "), " ")
				if len(entry.Usage) < 2 || strings.HasPrefix(kinds, "<") { // only words of several forms have kinds
					kinds = ""
				}
				for kind := range strings.SplitSeq(kinds, "|") {
					if word := strings.TrimSpace(entry.Name + " " + kind); !written[block+": "+word] {
						t.Errorf("%s lacks %q in a block %s", path, word, block)
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
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if fields[0] == "}" {
			blocks = blocks[:max(0, len(blocks)-1)]
			continue
		}
		if len(blocks) > 0 {
			found[blocks[len(blocks)-1]+": "+fields[0]] = true
			found[blocks[len(blocks)-1]+": "+strings.Join(fields[:min(2, len(fields))], " ")] = true
		}
		if fields[len(fields)-1] == "{" {
			blocks = append(blocks, fields[0])
		}
	}
	return found
}
