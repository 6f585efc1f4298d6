//go:build packages && linux

package packaging_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
)

// root is who installs packages.
var root = identity{env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"}}

// The package installs, runs, upgrades and goes on a whole Debian with systemd.
func TestPackageOnARunningDebian(t *testing.T) {
	m := debian(t)
	for _, version := range []string{"1", "2"} {
		m.copy(t, built(t, "deb/caddy-bearer-auth_0.0."+version+"-1_"+runtime.GOARCH+".deb"), "/srv/"+version+".deb")
	}
	s := m.boot(t)

	s.must(t, "dpkg", "-i", "/srv/1.deb")
	for path, want := range map[string]string{
		"/usr/bin/caddy": "755 root", "/etc/caddy/Caddyfile": "644 root", "/etc/caddy/credentials": "700 root",
	} {
		if got := s.must(t, "stat", "-c", "%a %U", path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if got := s.must(t, "getent", "passwd", "caddy"); !strings.HasSuffix(got, ":/var/lib/caddy:/usr/sbin/nologin") {
		t.Errorf("the user is %s", got)
	}
	if state, _ := s.do("systemctl", "is-active", "caddy"); strings.TrimSpace(state) != "inactive" {
		t.Errorf("after the installation the service is %s: it is started by whoever has configured it", state)
	}
	const unit = "/lib/systemd/system/caddy.service"
	s.must(t, "systemd-analyze", "verify", unit)
	// The limit is twice ten, in tenths. What is left are the network, and what nobody can do without.
	s.must(t, "systemd-analyze", "security", "--offline=yes", "--threshold=20", unit)

	s.must(t, "systemctl", "enable", "--now", "caddy")
	if got := status("http://localhost:8080/"); got != http.StatusUnauthorized {
		t.Errorf("the installed configuration answers %d", got)
	}
	s.hasFewPrivileges(t)
	asks := []string{"caddy", "bearer-auth", "gates", "--config", "/etc/caddy/Caddyfile"}
	s.must(t, asks...)
	if output, err := s.do(append([]string{"runuser", "-u", "nobody", "--"}, asks...)...); err == nil {
		t.Errorf("every user reaches the admin endpoint:\n%s", output)
	}
	secretReachesServer(t, s)
	upgrades(t, s)
	restartsWithoutRefusing(t, s)
	goes(t, s)
}

// copy copies a file into the machine.
func (m machine) copy(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(m.in(to), content, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// hasFewPrivileges checks what the kernel says about the service.
func (s system) hasFewPrivileges(t *testing.T) {
	t.Helper()
	pid := s.must(t, "systemctl", "show", "--property", "MainPID", "--value", "caddy")
	got := s.must(t, "cat", "/proc/"+pid+"/status")
	for _, want := range []string{
		"CapEff:\t0000000000000400", "CapBnd:\t0000000000000400", // CAP_NET_BIND_SERVICE
		"NoNewPrivs:\t1", "Seccomp:\t2",
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("the kernel does not say %q:\n%s", want, got)
		}
	}
	if user := s.must(t, "stat", "-c", "%U", "/proc/"+pid); user != "caddy" {
		t.Errorf("the service runs as %s", user)
	}
}

const asksServer = `{
	admin unix//run/caddy/admin.sock
}

http://localhost:8080 {
	bearer_auth {
		issuer %[1]s {
			keys none
			introspect {
				endpoint %[1]s/introspect
				client_id gate
				client_secret {file.{$CREDENTIALS_DIRECTORY}/client_secret}
			}
		}
		audience https://api.example.com
	}
	respond %[2]q
}
`

// secretReachesServer puts a secret where the drop-in says, and a configuration that reads it. A server then sees it.
func secretReachesServer(t *testing.T, s system) {
	t.Helper()
	const secret = "5f0c1d8c7c6a4d0f9f0a3b2e1d4c5b6a"
	var shown atomic.Value
	shown.Store("")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, _ := r.BasicAuth()
		shown.Store(password)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"active": true, "sub": "alice", "aud": "https://api.example.com"}`)
	}))
	t.Cleanup(server.Close)
	s.write(t, "/etc/caddy/credentials/client_secret", secret+"\n")
	s.write(t, "/etc/caddy/Caddyfile", fmt.Sprintf(asksServer, server.URL, "first"))
	makeDir(t, s.in("/etc/systemd/system/caddy.service.d"))
	s.copy(t, "systemd/credentials.conf", "/etc/systemd/system/caddy.service.d/credentials.conf")
	s.must(t, "systemctl", "daemon-reload")
	s.must(t, "systemctl", "restart", "caddy")

	if got := body(t, "opaque-token"); got != "first" {
		t.Errorf("with a token that the server calls active: %q", got)
	}
	if shown.Load() != secret {
		t.Errorf("the server saw the secret %q", shown.Load())
	}
	s.write(t, "/etc/caddy/Caddyfile", fmt.Sprintf(asksServer, server.URL, "second"))
	s.must(t, "systemctl", "reload", "caddy")
	if got := body(t, "opaque-token"); got != "second" {
		t.Errorf("after a reload: %q", got)
	}
	if log := s.must(t, "journalctl", "--no-pager", "--unit", "caddy"); strings.Contains(log, secret) {
		t.Error("the secret is in the journal")
	}
}

// body is the answer to a request with a token, or its status.
func body(t *testing.T, token string) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://localhost:8080/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		return answer.Status
	}
	return string(text)
}

// upgrades installs the next version. The configuration stays, and the new program runs.
func upgrades(t *testing.T, s system) {
	t.Helper()
	pid := s.must(t, "systemctl", "show", "--property", "MainPID", "--value", "caddy")
	s.must(t, "dpkg", "-i", "/srv/2.deb")
	if got := s.must(t, "dpkg-query", "-W", "-f", "${Version}", "caddy-bearer-auth"); got != "0.0.2-1" {
		t.Errorf("the version is %s", got)
	}
	if text, _ := os.ReadFile(s.in("/etc/caddy/Caddyfile")); !strings.Contains(string(text), "second") {
		t.Error("the upgrade has replaced the configuration")
	}
	if now := s.must(t, "systemctl", "show", "--property", "MainPID", "--value", "caddy"); now == pid || now == "0" {
		t.Errorf("the process was %s, and is %s", pid, now)
	}
	if got := body(t, "opaque-token"); got != "second" {
		t.Errorf("after the upgrade: %q", got)
	}
}

// goes removes the package, then all that it knows of.
func goes(t *testing.T, s system) {
	t.Helper()
	s.must(t, "dpkg", "-r", "caddy-bearer-auth")
	if got := status("http://localhost:8080/"); got != 0 {
		t.Errorf("after the removal, Caddy answers %d", got)
	}
	stays := map[string]bool{"/usr/bin/caddy": false, "/etc/caddy/Caddyfile": true, "/var/lib/caddy": true}
	for path, want := range stays {
		if s.exists(path) != want {
			t.Errorf("after the removal, %s is there: %t", path, !want)
		}
	}
	// What the administrator has added stays until they remove it.
	if err := os.Remove(s.in("/etc/caddy/credentials/client_secret")); err != nil {
		t.Fatal(err)
	}
	s.must(t, "dpkg", "-P", "caddy-bearer-auth")
	for _, path := range []string{"/etc/caddy", "/var/lib/caddy", "/var/log/caddy", "/lib/systemd/system/caddy.service",
		"/etc/systemd/system/multi-user.target.wants/caddy.service"} {
		if s.exists(path) {
			t.Errorf("after the purge, %s is still there", path)
		}
	}
}

// On a machine where systemd does not run, as in the build of an image, the package installs, too, and the unit's
// command runs as its user.
func TestPackageWithoutSystemd(t *testing.T) {
	m := debian(t)
	m.copy(t, built(t, "deb/caddy-bearer-auth_0.0.1-1_"+runtime.GOARCH+".deb"), "/srv/1.deb")
	m.run(t, root, "dpkg", "-i", "/srv/1.deb")
	m.run(t, root, "install", "-d", "-o", "caddy", "-g", "caddy", "/var/lib/caddy", "/run/caddy")
	as := identity{uid: m.id(t, "-u"), gid: m.id(t, "-g"), env: []string{"PATH=/usr/bin", "HOME=/var/lib/caddy"}}
	m.run(t, as, "caddy", "validate", "--config", "/etc/caddy/Caddyfile")
	caddy := start(t, m.command(t, as, unitCommand(t)...))
	eventually(t, "Caddy answers", func() bool { return status("http://localhost:8080/") == http.StatusUnauthorized })
	caddy.hasNoPrivileges(t, as.uid)
	caddy.stop(t)
	m.run(t, root, "dpkg", "-r", "caddy-bearer-auth")
	m.run(t, root, "dpkg", "-P", "caddy-bearer-auth")
	if m.exists("/etc/caddy") || m.exists("/var/lib/caddy") {
		t.Error("something is left after the purge")
	}
}

func (m machine) id(t *testing.T, what string) (id int) {
	t.Helper()
	if _, err := fmt.Sscan(m.run(t, root, "id", what, "caddy"), &id); err != nil || id == 0 {
		t.Fatalf("id %s: %d, %v", what, id, err)
	}
	return id
}

// unitCommand is what the unit starts.
func unitCommand(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("systemd", "caddy.service"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if command, found := strings.CutPrefix(line, "ExecStart="); found {
			return strings.Fields(command)
		}
	}
	t.Fatal("the unit starts nothing")
	return nil
}
