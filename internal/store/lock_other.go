//go:build !unix || solaris || illumos || aix || android

package store

import (
	"os"
	"time"
)

// lock does nothing on systems on which bbolt could not lock a file that we have locked. There, bbolt locks it after it
// was verified: while another process writes to the file, it may look damaged.
func lock(*os.File, time.Duration) error { return nil }

func unlock(*os.File) {}
