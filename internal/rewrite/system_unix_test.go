//go:build unix && !solaris && !illumos && !aix

package rewrite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// write makes a file.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func grow(old []byte) ([]byte, error) { return append(old, 'x'), nil }

func TestALockIsThereOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.lock")
	unlock, err := lock(path, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(path, time.Now()); !errors.Is(err, ErrLocked) {
		t.Errorf("a second one: %v", err)
	}
	unlock()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the lock is left behind")
	}
}

// Who waits for a lock has opened its file, which is removed with it. Another one may have made a new file by then.
func TestALockWhoseFileIsGoneDoesNotCount(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.lock")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if !isAt(file, path) {
		t.Error("the file is not at its own path")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if isAt(file, path) {
		t.Error("a file that is gone is at its path")
	}
	write(t, path, "")
	if isAt(file, path) {
		t.Error("a file is at the path of another one")
	}
}

// What a process leaves behind that has ended without a word is no lock.
func TestALockThatWasLeftBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path+".lock", "")
	if _, err := File(path, 10, grow); err != nil {
		t.Error(err)
	}
}

// Somebody who can write to the directory must not have another file opened, or changed.
func TestAttackALinkInPlaceOfALock(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "f"), filepath.Join(dir, "other")
	for _, exists := range []bool{false, true} {
		if exists {
			write(t, other, "other")
		}
		_ = os.Remove(path + ".lock")
		if err := os.Symlink(other, path+".lock"); err != nil {
			t.Fatal(err)
		}
		if _, err := File(path, 10, grow); err == nil || !strings.Contains(err.Error(), "lock") {
			t.Errorf("a link to a file, which exists: %v; %v", exists, err)
		}
		if text, _ := os.ReadFile(other); exists && string(text) != "other" {
			t.Errorf("the other file has %q", text)
		} else if _, err := os.Lstat(other); !exists && err == nil {
			t.Error("the other file was made")
		}
	}
}

func TestAFileKeepsItsOwner(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "")
	const user, group = 12345, 23456
	if err := os.Chown(path, user, group); err != nil {
		t.Skip("this system cannot give files away: ", err)
	}
	if _, err := File(path, 10, grow); err != nil {
		t.Fatal(err)
	}
	stat, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if of := stat.Sys().(*syscall.Stat_t); of.Uid != user || of.Gid != group || stat.Mode() != 0o600 || stat.Size() != 1 {
		t.Errorf("owner %d, group %d, mode %v, %d bytes", of.Uid, of.Gid, stat.Mode(), stat.Size())
	}
}

// A file that would get another owner could not be read by Caddy any more, or by others who must not.
func TestAFileThatCannotKeepItsOwnerStays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	write(t, path, "old")
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	closed, err := os.Open(path) // a file that can be neither given away nor written
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	if err := fill(closed, []byte("new"), before); err == nil || !strings.Contains(err.Error(), "owner") {
		t.Error(err)
	}
	if err := fill(closed, []byte("new"), nil); err == nil {
		t.Error("a closed file was written")
	}
}

func TestADirectoryThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	write(t, path, "old")
	if err := replace(filepath.Join(dir, "missing", "f"), nil, nil); !errors.Is(err, syscall.ENOENT) {
		t.Error(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "full", "x"), "")
	err := replace(filepath.Join(dir, "full"), []byte("new"), nil) // a directory with something in it stays
	if err == nil || !strings.Contains(err.Error(), "cannot be replaced") || strings.Contains(err.Error(), dir) {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "full", "x")); err != nil {
		t.Error(err)
	}
	if found, _ := filepath.Glob(filepath.Join(dir, ".*")); len(found) > 0 {
		t.Errorf("left behind: %q", found)
	}
}
