package tenant_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/tenant"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tenants")
	write(t, path, "acme\n")
	synctest.Test(t, func(t *testing.T) {
		var log tokentest.Buffer
		file, err := tenant.OpenFile(path, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		changes := 0
		end := file.Watch(func() { changes++ })
		has := func(when string, wantChanges int, want ...string) {
			t.Helper()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if file.Len() != len(want) || len(file.First(9)) != len(want) || changes != wantChanges {
				t.Errorf("%s: %d tenants, %d changes", when, file.Len(), changes)
			}
			for _, name := range want {
				if !file.Has(name) {
					t.Errorf("%s: %s is not in it", when, name)
				}
			}
		}
		has("at first", 0, "acme")
		write(t, path, "acme\nglobex\n")
		has("with another tenant", 1, "acme", "globex")
		write(t, path, "no tenant\n")
		has("when it is bad", 1, "acme", "globex")
		write(t, path, "")
		has("when it is empty", 1, "acme", "globex")
		if n := strings.Count(log.String(), "cannot be read again"); n != 2 {
			t.Errorf("two troubles were logged %d times", n)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		has("when it is gone", 1, "acme", "globex")
		write(t, path, "acme\nglobex\n")
		has("when it is back", 1, "acme", "globex")
		if !strings.Contains(log.String(), "can be read again") {
			t.Error("it was not said that it is back")
		}
		end()
		write(t, path, "globex\n")
		has("without a watcher", 1, "globex")
		if err := file.Destruct(); err != nil {
			t.Fatal(err)
		}
		write(t, path, "acme\n")
		has("after its end", 1, "globex")
	})
}

func TestFileMustBeGoodAtFirst(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "bad"), "a b\n")
	for _, name := range []string{"bad", "missing", "."} {
		if _, err := tenant.OpenFile(
			filepath.Join(dir, name),
			nil,
		); err == nil ||
			!strings.Contains(err.Error(), "tenants file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
