package diagnose_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The manual has a row for each code, and no row for a code that does not exist.
func TestManualHasEveryCode(t *testing.T) {
	source, err := os.ReadFile("report.go")
	if err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("../../docs/tools.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rows, found := strings.Cut(string(manual), "### What the check can find\n")
	if !found {
		t.Fatal("docs/tools.md has no list of codes")
	}
	rows, _, _ = strings.Cut(rows, "\n#")
	codes := make(map[string]bool)
	for _, code := range regexp.MustCompile(`(?m)Code = "(\w+)"$`).FindAllStringSubmatch(string(source), -1) {
		codes[code[1]] = true
	}
	if len(codes) < 30 {
		t.Fatalf("only %d codes", len(codes))
	}
	documented := make(map[string]bool)
	for row := range strings.Lines(rows) {
		cells := strings.Split(row, "|")
		if len(cells) < 2 {
			continue
		}
		for _, code := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(cells[1], -1) {
			documented[code[1]] = true
			if !codes[code[1]] {
				t.Errorf("docs/tools.md has %q, which is not a code", code[1])
			}
		}
	}
	for code := range codes {
		if !documented[code] {
			t.Errorf("docs/tools.md has no row for %q", code)
		}
	}
}
