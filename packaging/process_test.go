//go:build packages && linux

package packaging_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything here may take. It never takes as long.
const patience = time.Minute

// built is a file that .ci/run has built for these tests.
func built(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("PACKAGES")
	if dir == "" || os.Geteuid() != 0 {
		t.Fatal("run these tests by \"bash .ci/run packages\", as root")
	}
	return filepath.Join(dir, name)
}

// machine is a file system in which programs run.
type machine struct{ root string }

// newMachine is the file system in lower. What is written stays apart from it, in memory, and is gone at the end.
func newMachine(t *testing.T, lower string) machine {
	t.Helper()
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "mode=0755")
	m := machine{root: filepath.Join(dir, "root")}
	for _, name := range []string{"upper", "work", "root", "volumes"} {
		makeDir(t, filepath.Join(dir, name))
	}
	mount(t, "overlay", m.root, "overlay", 0,
		fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%[2]s/work", lower, dir))
	makeDir(t, m.in("/proc"))
	mount(t, "proc", m.in("/proc"), "proc", 0, "")
	return m
}

// in is a path of the machine as a path here.
func (m machine) in(path string) string { return filepath.Join(m.root, path) }

// bind puts a file or directory of this machine there. It must not be a part of what becomes read-only.
func (m machine) bind(t *testing.T, source, target string, flags uintptr) {
	t.Helper()
	mount(t, source, m.in(target), "", syscall.MS_BIND, "")
	if flags != 0 {
		mount(t, "", m.in(target), "", syscall.MS_REMOUNT|syscall.MS_BIND|flags, "")
	}
}

// place makes an empty file or directory there, where something can be mounted.
func (m machine) place(t *testing.T, target string, isDir bool) {
	t.Helper()
	if isDir {
		makeDir(t, m.in(target))
		return
	}
	makeDir(t, filepath.Dir(m.in(target)))
	m.write(t, target, "")
}

func (m machine) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(m.in(path), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		t.Fatalf("mounting %q at %s: %v", source, target, err)
	}
	if flags&syscall.MS_REMOUNT == 0 {
		t.Cleanup(func() { _ = syscall.Unmount(target, syscall.MNT_DETACH) })
	}
}

func makeDir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// identity is a user, with no other groups, no capabilities, and this environment alone.
type identity struct {
	uid, gid int
	env      []string
}

// command is a command in the machine. Its program is found by the PATH of the environment.
func (m machine) command(t *testing.T, as identity, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Path = m.find(t, as, args[0])
	cmd.Err, cmd.Env, cmd.Dir = nil, as.env, "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     m.root,
		Credential: &syscall.Credential{Uid: uint32(as.uid), Gid: uint32(as.gid)},
		Pdeathsig:  syscall.SIGKILL,
	}
	return cmd
}

func (m machine) find(t *testing.T, as identity, program string) string {
	t.Helper()
	if filepath.IsAbs(program) {
		return program
	}
	for _, variable := range as.env {
		path, found := strings.CutPrefix(variable, "PATH=")
		for dir := range strings.SplitSeq(path, ":") {
			if _, err := os.Stat(m.in(filepath.Join(dir, program))); found && err == nil {
				return filepath.Join(dir, program)
			}
		}
	}
	t.Fatalf("there is no %s in the PATH of %v", program, as.env)
	return ""
}

// run runs a command to its end, which must be good.
func (m machine) run(t *testing.T, as identity, args ...string) string {
	t.Helper()
	output, err := m.command(t, as, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, output)
	}
	return string(output)
}

// process is a program that runs until it is told to end.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	log   *safeBuffer
}

// safeBuffer is a buffer that one may read while another writes.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(text)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// start starts a program. At the end of the test it is stopped, unless the test has done so.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, ended: make(chan struct{}), log: new(safeBuffer)}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("the log of %v:\n%s", cmd.Args, p.log)
		}
	})
	return p
}

// stop asks the program to end, as systemd and Docker do.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
		t.Errorf("%v did not end", p.cmd.Args)
	}
}

// hasNoPrivileges checks what the kernel says about a program: its user, no capability, and no way to get one.
func (p *process) hasNoPrivileges(t *testing.T, uid int) {
	t.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	want := map[string]string{
		"Uid":    strings.TrimSpace(strings.Repeat(fmt.Sprint(uid, "\t"), 4)),
		"CapEff": "0000000000000000", "CapPrm": "0000000000000000", "NoNewPrivs": "1", "Groups": "",
	}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if expected, asked := want[name]; asked {
			if got := strings.TrimSpace(value); got != expected {
				t.Errorf("%v has %s %q, want %q", p.cmd.Args, name, got, expected)
			}
			delete(want, name)
		}
	}
	if len(want) > 0 {
		t.Errorf("the kernel says nothing about %v", want)
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in %s", what, patience)
		}
	}
}

// status is the status of the answer to a GET, or 0 if there is none.
func status(address string, header ...string) int {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return 0
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	return answer.StatusCode
}
