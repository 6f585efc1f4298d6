package smallfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/smallfile"
)

// old is long before every look, so that a file with this time is surely as its time says.
var old = time.Now().Add(-time.Hour)

// put writes a file that says that it is old.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, old, old)); err != nil {
		t.Fatal(err)
	}
}

// watching is a watch that has begun with "first".
func watching(t *testing.T) (w *smallfile.Watch, began time.Time) {
	t.Helper()
	w, began = &smallfile.Watch{Path: filepath.Join(t.TempDir(), "token")}, time.Now()
	put(t, w.Path, "first")
	if content, err := w.Start(began); err != nil || string(content.Data) != "first" || !content.Settled {
		t.Fatalf("at the start: %+v, error %v", content, err)
	}
	return w, began
}

// sees checks what a look has. An empty text means that the file is as before.
func sees(t *testing.T, w *smallfile.Watch, now time.Time, text string, settled bool) {
	t.Helper()
	content, err := w.Look(now)
	switch {
	case err != nil:
		t.Fatal(err)
	case text == "" && content != nil:
		t.Errorf("read %q without a change", content.Data)
	case text != "" && (content == nil || string(content.Data) != text || content.Settled != settled):
		t.Errorf("%+v, want %q, settled %v", content, text, settled)
	}
}

func TestAWatchReadsAFileOnlyWhenItMayHaveChanged(t *testing.T) {
	w, now := watching(t)
	sees(t, w, now.Add(time.Second), "", false)
	w.Forget()
	sees(t, w, now.Add(2*time.Second), "first", true)
	sees(t, w, now.Add(3*time.Second), "", false)
	if err := os.Chtimes(w.Path, now, now); err != nil { // another change may have the same time
		t.Fatal(err)
	}
	sees(t, w, now.Add(3*time.Second), "first", true)
	sees(t, w, now.Add(10*time.Second), "", false)
}

// A file that is half written must not count.
func TestNewContentCountsWhenItHasStayedTheSame(t *testing.T) {
	w, now := watching(t)
	put(t, w.Path, "second, half")
	sees(t, w, now.Add(time.Second), "second, half", false)
	put(t, w.Path, "second, whole")
	now = now.Add(2 * time.Second)
	sees(t, w, now, "second, whole", false)
	sees(t, w, now.Add(smallfile.Settle-1), "second, whole", false)
	sees(t, w, now.Add(smallfile.Settle), "second, whole", true)
	sees(t, w, now.Add(time.Minute), "", false)
}

// Kubernetes swaps a link, and many programs rename a file. Neither size nor time need to differ then.
func TestAWatchNoticesAnotherFileUnderTheSameName(t *testing.T) {
	for name, replace := range map[string]func(path string) error{
		"renamed": func(path string) error { return os.Rename(path+".new", path) },
		"linked": func(path string) error {
			return errors.Join(os.Symlink(path+".new", path+".link"), os.Rename(path+".link", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, now := watching(t)
			put(t, w.Path+".new", "other")
			if err := replace(w.Path); err != nil {
				t.Fatal(err)
			}
			sees(t, w, now.Add(time.Second), "other", false)
			sees(t, w, now.Add(2*time.Second), "other", true)
		})
	}
}

func TestAWatchTellsWhyItCannotRead(t *testing.T) {
	w, now := watching(t)
	if err := os.Remove(w.Path); err != nil {
		t.Fatal(err)
	}
	if content, err := w.Look(now); content != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is gone: %+v, error %v", content, err)
	}
	if err := os.Mkdir(w.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if content, err := w.Look(now); content != nil || err == nil {
		t.Errorf("a directory: %+v, error %v", content, err)
	}
	if content, err := w.Start(now); content != nil || err == nil {
		t.Errorf("a directory at the start: %+v, error %v", content, err)
	}
}
