//go:build packages && linux

package packaging_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// system is a whole Debian that runs beside this one: its files are those of this machine, with changes that stay in
// memory, and its first process is systemd.
type system struct {
	machine
	pid string // of systemd
}

// debian is a file system like that of this machine, without what its administrator has set up for systemd.
func debian(t *testing.T) machine {
	t.Helper()
	m := newMachine(t, "/")
	for _, path := range []string{"/etc/systemd/system", "/etc/fstab", "/etc/caddy", "/var/lib/caddy", "/usr/bin/caddy"} {
		if err := os.RemoveAll(m.in(path)); err != nil {
			t.Fatal(err)
		}
	}
	makeDir(t, m.in("/etc/systemd/system"))
	mount(t, "tmpfs", m.in("/run"), "tmpfs", 0, "mode=0755")
	mount(t, "tmpfs", m.in("/tmp"), "tmpfs", 0, "mode=1777")
	mount(t, "tmpfs", m.in("/dev"), "tmpfs", 0, "mode=0755")
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		m.bind0(t, "/dev/"+name)
	}
	for _, name := range []string{"pts", "shm"} {
		makeDir(t, m.in("/dev/"+name))
	}
	mount(t, "devpts", m.in("/dev/pts"), "devpts", 0, "newinstance,ptmxmode=0666")
	if err := os.Symlink("pts/ptmx", m.in("/dev/ptmx")); err != nil {
		t.Fatal(err)
	}
	return m
}

// bind0 puts a device of this machine at the same place there.
func (m machine) bind0(t *testing.T, path string) {
	t.Helper()
	m.place(t, path, false)
	m.bind(t, path, path, 0)
}

// target is all that the system is to start.
const target = `[Unit]
Description=The target of this test
Requires=systemd-journald.service
`

// boot starts systemd in the machine. It has the network of the test.
func (m machine) boot(t *testing.T) system {
	t.Helper()
	m.write(t, "/etc/systemd/system/tried.target", target)
	script := `set -eu
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir -p old
mount --rbind . .
cd .
pivot_root . old
umount -l old
mount --make-rshared / # or secrets do not get into services
exec /lib/systemd/systemd --unit=tried.target`
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--cgroup",
		"--propagation", "private", "sh", "-c", script, "boot", m.root)
	// Without this, systemd takes the machine for one with hardware.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "container=other"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := start(t, cmd)
	s := system{machine: m}
	children := fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid)
	eventually(t, "systemd has started", func() bool {
		text, _ := os.ReadFile(children)
		s.pid = strings.TrimSpace(string(text))
		if s.pid == "" {
			return false
		}
		output, _ := s.do("systemctl", "is-active", "tried.target")
		return strings.TrimSpace(output) == "active"
	})
	t.Cleanup(func() { // before the process is stopped: SIGTERM means something else to systemd
		if t.Failed() {
			log, _ := s.do("journalctl", "--no-pager", "--unit", "caddy")
			t.Log(log)
		}
		_ = p.cmd.Process.Kill()
	})
	return s
}

// do runs a command in the system.
func (s system) do(args ...string) (string, error) {
	output, err := exec.Command("nsenter", append([]string{"--target", s.pid, "--mount", "--pid", "--uts", "--ipc",
		"--cgroup", "--root", "--wd=/", "--"}, args...)...).CombinedOutput()
	return string(output), err
}

// must runs a command in the system, which must go well.
func (s system) must(t *testing.T, args ...string) string {
	t.Helper()
	output, err := s.do(args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, output)
	}
	return strings.TrimSpace(output)
}

// exists reports whether a file of the machine is there.
func (m machine) exists(path string) bool {
	_, err := os.Lstat(filepath.Join(m.root, path))
	return err == nil
}
