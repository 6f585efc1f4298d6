package rules_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var raceList = regexp.MustCompile(`(?m)^RACE *:= *(.*)$`)

// The race detector makes tests many times slower, so CI uses it only for packages in which goroutines share memory.
// Such a package imports sync.
func TestEveryPackageThatSharesMemoryIsTestedForRaces(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	found := raceList.FindSubmatch(makefile)
	if found == nil {
		t.Fatal("the Makefile has no list RACE")
	}
	raced := strings.Fields(string(found[1]))
	for _, p := range ours(t) {
		name := short(p.ImportPath)
		shares := slices.Contains(p.Imports, "sync") || slices.Contains(p.Imports, "sync/atomic")
		product := !strings.HasSuffix(name, "test") && !strings.HasPrefix(name, "bench")
		if product && shares && !covers(raced, name) {
			t.Errorf("%s imports sync: add it to the list RACE of the Makefile", name)
		}
	}
}

// covers reports whether patterns of the go command match a package.
func covers(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		tree, all := strings.CutSuffix(pattern, "/...")
		return tree == "./"+name || all && strings.HasPrefix("./"+name, tree+"/")
	})
}
