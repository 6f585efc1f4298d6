// Package rewrite changes small files as a whole. Readers see the content from before or that from after, and whoever
// changes a file waits for others who do.
package rewrite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyjwt/gateway/internal/smallfile"
)

const (
	// wait is how long to wait for others who change the file.
	wait = 30 * time.Second
	// retry is how long to wait between two attempts.
	retry = 20 * time.Millisecond
)

// ErrLocked means that another process changes the file.
var ErrLocked = errors.New("another process changes it")

// File changes the file at a path: edit gets what it has, and returns what it gets. With an error, the file is as it
// was. A file that is there has at most longest bytes, and keeps its mode and its owner. If there is none, edit gets
// nil, and the new file has the mode 0600. Errors do not name the file.
func File(path string, longest int64, edit func(old []byte) ([]byte, error)) (created bool, err error) {
	if path, err = target(path); err != nil {
		return false, err
	}
	unlock, err := lock(path+".lock", time.Now().Add(wait))
	if err != nil {
		return false, fmt.Errorf("the lock of the file, beside it with the end .lock: %w", smallfile.WithoutPath(err))
	}
	defer unlock()
	before, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, smallfile.WithoutPath(err)
	}
	var old []byte
	if created = err != nil; !created {
		if old, err = smallfile.ReadUpTo(path, longest); err != nil {
			return false, err
		}
	}
	content, err := edit(old)
	if err != nil {
		return false, err
	}
	return created, replace(path, content, before)
}

// target follows links: the file is replaced where it is, and the links to it stay.
func target(path string) (string, error) {
	followed, err := filepath.EvalSymlinks(path)
	if err == nil {
		return followed, nil
	}
	if _, link := os.Lstat(path); link == nil || !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("its path cannot be followed: %w", smallfile.WithoutPath(err))
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", fmt.Errorf("its directory: %w", smallfile.WithoutPath(err))
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// replace puts a file in the place of another one, when all of it is on the disk. before is nil for a file that is new.
func replace(path string, content []byte, before os.FileInfo) error {
	fresh, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-*") // its mode is 0600
	if err != nil {
		return smallfile.WithoutPath(err)
	}
	defer os.Remove(fresh.Name())
	if err := errors.Join(fill(fresh, content, before), fresh.Close()); err != nil {
		return smallfile.WithoutPath(err)
	}
	if err := os.Rename(fresh.Name(), path); err != nil {
		if cause, is := errors.AsType[*os.LinkError](err); is {
			err = cause.Err
		}
		return fmt.Errorf("it cannot be replaced by the new one: %w; if it is a mount of its own, mount its directory", err)
	}
	syncDir(filepath.Dir(path))
	return nil
}

// fill writes the content. Nobody but us can read it before it has the owner that it should have.
func fill(file *os.File, content []byte, before os.FileInfo) error {
	if before != nil {
		if err := keepOwner(file, before); err != nil {
			return errors.New("the new file cannot be given to the owner and the group of this one: run the command as its " +
				"owner")
		}
		if err := file.Chmod(before.Mode().Perm()); err != nil {
			return err
		}
	}
	if _, err := file.Write(content); err != nil {
		return err
	}
	return file.Sync()
}
