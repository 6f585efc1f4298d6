//go:build !unix || solaris || illumos || aix

package rewrite

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// lock makes a file that nobody else can make at the same time. If the process ends before it removes the file, somebody
// else has to.
func lock(path string, until time.Time) (unlock func(), err error) {
	for ; ; time.Sleep(retry) {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		switch {
		case err == nil:
			return func() {
				_ = file.Close()
				_ = os.Remove(path)
			}, nil
		case !errors.Is(err, fs.ErrExist):
			return nil, err
		case time.Now().After(until):
			return nil, ErrLocked
		}
	}
}

// keepOwner does nothing: the directory decides who owns its files.
func keepOwner(*os.File, os.FileInfo) error { return nil }

// syncDir does nothing: a directory cannot be synced.
func syncDir(string) {}
