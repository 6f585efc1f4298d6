//go:build unix && !solaris && !illumos && !aix && !android

package store

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// lock locks a file against other processes, in the way in which bbolt does it here. Bbolt then finds it locked by the
// same open file. So the file can be read before bbolt maps it, and nobody writes to it in between.
func lock(file *os.File, timeout time.Duration) error {
	for deadline := time.Now().Add(timeout); ; time.Sleep(lockRetry) {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case errors.Is(err, syscall.EINTR):
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case time.Now().After(deadline):
			return ErrLocked
		}
	}
}

// unlock gives a file back. To close it is not enough: its mapping keeps the lock, too.
func unlock(file *os.File) { _ = syscall.Flock(int(file.Fd()), syscall.LOCK_UN) }
