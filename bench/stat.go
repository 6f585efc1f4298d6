package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// procStat is what is read of /proc/<pid>/stat, see proc_pid_stat(5).
type procStat struct {
	cpu time.Duration // utime + stime: of all threads, also those that have ended
	rss int64         // resident memory in bytes
}

// ticksPerSecond is the unit of utime and stime that Linux shows to programs, whatever the kernel counts in.
const ticksPerSecond = 100

// parseStat reads the text of a stat file. The second field is the program's name in parentheses, which may hold
// anything, also spaces and parentheses: counting begins after the last one.
func parseStat(text []byte) (procStat, error) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return procStat{}, fmt.Errorf("no program name in %q", text)
	}
	fields := bytes.Fields(text[end+1:]) // fields[0] is field 3 of the manual
	number := func(field int) (int64, error) {
		if field-3 >= len(fields) {
			return 0, fmt.Errorf("no field %d in %q", field, text)
		}
		return strconv.ParseInt(string(fields[field-3]), 10, 64)
	}
	var values [3]int64
	for i, field := range []int{14, 15, 24} { // utime, stime, rss
		var err error
		if values[i], err = number(field); err != nil {
			return procStat{}, err
		}
	}
	return procStat{
		cpu: time.Duration(values[0]+values[1]) * (time.Second / ticksPerSecond),
		rss: values[2] * int64(os.Getpagesize()),
	}, nil
}

func readStat(pid int) (procStat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	return parseStat(text)
}

// cpuTime is the CPU time that a process has used so far. The process's CPU clock has the sum of utime and stime in
// nanoseconds; where it cannot be read, the stat file has it in steps of ten milliseconds.
func cpuTime(pid int) (time.Duration, error) {
	var ts unix.Timespec
	clock := int32(^pid<<3 | 2) // MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED), see clock_getcpuclockid(3)
	if err := unix.ClockGettime(clock, &ts); err == nil {
		return time.Duration(ts.Nano()), nil
	}
	stat, err := readStat(pid)
	return stat.cpu, err
}
