//go:build unix

package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// Somebody removes the file while it is open, or puts another one in its place. What is written then would be lost with
// the process, so it is refused. When the file is back, it goes on.
func TestTheFileIsTakenAway(t *testing.T) {
	dir := t.TempDir()
	path, aside := filepath.Join(dir, "store.db"), filepath.Join(dir, "aside.db")
	f, err := store.OpenFile(path, store.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	put := func() error { return f.Put(t.Context(), "k", []byte("v"), time.Time{}) }
	if err := put(); err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"", "another file", "a directory"} {
		if err := os.Rename(path, aside); err != nil {
			t.Fatal(err)
		}
		switch other {
		case "another file":
			err = os.WriteFile(path, []byte("x"), 0o600)
		case "a directory":
			err = os.Mkdir(path, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := put(); err == nil || !strings.Contains(err.Error(), "another file is in its place") {
			t.Errorf("%q: %v", other, err)
		}
		if value, err := f.Get(t.Context(), "k"); string(value) != "v" {
			t.Errorf("%q: a value is %q, %v", other, value, err)
		}
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(aside, path); err != nil {
			t.Fatal(err)
		}
		if err := put(); err != nil {
			t.Errorf("%q: the file is back: %v", other, err)
		}
	}
}
