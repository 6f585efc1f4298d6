//go:build e2e

package e2e_test

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A daemon is a server from a package of the machine.
type daemon struct {
	name   string
	cmd    *exec.Cmd
	output *tokentest.Buffer
	ended  chan struct{}
}

// startDaemon starts a server. The caller stops it.
func startDaemon(t *testing.T, name string, cmd *exec.Cmd) *daemon {
	t.Helper()
	d := &daemon{name: name, cmd: cmd, output: new(tokentest.Buffer), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = d.output, d.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = cmd.Wait(); close(d.ended) }()
	return d
}

// stop ends the server. It may be called more than once.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	giveUp := time.AfterFunc(20*time.Second, func() { _ = d.cmd.Process.Kill() })
	<-d.ended
	giveUp.Stop()
}

// stopAtTheEnd ends the server with the test, and shows what it has said if the test has failed.
func (d *daemon) stopAtTheEnd(t *testing.T) {
	t.Cleanup(func() {
		d.stop()
		if t.Failed() {
			t.Logf("%s says:\n%s", d.name, d.output)
		}
	})
}

// is waits until something holds of the server, and fails if it ends before.
func (d *daemon) is(t *testing.T, what string, holds func() bool) {
	t.Helper()
	eventually(t, d.name+" "+what, func() bool {
		select {
		case <-d.ended:
			t.Fatalf("%s has ended:\n%s", d.name, d.output)
		default:
		}
		return holds()
	})
}
