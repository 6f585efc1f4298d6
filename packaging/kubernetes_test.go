//go:build packages && linux

package packaging_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pod that is to end says so to the probe, and still serves requests. Then it ends, with status 0.
func TestGateOfThePodEndsInOrder(t *testing.T) {
	lower, of := unpacked(t, "caddy-bearer-auth")
	m := newMachine(t, lower)
	makeDir(t, m.in("/run/secrets/gate"))
	m.write(t, "/run/secrets/gate/client_secret", "5f0c1d8c7c6a4d0f9f0a3b2e1d4c5b6a")
	caddyfile, err := os.ReadFile(filepath.Join(kubernetes, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	m.write(t, "/etc/caddy/Caddyfile", // two requests must find their time even on a machine that is very busy
		strings.Replace(string(caddyfile), "shutdown_delay 5s", "shutdown_delay 20s", 1))
	for _, name := range []string{"/config", "/data"} {
		m.bind(t, volume(t, m.in(name)), name, 0)
	}
	m.write(t, "/etc/hosts", "127.0.0.1 localhost\n")
	mount(t, "overlay", m.root, "overlay", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	as := account(t, of.User)
	as.env = of.Env
	gate := start(t, m.command(t, as, of.Cmd...))

	const probe, api = "http://127.0.0.1:8081/healthz", "http://127.0.0.1:8080/"
	eventually(t, "the probe", func() bool { return status(probe) == http.StatusNoContent })
	if got := status(api); got != http.StatusUnauthorized {
		t.Errorf("a request without a token: %d", got)
	}
	if err := gate.cmd.Process.Signal(os.Signal(syscall.SIGTERM)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the probe hears of the end", func() bool { return status(probe) == http.StatusServiceUnavailable })
	if got := status(api); got != http.StatusUnauthorized {
		t.Errorf("a request while the pod ends: %d", got)
	}
	<-gate.ended // stop would wait as long, and ask again
	if code := gate.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the gate ended with status %d", code)
	}
}
