package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// createFile makes an empty store, if there is no file at a path. The file gets its name when it is complete, so a file
// that is empty or too short has always lost something. If two processes make it at a time, the first one wins.
func createFile(path string) error {
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return nil // opening it says what is wrong
	}
	dir := filepath.Dir(path)
	if err := createDir(dir); err != nil {
		return fmt.Errorf("the directory of the store: %w", err)
	}
	fresh, err := freshFile(dir, filepath.Base(path)+".new-*")
	if fresh != "" {
		defer os.Remove(fresh)
	}
	if err == nil {
		err = os.Link(fresh, path)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("a new store cannot be made: %w", err)
	}
	return syncDir(dir)
}

// createDir makes a directory, with those above it that are missing.
func createDir(path string) error {
	_, err := os.Stat(path)
	above := filepath.Dir(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) || above == path {
		return err
	}
	if err := createDir(above); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(above)
}

// freshFile makes a file with an empty store, and returns its path. The file has the mode 0600.
func freshFile(dir, pattern string) (path string, err error) {
	file, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return "", err
	}
	path = file.Name()
	if err := file.Close(); err != nil {
		return path, err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoStatistics: true})
	if err != nil {
		return path, err
	}
	return path, errors.Join(db.Update(create), db.Close())
}

// lockRetry is how long to wait between two attempts to lock a file. Bbolt waits as long.
const lockRetry = 50 * time.Millisecond

// ErrLocked means that another process uses the file of a store.
var ErrLocked = errors.New("another process uses it")

// openVerified locks the file, checks that nothing is lost or changed, and opens it with bbolt.
func (f *File) openVerified(timeout time.Duration) error {
	err := f.protect(func() (err error) {
		f.db, err = bbolt.Open(f.path, 0o600, &bbolt.Options{
			Timeout:      timeout,
			FreelistType: bbolt.FreelistMapType,
			NoStatistics: true,
			OpenFile: func(path string, _ int, _ fs.FileMode) (*os.File, error) {
				return f.openDisk(path, timeout)
			},
		})
		if err == nil {
			err = f.measure()
		}
		return err
	})
	if err == nil {
		return nil
	}
	if f.disk != nil {
		unlock(f.disk)
		f.disk.Close()
	}
	return f.cannotOpen(err)
}

// openDisk opens the file, and reads all of it.
func (f *File) openDisk(path string, timeout time.Duration) (_ *os.File, err error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, damaged(f.path, errors.New("it is no regular file"))
	}
	if f.disk, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	if err := lock(f.disk, timeout); err != nil {
		return nil, err
	}
	info, err := f.disk.Stat()
	if err != nil {
		return nil, err
	}
	return f.disk, damaged(f.path, verify(f.disk, info.Size()))
}

// measure notes how long the file must be. The check of bbolt itself is left out: verify is stricter, and that check
// runs in a goroutine of its own, where a file that somebody cuts in this moment would end the process.
func (f *File) measure() error {
	return f.db.View(func(tx *bbolt.Tx) error {
		f.needed.Store(tx.Size())
		return nil
	})
}

// cannotOpen says why a file cannot be opened, and what helps.
func (f *File) cannotOpen(err error) error {
	newer, isNewer := errors.AsType[errFormat](err)
	switch {
	case isNewer:
		return fmt.Errorf("the store in %s: %w. Use the program that has written it", f.path, newer)
	case errors.Is(err, ErrCorrupt):
		return err
	case errors.Is(err, ErrLocked), errors.Is(err, bbolterrors.ErrTimeout):
		return fmt.Errorf("another process uses the store in %s: two Caddys cannot share one file. Stop the other one, or "+
			"give this one a file of its own: %w", f.path, ErrLocked)
	}
	return fmt.Errorf("the store in %s cannot be opened: %w", f.path, err)
}

// release gives the file back. A store that is broken may have locks of bbolt that nobody unlocks any more, so bbolt is
// left alone: only the file is closed, and with it the lock of other processes.
func (f *File) release() error {
	for range mostReaders {
		select {
		case f.reading <- struct{}{}:
		case <-f.broken:
			return f.abandon()
		}
	}
	select {
	case <-f.written:
	case <-f.broken:
	}
	select {
	case <-f.broken:
		return f.abandon()
	default:
		return f.db.Close()
	}
}

// patience is how long Close waits for the writer of a store that is broken.
const patience = 2 * time.Second

// abandon gives the file back without bbolt, once the writer has ended. A writer that waits for a lock of bbolt forever
// would never write again, but nobody can tell it from one whose disk is slow. So while it is there, the file stays
// locked, or another process could write at the same time.
func (f *File) abandon() error {
	select {
	case <-f.written:
	case <-time.After(patience):
		return fmt.Errorf("the store in %s is broken and still in use: until this process ends, nobody can open it", f.path)
	}
	unlock(f.disk)
	return f.disk.Close()
}

// syncDir makes the names in a directory durable. Windows cannot do that, and need not.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
