//go:build unix

package tokentest

import (
	"syscall"
	"testing"
	"time"
)

// ProcessorTime is what this process has used so far. A test that bounds a cost counts it, and no time on the clock:
// how busy the machine is does not matter then.
func ProcessorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
