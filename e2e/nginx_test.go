//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// recipe is the n-th block of this language in a section of docs/recipes.md, with other addresses.
func recipe(t *testing.T, section, language string, n int, addresses ...string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "\n## "+section+"\n")
	after, _, _ = strings.Cut(after, "\n## ")
	blocks := strings.Split(after, "```"+language+"\n")
	if len(blocks) <= n {
		t.Fatalf("the section %q has %d blocks of %s", section, len(blocks)-1, language)
	}
	block, _, _ := strings.Cut(blocks[n], "```")
	for i := 0; i < len(addresses); i += 2 {
		if !strings.Contains(block, addresses[i]) {
			t.Fatalf("%q is not in the recipe:\n%s", addresses[i], block)
		}
	}
	return strings.NewReplacer(addresses...).Replace(block)
}

// inside is what stands in the one site of a Caddyfile.
func inside(site string) string {
	_, text, _ := strings.Cut(site, "{\n")
	return strings.TrimSuffix(text, "}\n")
}

// startNginx runs nginx with this text inside of its http block. socket is where it listens.
func startNginx(t *testing.T, text, socket string) {
	t.Helper()
	path, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed: the recipe is not tested")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
worker_processes 1;
pid %[1]s/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	%[2]s
}
`, dir, text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-e", "stderr", "-p", dir, "-c", config, "-g", "daemon off; master_process off;")
	d := startDaemon(t, "nginx", cmd)
	d.stopAtTheEnd(t)
	d.is(t, "listens", func() bool { return answers(t, "unix", socket) })
}

// callers are an authorization server and the tokens of two users.
func callers(t *testing.T) (issuer, zoe, max string) {
	t.Helper()
	key := tokentest.NewKey(t, "ES256", "e1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	token := func(sub string) string {
		now := time.Now().Unix()
		return key.Sign(t, map[string]any{
			"iss": as.URL, "sub": sub, "aud": "https://api.example.com", "iat": now, "exp": now + 300,
		})
	}
	return as.URL, token("zoe"), token("max")
}

// nginx asks the gate about each request, and tells the backend who is calling.
func TestRecipeOfAGateForNginx(t *testing.T) {
	const section = "A gate for nginx, Traefik and Envoy"
	issuer, zoe, _ := callers(t)
	g := startSite(t, func(string) string {
		return inside(recipe(t, section, "caddyfile", 1, "https://auth.example.com", issuer))
	})
	front := filepath.Join(filepath.Dir(g.socket), "n")
	startNginx(t, recipe(t, section, "nginx", 1, "listen 80", "listen unix:"+front,
		"http://localhost:8080", "http://unix:"+g.socket+":/", "127.0.0.1:9000", g.backend), front)
	g.through(t, front)

	forge := func(r *http.Request) { r.Header.Set("X-User", "root") }
	for range 2 {
		res, seen := g.get(t, zoe, forge)
		if res.StatusCode != http.StatusOK || seen == nil {
			t.Fatalf("a good token: status %d", res.StatusCode)
		}
		if user := seen.Header["X-User"]; len(user) != 1 || user[0] != "zoe" {
			t.Errorf("the backend got X-User %q", user)
		}
		if len(seen.Header["Authorization"]) > 0 {
			t.Error("the backend got the token")
		}
	}
	for name, token := range map[string]string{"no token": "", "a bad token": zoe[:len(zoe)-2]} {
		res, seen := g.get(t, token, forge)
		if challenge := res.Header.Get("WWW-Authenticate"); res.StatusCode != http.StatusUnauthorized || seen != nil ||
			!strings.HasPrefix(challenge, "Bearer ") {
			t.Errorf("%s: status %d, challenge %q, backend reached: %t", name, res.StatusCode, challenge, seen != nil)
		}
	}
}

// A caller who asks too often gets 429. Another one does not, though the requests come from one address.
func TestRecipeOfARateLimitByNginx(t *testing.T) {
	const section = "A rate limit for each caller"
	issuer, zoe, max := callers(t)
	dir, err := os.MkdirTemp("", "ng-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	g := startSite(t, func(string) string {
		return inside(recipe(t, section, "caddyfile", 1, "https://auth.example.com", issuer,
			"localhost:9000", "unix/"+socket))
	})
	// A request a minute, so that the test does not depend on the speed of this machine.
	startNginx(t, recipe(t, section, "nginx", 1, "rate=10r/s", "rate=1r/m", "listen 127.0.0.1:9000",
		"listen unix:"+socket, "127.0.0.1:9001", g.backend), socket)

	status := make(map[int]int)
	for range 25 {
		res, _ := g.get(t, zoe, func(r *http.Request) { r.Header.Set("X-User", "max") })
		status[res.StatusCode]++
	}
	if status[http.StatusOK] != 21 || status[http.StatusTooManyRequests] != 4 {
		t.Errorf("of 25 requests: %v; want 21 times 200, then 429", status)
	}
	if res, _ := g.get(t, max); res.StatusCode != http.StatusOK {
		t.Errorf("another caller: status %d, want 200", res.StatusCode)
	}
}
