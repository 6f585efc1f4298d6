package smallfile_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/caddyjwt/gateway/internal/smallfile"
)

func TestReadGivesContentAndStat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.json")
	want := bytes.Repeat([]byte("x"), smallfile.Max)
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	got, stat, err := smallfile.Read(path)
	if err != nil || !bytes.Equal(got, want) || stat.Size() != smallfile.Max {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
}

func TestReadRefusesLongAndSpecialFiles(t *testing.T) {
	directory := t.TempDir()
	for name, create := range map[string]func(path string) error{
		"too-long":  func(path string) error { return os.WriteFile(path, make([]byte, smallfile.Max+1), 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"endless":   func(path string) error { return os.Symlink("/dev/zero", path) },
		"missing":   func(string) error { return nil },
	} {
		path := filepath.Join(directory, name)
		if err := create(path); err != nil {
			t.Fatal(err)
		}
		data, _, err := smallfile.Read(path)
		if err == nil || data != nil || strings.Contains(err.Error(), name) {
			t.Errorf("%s: %d bytes, error %v", name, len(data), err)
		}
		if missing := errors.Is(err, fs.ErrNotExist); missing != (name == "missing") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The kernel calls it a regular file, but its first byte cannot be read.
func TestReadTellsWhyAFileCannotBeRead(t *testing.T) {
	if _, err := os.Stat("/proc/self/mem"); err != nil {
		t.Skip("only Linux has such a file")
	}
	if data, _, err := smallfile.Read("/proc/self/mem"); !errors.Is(err, syscall.EIO) || data != nil {
		t.Errorf("%d bytes, error %v", len(data), err)
	}
}

func TestWithoutPath(t *testing.T) {
	_, err := os.Open("/nowhere/secret-name")
	if got := smallfile.WithoutPath(err); !errors.Is(got, fs.ErrNotExist) || strings.Contains(got.Error(), "secret") {
		t.Errorf("got %v", got)
	}
	if other := errors.New("another error"); smallfile.WithoutPath(other) != other {
		t.Error("an error without a path has changed")
	}
}

// A caller may take longer files than keys are, and the bound is its own.
func TestReadUpTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clients")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), smallfile.Max+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := smallfile.Read(path); err == nil {
		t.Error("a file that is too long was read")
	}
	if data, err := smallfile.ReadUpTo(path, smallfile.Max+1); err != nil || len(data) != smallfile.Max+1 {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if _, err := smallfile.ReadUpTo(path, smallfile.Max); err == nil {
		t.Error("a file that is too long was read")
	}
	if _, err := smallfile.ReadUpTo(path+"x", smallfile.Max); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
