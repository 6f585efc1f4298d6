package rules_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A reader should understand a file in one sitting, and a package in a day.
const (
	longestFile    = 350   // lines
	longestPackage = 2_500 // lines of its files without tests
)

// longPackages may have more lines than other packages, for a reason.
var longPackages = map[string]struct {
	lines int
	why   string
}{
	"caddyjwt": {4_100, "one handler: its settings, their checks and its words are read together"},
	"caddyjwt/issuers": {3_060,
		"one issuer: its settings, their checks and how to open what it needs are read together"},
	"internal/claims": {2_550, "what a token says, how it is compared, and how it is written for others"},
	"internal/jose":   {2_600, "signed and encrypted tokens taken apart by the same strict rules, and their keys"},
	"internal/keyset": {3_240, "keys of a server, and what strangers may make the gate ask it, are read together"},
	"internal/revoke": {2_850, "what is lost between a list and its store is un-revoked, so both are read together"},
	"caddyjwt/tokenissuer": {2_700,
		"the card of its words has those of an issuer of bearer_auth, too, and they fill no code"},
	"internal/gate": {5_960, "the steps of the pipeline stay in one place: their order is the security argument"},

	"internal/tokentest": {2_650, "what attackers send, and the kit that they share with clients and servers"},
}

// longFiles may have more lines than other files, for a reason.
var longFiles = map[string]string{}

func TestFilesAndPackagesAreShort(t *testing.T) {
	files, packages := make(map[string]bool), make(map[string]bool)
	for _, p := range ours(t) {
		name, sum := short(p.ImportPath), 0
		for _, file := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.Count(text, []byte("\n"))
			sum += lines
			if lines <= longestFile {
				continue
			}
			path := name + "/" + file
			files[path] = true
			if longFiles[path] == "" {
				t.Errorf("%s has %d lines, want at most %d: split it, or give a reason in this test", path, lines, longestFile)
			}
		}
		if sum <= longestPackage {
			continue
		}
		packages[name] = true
		if allowed := max(longestPackage, longPackages[name].lines); sum > allowed {
			t.Errorf("%s has %d lines, want at most %d: split it, or give a reason in this test", name, sum, allowed)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(longFiles)) {
		if !files[path] {
			t.Errorf("%s is short enough: remove it from this test", path)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(longPackages)) {
		if !packages[name] {
			t.Errorf("%s is short enough: remove it from this test", name)
		}
	}
}
