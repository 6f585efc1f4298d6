package rewrite_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/rewrite"
)

// appends is an edit that adds a text.
func appends(text string) func([]byte) ([]byte, error) {
	return func(old []byte) ([]byte, error) { return append(bytes.Clone(old), text...), nil }
}

// write makes a file with a mode.
func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

// holds wants a directory to have these files and no others, with their contents.
func holds(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if _, expected := want[entry.Name()]; !expected {
			t.Errorf("%s is left behind", entry.Name())
		}
	}
	for name, text := range want {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != text {
			t.Errorf("%s has %q, want %q: %v", name, got, text, err)
		}
	}
}

func TestAFileIsMadeAndChanged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for i, mode := range []os.FileMode{0o600, 0o640, 0o444} {
		if i > 0 {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
		created, err := rewrite.File(path, 10, func(old []byte) ([]byte, error) {
			if (old == nil) != (i == 0) {
				t.Errorf("change %d: the old content is %q", i, old)
			}
			return append(bytes.Clone(old), 'x'), nil
		})
		if err != nil || created != (i == 0) {
			t.Fatalf("change %d: created %v: %v", i, created, err)
		}
		holds(t, dir, map[string]string{"f": strings.Repeat("x", i+1)})
		if stat, err := os.Stat(path); err != nil || stat.Mode() != mode {
			t.Errorf("change %d: mode %v, want %v: %v", i, stat.Mode(), mode, err)
		}
	}
}

// An empty file is there: whoever edits it must not take it for one that is not.
func TestAnEmptyFileIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "", 0o600)
	created, err := rewrite.File(path, 10, func(old []byte) ([]byte, error) {
		if old == nil {
			t.Error("an empty file counts as none")
		}
		return []byte("x"), nil
	})
	if created || err != nil {
		t.Errorf("created %v: %v", created, err)
	}
}

func TestARefusalLeavesEverythingAsItWas(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	no := errors.New("no")
	refuse := func([]byte) ([]byte, error) { return nil, no }
	if _, err := rewrite.File(path, 10, refuse); !errors.Is(err, no) {
		t.Error(err)
	}
	holds(t, dir, nil)
	write(t, path, "old", 0o600)
	if _, err := rewrite.File(path, 10, refuse); !errors.Is(err, no) {
		t.Error(err)
	}
	holds(t, dir, map[string]string{"f": "old"})
}

// The file is replaced where it is, and the links to it stay.
func TestLinksAreFollowed(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	write(t, filepath.Join(elsewhere, "f"), "old", 0o600)
	path := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(elsewhere, "f"), path); err != nil {
		t.Skip("there are no links here: ", err)
	}
	if _, err := rewrite.File(path, 10, appends(" new")); err != nil {
		t.Fatal(err)
	}
	holds(t, elsewhere, map[string]string{"f": "old new"})
	holds(t, dir, map[string]string{"link": "old new"})
	if stat, err := os.Lstat(path); err != nil || stat.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
}

func TestWhatIsNoSmallFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("long"), "12345678901", 0o600)
	if err := errors.Join(os.Mkdir(at("dir"), 0o700), os.Symlink(at("nothing"), at("dangling"))); err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{
		"long": "longer than 10", "dir": "not a regular file", "dangling": "cannot be followed",
		"missing/f": "its directory", "long/f": "cannot be followed",
	} {
		_, err := rewrite.File(at(name), 10, appends("x"))
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
	if _, err := os.Lstat(at("nothing")); err == nil {
		t.Error("the file behind a link to nothing was made")
	}
}

// Nothing gets lost when many change a file at the same time, and whoever reads it sees a whole content.
func TestChangesAtTheSameTime(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	const writers, each = 8, 5
	var all sync.WaitGroup
	for n := range writers {
		all.Go(func() {
			for range each {
				if _, err := rewrite.File(path, 1<<20, appends(strconv.Itoa(n)+"\n")); err != nil {
					t.Error(err)
				}
				if text, err := os.ReadFile(path); err != nil || !bytes.HasSuffix(text, []byte("\n")) {
					t.Errorf("a reader sees %q: %v", text, err)
				}
			}
		})
	}
	all.Wait()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range writers {
		if got := strings.Count(string(text), strconv.Itoa(n)+"\n"); got != each {
			t.Errorf("of writer %d there are %d lines, want %d", n, got, each)
		}
	}
	holds(t, dir, map[string]string{"f": string(text)})
}
