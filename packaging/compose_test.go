//go:build packages && linux

package packaging_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// image is what matters of the configuration of an image.
type image struct {
	User        string
	Env, Cmd    []string
	Healthcheck struct{ Test []string }
	Volumes     map[string]struct{}
	Entrypoint  []string
}

// service is what matters of a service in the model of a compose file.
type service struct {
	Image, User         string
	Entrypoint, Command []string
	Environment         map[string]string
	Networks            map[string]any
	ReadOnly            bool     `json:"read_only"`
	CapDrop             []string `json:"cap_drop"`
	SecurityOpt         []string `json:"security_opt"`
	Privileged          bool
	Tmpfs               []string
	Volumes             []struct {
		Type, Source, Target string
		ReadOnly             bool `json:"read_only"`
	}
	Ports []struct {
		HostIP    string `json:"host_ip"`
		Published string
	}
}

// project is a compose file as Docker reads it.
type project struct {
	Services map[string]service
	Networks map[string]struct{ Internal bool }
}

// The commands of examples/compose/README.md work: the image is the one that the Dockerfile makes, the containers are
// processes in its file system, as compose.yaml wants them, and dex is the program of its image.
func TestComposeExampleWorks(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../examples/compose")); err != nil {
		t.Fatal(err)
	}
	steps := shell(t, dir)
	if len(steps) != 3 {
		t.Fatalf("README.md has %d blocks of commands, want 3", len(steps))
	}
	follow(t, dir, steps[0])
	isReadByDebian(t, dir)
	p := model(t, dir)
	p.isHardened(t)

	running := p.up(t)
	gate := running["gate"]
	eventually(t, "the health check of the image", func() bool { return gate.healthy(t) })
	eventually(t, "dex", func() bool { return status("http://localhost:5556/dex/healthz") == 200 })
	gate.hasNoPrivileges(t, 65532)
	running["backend"].hasNoPrivileges(t, 65532)

	gate.machine.run(t, gate.as, "caddy", "reload", "--config", "/etc/caddy/Caddyfile") // by docker exec

	seen := follow(t, dir, steps[1])
	want := `^GET /orders\nX-User: [A-Za-z0-9_-]{20,}\nX-Email: alice@example\.com\nAuthorization: \n+$`
	if !regexp.MustCompile(want).MatchString(seen) {
		t.Errorf("with a token, the backend did not show %s but:\n%s", want, seen)
	}
	if got := strings.TrimSpace(follow(t, dir, steps[2])); got != "401" {
		t.Errorf("without a token: %q", got)
	}
	forged := `curl -s -H "X-User: root" -H "X_User: root" -H "Authorization: Bearer $TOKEN" http://localhost:8080/`
	if got := follow(t, dir, steps[1]+forged); strings.Contains(got, "root") {
		t.Errorf("a client has said who it is:\n%s", got)
	}
	if conn, err := net.DialTimeout("tcp", gate.address+":2019", time.Second); err == nil {
		_ = conn.Close()
		t.Error("the admin endpoint of the gate is reached from outside")
	}
	if err := os.WriteFile(gate.in("/etc/caddy/other"), nil, 0o600); err == nil {
		t.Error("the file system of the gate can be written")
	}
	gate.stop(t)
	if code := gate.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the gate ended with status %d", code)
	}
}

// shell is the blocks of commands in the README of a directory.
func shell(t *testing.T, dir string) (blocks []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, found[1])
	}
	return blocks
}

// follow does what commands say. Of docker, it does what runs a program of the image: the image is there, and up starts
// the containers.
func follow(t *testing.T, dir, commands string) string {
	t.Helper()
	programs := t.TempDir()
	docker := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = run ] || exit 0\n[ \"$*\" = \"run --rm -i caddy-bearer-auth caddy "+
		"hash-password\" ] || exit 1\nexec chroot --userspec=65532:65532 %s /usr/bin/caddy hash-password\n",
		built(t, "image/rootfs"))
	if err := os.WriteFile(filepath.Join(programs, "docker"), []byte(docker), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-euc", commands)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"))
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s\n%v\n%s", commands, err, output)
	}
	return string(output)
}

// model is compose.yaml with the values of .env.
func model(t *testing.T, dir string) (p project) {
	t.Helper()
	cmd := exec.Command("sh", "-euc", "set -a; . ./.env; exec \"$0\" compose compose.yaml", built(t, "asdocker"))
	cmd.Dir, cmd.Stderr = dir, t.Output()
	text, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil || len(p.Services) != 3 {
		t.Fatalf("%d services: %v", len(p.Services), err)
	}
	return p
}

// isReadByDebian checks that docker-compose of Debian, which is older than Compose 2, can read the example, too.
func isReadByDebian(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command("docker-compose", "config", "--quiet")
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("docker-compose config: %v\n%s", err, output)
	}
}

// isHardened checks what no process here can show.
func (p project) isHardened(t *testing.T) {
	t.Helper()
	for name, s := range p.Services {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.Privileged ||
			!slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s is not hardened", name)
		}
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s to more than this machine", name, port.Published)
			}
		}
	}
	backend := p.Services["backend"]
	if len(backend.Ports) != 0 || len(backend.Networks) != 1 {
		t.Error("the backend is reached by more than its network")
	}
	for network := range backend.Networks {
		if !p.Networks[network].Internal {
			t.Errorf("the network %s leads outside", network)
		}
		for name, s := range p.Services {
			if _, in := s.Networks[network]; in && name != "gate" && name != "backend" {
				t.Errorf("%s reaches the backend", name)
			}
		}
	}
}

// container is a service that runs.
type container struct {
	machine
	*process
	as      identity
	image   image
	address string
}

// up starts the services, each at an address of its own. They know each other as their networks let them.
func (p project) up(t *testing.T) map[string]container {
	t.Helper()
	addresses := map[string]string{}
	for name := range p.Services {
		addresses[name] = fmt.Sprintf("172.31.0.%d", len(addresses)+2)
		if output, err := exec.Command("ip", "address", "add", addresses[name]+"/32", "dev", "lo").
			CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
	}
	running := map[string]container{}
	for name, s := range p.Services {
		hosts := "127.0.0.1 localhost\n"
		for other, o := range p.Services {
			for network := range s.Networks {
				if _, in := o.Networks[network]; in {
					hosts += addresses[other] + " " + other + "\n"
					break
				}
			}
		}
		running[name] = s.run(t, hosts, addresses[name])
	}
	return running
}

// run starts a service.
func (s service) run(t *testing.T, hosts, address string) container {
	t.Helper()
	lower, of := unpacked(t, s.Image)
	c := container{machine: newMachine(t, lower), image: of, address: address}
	c.place(t, "/etc/hosts", false)
	c.write(t, "/etc/hosts", hosts)
	for _, v := range s.Volumes {
		c.place(t, v.Target, v.Type != "bind")
	}
	if s.ReadOnly {
		mount(t, "overlay", c.root, "overlay", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}
	for _, v := range s.Volumes {
		switch {
		case v.Type == "bind" && v.ReadOnly:
			c.bind(t, v.Source, v.Target, syscall.MS_RDONLY)
		case v.Type == "volume": // it begins with the owner that the image gives it
			c.bind(t, volume(t, c.in(v.Target)), v.Target, 0)
		default:
			t.Fatalf("this test does not know volumes of the kind %s", v.Type)
		}
	}
	for _, where := range s.Tmpfs {
		target, options, _ := strings.Cut(where, ":")
		mount(t, "tmpfs", c.in(target), "tmpfs", 0, options)
	}
	c.as = account(t, s.User, of.User)
	c.as.env = slices.Clone(of.Env)
	for name, value := range s.Environment {
		c.as.env = append(c.as.env, name+"="+value)
	}
	args := append(slices.Clone(s.Entrypoint), s.Command...)
	if len(args) == 0 {
		args = append(slices.Clone(of.Entrypoint), of.Cmd...)
	}
	c.process = start(t, c.command(t, c.as, args...))
	return c
}

// unpacked is the file system and the configuration of an image. That of dex has its program alone.
func unpacked(t *testing.T, name string) (lower string, of image) {
	t.Helper()
	if strings.HasPrefix(name, "ghcr.io/dexidp/dex:") {
		return built(t, "dex"), image{}
	}
	text, err := os.ReadFile(built(t, "image/inspected.json"))
	var inspected struct{ Docker struct{ Config image } }
	if err == nil {
		err = json.Unmarshal(text, &inspected)
	}
	if err != nil || len(inspected.Docker.Config.Cmd) == 0 {
		t.Fatalf("the configuration of the image: %v", err)
	}
	return built(t, "image/rootfs"), inspected.Docker.Config
}

// volume is an empty directory with the owner and the permissions of another one.
func volume(t *testing.T, like string) string {
	t.Helper()
	dir := t.TempDir()
	info, err := os.Stat(like)
	if err == nil {
		err = os.Chmod(dir, info.Mode().Perm())
	}
	if err == nil {
		owner := info.Sys().(*syscall.Stat_t)
		err = os.Chown(dir, int(owner.Uid), int(owner.Gid))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// account is the user of a container: a numeric one, and not root.
func account(t *testing.T, users ...string) identity {
	t.Helper()
	for _, user := range users {
		if user == "" {
			continue
		}
		uid, gid, _ := strings.Cut(user, ":")
		u, err := strconv.Atoi(uid)
		g, errGroup := strconv.Atoi(gid)
		if err != nil || errGroup != nil || u == 0 || g == 0 {
			t.Fatalf("the user %q is not numeric, or root", user)
		}
		return identity{uid: u, gid: g}
	}
	t.Fatal("a container without a user")
	return identity{}
}

// healthy runs the health check of the image in the container, as Docker does.
func (c container) healthy(t *testing.T) bool {
	t.Helper()
	if len(c.image.Healthcheck.Test) < 2 || c.image.Healthcheck.Test[0] != "CMD" {
		t.Fatalf("the health check of the image is %q", c.image.Healthcheck.Test)
	}
	return c.command(t, c.as, c.image.Healthcheck.Test[1:]...).Run() == nil
}
