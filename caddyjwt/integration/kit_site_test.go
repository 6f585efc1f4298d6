// Package integration runs whole Caddys: a real listener, a real upstream that records what reached it, and the
// Caddyfiles that users write.
//
//	go test ./caddyjwt/integration                  # all of them
//	go test ./caddyjwt/integration -run Attack -v   # the attacks, by name
//
// Caddy's running configuration belongs to the process. So these tests have a package of their own, and several
// processes share them (see TestMain). With -parallel 1, for a single test, and for profiles there is one process.
package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddyjwt/gateway"
)

// seen is one request as the upstream received it.
type seen struct {
	Method, URI, Host string
	Header            http.Header
	Trailer           http.Header
	Body              string
}

// upstream records what reaches it.
type upstream struct {
	*httptest.Server
	mu       sync.Mutex
	requests []seen
	answer   http.HandlerFunc // default: 200 "ok"
}

func newUpstream(t testing.TB) *upstream {
	u := new(upstream)
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		u.mu.Lock()
		u.requests = append(u.requests,
			seen{r.Method, r.RequestURI, r.Host, r.Header.Clone(), r.Trailer.Clone(), string(body)})
		u.mu.Unlock()
		if u.answer != nil {
			u.answer(w, r)
			return
		}
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(u.Close)
	return u
}

// take gives what has arrived since the last call.
func (u *upstream) take() []seen {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.requests
	u.requests = nil
	return taken
}

// addr is host:port of the upstream.
func (u *upstream) addr() string { return strings.TrimPrefix(u.URL, "http://") }

// site is a running Caddy with a gate in front of an upstream.
type site struct {
	t        testing.TB
	upstream *upstream
	socket   string
	logFile  string
	client   *http.Client
	base     string // scheme and authority of the requests
	secure   string // address for HTTPS and HTTP/3, if the site has one
	written  *int   // how many Caddyfiles have been written

	broken *atomic.Bool // set when the running attack could not be carried out; nil outside of attacks
}

// patience is how long a test waits for what must happen. It only bounds tests that hang: a busy machine may take long.
const patience = 2 * time.Minute

// deadline is the end of a conversation on a separate connection.
func deadline() time.Time { return time.Now().Add(patience) }

// unable ends a test that could not do its work. An attack then counts as not run.
func (s *site) unable(format string, args ...any) {
	s.t.Helper()
	if s.broken != nil {
		s.broken.Store(true)
	}
	s.t.Fatalf("could not run: "+format, args...)
}

// start runs a Caddy whose site has this bearer_auth block, with "reverse_proxy" to a recording upstream behind it.
func start(t testing.TB, gate string) *site {
	t.Helper()
	s := prepare(t)
	s.load(gate)
	return s
}

// prepare makes a site whose Caddy is not running yet.
func prepare(t testing.TB) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "gate") // short: a socket's path has about a hundred bytes
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, upstream: newUpstream(t), socket: filepath.Join(dir, "s"), logFile: filepath.Join(dir, "log"),
		base: "http://gate.test", written: new(int)}
	s.client = &http.Client{
		Transport:     retryCut{&http.Transport{DialContext: s.dial, MaxIdleConnsPerHost: 64}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
	t.Cleanup(func() {
		if strings.Contains(s.log(), "panic serving") {
			t.Error("the log has a panic")
		}
		s.client.CloseIdleConnections()
		s.tunnelsEnd()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
		_ = os.RemoveAll(dir)
	})
	return s
}

// tunnelsEnd waits until the log says that the reverse proxy has closed every upgraded connection. Caddy v2.11.9 counts
// the bytes of such a connection without a lock: if it stops at that moment, it races with itself.
func (s *site) tunnelsEnd() {
	s.t.Helper()
	eventually(s.t, "upgraded connections end", func() bool {
		text := s.log()
		ended := strings.Count(text, `"msg":"connection closed"`) +
			strings.Count(text, `"msg":"failed to flush http2 websocket response"`) // the client has gone meanwhile
		return strings.Count(text, `"msg":"upgrading connection"`) == ended
	})
}

// in is the same site for a subtest, which gets its failures.
func (s *site) in(t testing.TB) *site {
	sub := *s
	sub.t = t
	return &sub
}

func (s *site) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", s.socket)
}

// caddyfile is the whole Caddyfile around a bearer_auth block. A second site of the same server gives the number of the
// Caddyfile.
func (s *site) caddyfile(gate string) string {
	*s.written++
	return fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https off
	storage file_system %[1]s
	log {
		output file %[2]s
		level DEBUG
	}
}
http://gate.test {
	bind unix/%[3]s
	log
	%[4]s
	reverse_proxy %[5]s
}
http://written.test {
	bind unix/%[3]s
	respond "number %[6]d"
}
`, filepath.Dir(s.socket), s.logFile, s.socket, gate, s.upstream.addr(), *s.written)
}

// load makes Caddy run with this bearer_auth block, and waits until it is in force.
func (s *site) load(gate string) {
	s.t.Helper()
	s.loadFile(s.caddyfile(gate))
}

// loadFile makes Caddy run with a whole Caddyfile, and waits until it is in force. The file must be a change of what
// caddyfile gave last.
func (s *site) loadFile(caddyfile string) {
	s.t.Helper()
	if err := s.tryLoad(caddyfile); err != nil {
		s.t.Fatal(err)
	}
	s.inForce()
}

// restart stops Caddy and starts another one with this bearer_auth block. A reload would keep what the old one
// remembers. Caddy closes its listeners in the background, and cannot open one again while it closes.
func (s *site) restart(gate string) {
	s.t.Helper()
	if err := caddy.Stop(); err != nil {
		s.t.Fatal(err)
	}
	s.client.CloseIdleConnections()
	caddyfile := s.caddyfile(gate)
	eventually(s.t, "Caddy has closed its listener", func() bool {
		err := s.tryLoad(caddyfile)
		if err != nil && !strings.Contains(err.Error(), net.ErrClosed.Error()) {
			s.t.Fatal(err)
		}
		return err == nil
	})
}

// inForce waits until the connections of these clients lead to the server of the last configuration. Without a client
// it takes the site's own. Caddy returns from a reload while the old server is still stopping: for a moment that server
// can take a request, or even a connection. A connection of HTTP/3 may stay with it for longer.
func (s *site) inForce(ways ...way) {
	s.t.Helper()
	if len(ways) == 0 {
		ways = []way{{"HTTP/1.1", s.base + "/", s.client}}
	}
	for _, way := range ways {
		eventually(s.t, "the new configuration is in force by "+way.name, func() bool {
			way.client.CloseIdleConnections()
			r := way.to(s.t, http.MethodGet, "/")
			r.Host = "written.test"
			response, err := way.client.Do(r)
			if err != nil {
				return false // cut by the old server
			}
			defer response.Body.Close()
			text, _ := io.ReadAll(response.Body)
			return response.Proto == way.name && string(text) == "number "+strconv.Itoa(*s.written)
		})
	}
}

func (s *site) tryLoad(caddyfile string) error {
	config, err := adapt(caddyfile)
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

// tryJSON loads the configuration after a change to the handler's JSON, which need not be possible in a Caddyfile.
func (s *site) tryJSON(gate string, change func(handler map[string]any)) error {
	s.t.Helper()
	config, err := adapt(s.caddyfile(gate))
	if err != nil {
		s.t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(config, &tree); err != nil {
		s.t.Fatal(err)
	}
	found := 0
	eachHandler(tree, func(handler map[string]any) { found++; change(handler) })
	if found != 1 {
		s.t.Fatalf("%d handlers in the configuration", found)
	}
	return caddy.Load([]byte(asJSON(s.t, tree)), true)
}

func eachHandler(node any, visit func(map[string]any)) {
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			eachHandler(element, visit)
		}
	case map[string]any:
		if node["handler"] == "bearer_auth" {
			visit(node)
			return
		}
		for _, child := range node {
			eachHandler(child, visit)
		}
	}
}

func adapt(caddyfile string) ([]byte, error) {
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile),
		map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			return nil, fmt.Errorf("warning: %s", w)
		}
	}
	return config, nil
}

// clientsAtOnce is how many clients come at once. With the race detector they are fewer: a thousand take longer on two
// processors than the gate waits for keys.
func clientsAtOnce() int {
	if raced {
		return 200
	}
	return 1000
}
