package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// layout says which processors do what. With one processor only, everything shares it.
type layout struct {
	load, gateway unix.CPUSet
	pinned        bool
	note          string
}

// divide gives the last processor that this process may use to the gateway, and the others to the load and the backend.
func divide() layout {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return layout{note: fmt.Sprintf("processors cannot be chosen here (%v): nothing is pinned", err)}
	}
	if all.Count() < 2 {
		return layout{note: "one processor only: gateway and load share it, which the figures show"}
	}
	l := layout{load: all, pinned: true}
	last := 0
	for cpu := range len(all) * strconv.IntSize {
		if all.IsSet(cpu) {
			last = cpu
		}
	}
	l.load.Clear(last)
	l.gateway.Set(last)
	l.note = fmt.Sprintf("gateway on processor %d, load and backend on the other %d", last, l.load.Count())
	return l
}

// pinSelf moves all threads of this process to the load's processors; threads that start later inherit that.
func (l *layout) pinSelf() error {
	if !l.pinned {
		return nil
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &l.load); err != nil {
			return fmt.Errorf("pinning the load: %w", err)
		}
	}
	runtime.GOMAXPROCS(l.load.Count())
	return nil
}

// onGateway runs a function on a thread that is pinned to the gateway's processor: a process that it starts stays there
// from its first instruction on, and sees one processor only.
func (l *layout) onGateway(run func() error) error {
	if !l.pinned {
		return run()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, &l.gateway); err != nil {
		return fmt.Errorf("pinning the gateway: %w", err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &l.load) }()
	return run()
}
