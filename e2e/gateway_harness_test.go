//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// gate is a running gateway in front of a backend that notes what reaches it.
type gate struct {
	client  *http.Client // every request goes to the gateway
	log     *tokentest.Buffer
	socket  string // where it listens
	backend string // address of the backend
	options string // more global options

	mu   sync.Mutex
	seen []*http.Request
	sent []string // tokens, none of which may be in the log
}

// startGateway runs the binary with this text inside of bearer_auth { … }.
func startGateway(t *testing.T, directive string) *gate {
	t.Helper()
	return startSite(t, func(backend string) string {
		return "bearer_auth {\n" + directive + "\n}\nreverse_proxy " + backend
	})
}

// startSite runs the binary with one site that has this text.
func startSite(t *testing.T, site func(backend string) string) *gate {
	t.Helper()
	return startSiteWith(t, "", site)
}

// startSiteWith is startSite with more global options.
func startSiteWith(t *testing.T, options string, site func(backend string) string) *gate {
	t.Helper()
	return startSitesWith(t, options, func(socket, backend string) string {
		return fmt.Sprintf("http:// {\n bind unix/%s\n%s\n}\n", socket, site(backend))
	})
}

// startSitesWith runs the binary with these sites, which listen on the socket, and more global options.
func startSitesWith(t *testing.T, options string, sites func(socket, backend string) string) *gate {
	t.Helper()
	g := &gate{log: new(tokentest.Buffer), options: options}
	backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.seen = append(g.seen, r)
	}))
	t.Cleanup(backend.Close)
	g.backend = strings.TrimPrefix(backend.URL, "http://")
	g.start(t, func(socket string) string { return sites(socket, g.backend) })
	return g
}

// start runs the binary with these sites. They listen on a Unix socket: another process could take a port before the
// gateway does.
func (g *gate) start(t *testing.T, sites func(socket string) string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "Caddyfile")
	g.socket = filepath.Join(dir, "s")
	if err := os.WriteFile(config, fmt.Appendf(nil, globalOptions, dir, g.options, sites(g.socket)), 0o600); err != nil {
		t.Fatal(err)
	}

	cmd := exec.Command(gatewayBinary, "run", "--config", config, "--adapter", "caddyfile")
	cmd.Stdout, cmd.Stderr = g.log, g.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { g.stop(t, cmd, ended) })

	g.through(t, g.socket)
	listens(t, "the gateway", g.socket, ended)
}

// through makes all requests go to this socket.
func (g *gate) through(t *testing.T, socket string) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	g.client = &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// listens waits until a process that must not end listens on a socket.
func listens(t *testing.T, who, socket string, ended <-chan struct{}) {
	t.Helper()
	eventually(t, who+" listens", func() bool {
		select {
		case <-ended:
			t.Fatal(who + " has ended")
		default:
		}
		return answers(t, "unix", socket)
	})
}

// answers reports whether somebody listens at an address.
func answers(t *testing.T, network, address string) bool {
	conn, err := new(net.Dialer).DialContext(t.Context(), network, address)
	if err == nil {
		err = conn.Close()
	}
	return err == nil
}

const globalOptions = `{
	admin off
	persist_config off
	auto_https off
	debug
	storage file_system %s
	%s
}
%s`

func (g *gate) stop(t *testing.T, cmd *exec.Cmd, ended <-chan struct{}) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	giveUp := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	<-ended
	giveUp.Stop()

	text := g.log.String()
	for _, token := range g.sent {
		// The last part of a JWT is what makes it valid; an opaque token is all secret.
		secret := token[strings.LastIndexByte(token, '.')+1:]
		if len(secret) > 16 && strings.Contains(text, secret) {
			t.Error("the gateway's log holds a token, or the signature of one")
		}
	}
	if strings.Contains(text, "panic") {
		t.Error("the gateway's log speaks of a panic")
	}
	if t.Failed() {
		t.Logf("the gateway's log:\n%s", text)
	}
}

// get sends a request with a token, if any. It gives the answer, and the request as the backend saw it: nil when it saw
// nothing.
func (g *gate) get(t *testing.T, token string, change ...func(*http.Request)) (*http.Response, *http.Request) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gateway/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, f := range change {
		f(req)
	}
	g.mu.Lock()
	g.seen, g.sent = nil, append(g.sent, token)
	g.mu.Unlock()

	res, err := g.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch len(g.seen) {
	case 0:
		return res, nil
	case 1:
		return res, g.seen[0]
	default:
		t.Fatalf("one request reached the backend %d times", len(g.seen))
		return nil, nil
	}
}

// accepts sends a token that must pass.
func (g *gate) accepts(t *testing.T, token string) *http.Request {
	t.Helper()
	res, seen := g.get(t, token)
	if res.StatusCode != http.StatusOK || seen == nil {
		t.Fatalf("status %d, challenge %q, backend reached: %t; want 200 from the backend",
			res.StatusCode, res.Header.Get("WWW-Authenticate"), seen != nil)
	}
	return seen
}

// refuses sends a token that must not pass. challenge is the error code of RFC 6750 section 3.1, or empty where there
// must be none.
func (g *gate) refuses(t *testing.T, token string, status int, challenge string) *http.Response {
	t.Helper()
	res, seen := g.get(t, token)
	if seen != nil {
		t.Error("the request reached the backend")
	}
	if res.StatusCode != status {
		t.Fatalf("status %d, challenge %q; want %d", res.StatusCode, res.Header.Get("WWW-Authenticate"), status)
	}
	header := res.Header.Get("WWW-Authenticate")
	switch has := strings.Contains(header, "error="); {
	case challenge == "" && has:
		t.Errorf("challenge %q, want none with an error code", header)
	case challenge != "" && !strings.Contains(header, `error="`+challenge+`"`):
		t.Errorf("challenge %q, want error code %s", header, challenge)
	}
	if res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q, want no-store", res.Header.Get("Cache-Control"))
	}
	return res
}

// hasHeaders compares headers that the backend got. An empty one must not be there.
func hasHeaders(t *testing.T, seen *http.Request, headers map[string]string) {
	t.Helper()
	for name, want := range headers {
		if got := strings.Join(seen.Header.Values(name), " | "); got != want {
			t.Errorf("%s: %q at the backend, want %q", name, got, want)
		}
	}
}

// eventually waits for what another process must bring about.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	const patience = 45 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
