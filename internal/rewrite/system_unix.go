//go:build unix && !solaris && !illumos && !aix

package rewrite

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// lock takes a lock that the system gives back if the process ends. The file of the lock is removed afterwards, so
// whoever gets the lock must look whether it is still that of the file at the path.
func lock(path string, until time.Time) (unlock func(), err error) {
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
		if err != nil {
			return nil, err
		}
		err = flock(file, until)
		if err == nil && isAt(file, path) {
			return func() {
				_ = os.Remove(path)
				_ = file.Close()
			}, nil
		}
		_ = file.Close()
		if err != nil {
			return nil, err
		}
	}
}

func flock(file *os.File, until time.Time) error {
	for ; ; time.Sleep(retry) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case time.Now().After(until):
			return ErrLocked
		}
	}
}

// isAt reports whether a file is the one at a path.
func isAt(file *os.File, path string) bool {
	own, err1 := file.Stat()
	there, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(own, there)
}

// keepOwner gives a file the owner and the group of another one.
func keepOwner(file *os.File, before os.FileInfo) error {
	after, err := file.Stat()
	if err != nil {
		return err
	}
	is, known1 := after.Sys().(*syscall.Stat_t)
	was, known2 := before.Sys().(*syscall.Stat_t)
	if !known1 || !known2 || is.Uid == was.Uid && is.Gid == was.Gid {
		return nil
	}
	return file.Chown(int(was.Uid), int(was.Gid))
}

// syncDir has the new name of a file on the disk. The change is in force, whatever becomes of that.
func syncDir(path string) {
	if dir, err := os.Open(path); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
}
