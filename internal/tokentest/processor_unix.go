//go:build unix

package tokentest

import (
	"syscall"
	"testing"
	"time"
)

// ProcessorTime is the processor time that this process has used so far. A test that bounds a cost measures it instead
// of the time on the clock, so that a busy machine makes no difference.
func ProcessorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
