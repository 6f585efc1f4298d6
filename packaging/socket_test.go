//go:build packages && linux

package packaging_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
)

const onSocket = `{
	admin unix//run/caddy/admin.sock
}

http:// {
	bind fd/3
	bearer_auth https://auth.example.com https://api.example.com
}
`

// restartsWithoutRefusing has systemd keep the socket, as the example says. No connection is refused then while Caddy
// restarts, as it does for a new version. One that the old process has accepted at its end may be cut off: the manual
// says so.
func restartsWithoutRefusing(t *testing.T, s system) {
	t.Helper()
	s.must(t, "systemctl", "stop", "caddy")
	s.write(t, "/etc/caddy/Caddyfile", onSocket)
	s.must(t, "cp", "/usr/share/doc/caddy-bearer-auth/examples/caddy.socket", "/etc/systemd/system/")
	s.must(t, "systemctl", "daemon-reload")
	s.must(t, "systemctl", "start", "caddy.socket", "caddy.service")

	var answered, cut atomic.Int64
	wrong, stop := make(chan error, 1), make(chan struct{})
	go func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
		for {
			select {
			case <-stop:
				wrong <- nil
				return
			default:
			}
			answer, err := client.Get("http://127.0.0.1:8080/")
			switch {
			case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
				cut.Add(1)
				continue
			case err == nil && answer.StatusCode != http.StatusUnauthorized:
				err = fmt.Errorf("status %d", answer.StatusCode)
			}
			if err != nil {
				wrong <- err
				return
			}
			_ = answer.Body.Close()
			answered.Add(1)
		}
	}()
	for range 3 {
		before := answered.Load()
		eventually(t, "an answer before the restart", func() bool { return answered.Load() > before || len(wrong) > 0 })
		s.must(t, "systemctl", "restart", "caddy")
		before = answered.Load()
		eventually(t, "an answer after the restart", func() bool { return answered.Load() > before || len(wrong) > 0 })
	}
	close(stop)
	if err := <-wrong; err != nil {
		t.Errorf("after %d answers: %v", answered.Load(), err)
	}
	t.Logf("%d answers and %d cut off during 3 restarts, none refused", answered.Load(), cut.Load())
	s.must(t, "systemctl", "stop", "caddy.socket", "caddy.service")
}
