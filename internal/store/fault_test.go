package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// uses are the ways to use a store, each of which reads or writes its file.
func uses(s store.Store) map[string]func(context.Context) error {
	value := []byte("value")
	return map[string]func(context.Context) error{
		"Put":    func(ctx context.Context) error { return s.Put(ctx, "new key", value, time.Time{}) },
		"Get":    func(ctx context.Context) error { _, err := s.Get(ctx, "key 50"); return err },
		"Take":   func(ctx context.Context) error { _, err := s.Take(ctx, "key 51"); return err },
		"Swap":   func(ctx context.Context) error { _, err := s.Swap(ctx, "none", nil, value, time.Time{}); return err },
		"Append": func(ctx context.Context) error { _, err := s.Append(ctx, "log 1", value, time.Time{}); return err },
		"Read":   func(ctx context.Context) error { _, err := s.Read(ctx, "log 1", store.Position{}, 1); return err },
		"Wait":   func(ctx context.Context) error { return s.Wait(ctx, "log 1", store.Position{}) },
		"Sweep":  func(ctx context.Context) error { return s.Sweep(ctx, time.Now().Add(24*time.Hour)) },
	}
}

// A file that becomes shorter while it is mapped raises SIGBUS, which must not end the process. Bbolt holds some of its
// locks when that happens.
func TestAFileThatIsTruncatedInUseFailsAtOnce(t *testing.T) {
	filled := filepath.Join(t.TempDir(), "filled.db")
	fill(t, filled)
	good := readFile(t, filled)
	for name := range uses(nil) {
		for _, length := range []int64{0, int64(os.Getpagesize()), 3 * int64(os.Getpagesize())} {
			t.Run(fmt.Sprint(name, " ", length), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "store.db")
				if err := os.WriteFile(path, good, 0o600); err != nil {
					t.Fatal(err)
				}
				f := openFile(t, path)
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				waiting := make(chan error, 1)
				go func() { waiting <- f.Wait(ctx, "a log without records", store.Position{}) }()

				if err := os.Truncate(path, length); err != nil {
					t.Fatal(err)
				}
				first := uses(f)[name](ctx)
				if !errors.Is(first, store.ErrCorrupt) || !strings.Contains(first.Error(), path) {
					t.Fatalf("%s of a truncated file: %v, want ErrCorrupt and the path", name, first)
				}
				if err := <-waiting; !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("somebody who waits gets %v", err)
				}
				for name, use := range uses(f) {
					if err := use(ctx); err == nil || err.Error() != first.Error() {
						t.Errorf("%s, later: %v, want the same error", name, err)
					}
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
				if err := f.Put(ctx, "key", nil, time.Time{}); !errors.Is(err, store.ErrClosed) {
					t.Errorf("after Close: %v", err)
				}
				reopensAfterRestore(t, path)
			})
		}
	}
}

// reopensAfterRestore puts a backup in the place of a damaged file, in the same process, without a new name.
func reopensAfterRestore(t *testing.T, path string) {
	t.Helper()
	if _, err := store.OpenFile(path, store.FileOptions{}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("the truncated file opens again: %v", err)
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := openFile(t, backup).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, readFile(t, backup), 0o600); err != nil {
		t.Fatal(err)
	}
	openFile(t, path)
}

// Many goroutines meet the fault at once, some of them while they wait for locks of bbolt.
func TestAFileThatIsTruncatedUnderLoadStopsNobody(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	fill(t, path)
	f, err := store.OpenFile(path, store.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := f.Put(ctx, "key 50", nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	busy := make(chan struct{}, racers)
	go func() {
		for range racers {
			<-busy
		}
		if err := os.Truncate(path, 0); err != nil {
			t.Error(err)
		}
	}()
	race(func(i int) {
		for n := 0; ; n++ {
			var err error
			if i%8 == 0 {
				_, err = f.Append(ctx, "log 1", nil, time.Time{})
			} else {
				_, err = f.Get(ctx, "key 50")
			}
			if n == 3 {
				busy <- struct{}{}
			}
			if err != nil {
				if !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("goroutine %d: %v", i, err)
				}
				return
			}
		}
	})
	// The writer may wait for a lock of bbolt. Then the file stays locked, because nobody knows whether it still writes.
	if err := f.Close(); err != nil && !strings.Contains(err.Error(), "until this process ends") {
		t.Error(err)
	}
}

// Damage in the middle of the file, which nobody notices until it is read.
func TestAFileThatIsDamagedInUse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	fill(t, path)
	f := openFile(t, path)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	good := readFile(t, path)
	for at := 2 * os.Getpagesize(); at < len(good); at += os.Getpagesize() {
		for i := at + os.Getpagesize()/2; i < at+os.Getpagesize(); i++ {
			good[i] ^= 1
		}
	}
	write(t, file, good[2*os.Getpagesize():], 2*os.Getpagesize())
	for range 2 {
		if _, err := dump(t.Context(), f); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("a damaged file was read: %v", err)
		}
	}
}

func TestAFileIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "store.db")
	openFile(t, path)
	for name, want := range map[string]os.FileMode{path: 0o600, dir: 0o700, filepath.Dir(dir): 0o700} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v: %v", name, info.Mode(), want, err)
		}
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("the directory has %v, %v; want only the store", names, err)
	}
}

func TestTwoCannotShareAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	first := openFile(t, path)
	begun := time.Now()
	_, err := store.OpenFile(path, store.FileOptions{LockTimeout: time.Millisecond})
	if err == nil || errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "another process uses") ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("a second one opens the file: %v", err)
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("that took %v", took)
	}
	if err := first.Put(t.Context(), "key", []byte("value"), time.Time{}); err != nil {
		t.Error(err)
	}
	opened := make(chan *store.File)
	go func() { opened <- openFile(t, path) }()
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if got, err := (<-opened).Get(t.Context(), "key"); err != nil || string(got) != "value" {
		t.Errorf("the second one has %q, %v", got, err)
	}
}

func TestManyMakeTheSameFile(t *testing.T) {
	t.Parallel()
	const few = 8 // each waits for those before it
	path := filepath.Join(t.TempDir(), "new", "store.db")
	race(func(i int) {
		if i >= few {
			return
		}
		f, err := store.OpenFile(path, store.FileOptions{LockTimeout: patience})
		if err == nil {
			err = errors.Join(f.Put(context.Background(), fmt.Sprint("key ", i), nil, time.Time{}), f.Close())
		}
		if err != nil {
			t.Error(err)
		}
	})
	f := openFile(t, path)
	for i := range few {
		if _, err := f.Get(t.Context(), fmt.Sprint("key ", i)); err != nil {
			t.Errorf("what goroutine %d has put: %v", i, err)
		}
	}
}

func TestAFileWithoutPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("everything is permitted to root")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "store.db")
	if err := openFile(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenFile(path, store.FileOptions{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v, want ErrPermission", err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	if _, err := store.OpenFile(filepath.Join(dir, "a", "b"), store.FileOptions{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v, want ErrPermission", err)
	}
}
