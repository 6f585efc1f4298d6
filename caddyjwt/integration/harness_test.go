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
	"bufio"
	"context"
	"encoding/base64"
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
	"github.com/caddyjwt/gateway/internal/tokentest"
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
		u.requests = append(u.requests, seen{r.Method, r.RequestURI, r.Host, r.Header.Clone(), r.Trailer.Clone(), string(body)})
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

// patience is how long a test waits for what must happen. It bounds tests that hang, and says nothing about how fast
// anything is: a busy machine may take long.
const patience = 2 * time.Minute

// deadline is when a conversation on a connection of its own must be over.
func deadline() time.Time { return time.Now().Add(patience) }

// unable ends a test that could not do what it is for. An attack is then neither refused nor has it got in.
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
	s := &site{t: t, upstream: newUpstream(t), socket: filepath.Join(dir, "s"), logFile: filepath.Join(dir, "log"), base: "http://gate.test", written: new(int)}
	s.client = &http.Client{
		Transport:     &http.Transport{DialContext: s.dial, MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		s.tunnelsEnd()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
		_ = os.RemoveAll(dir)
	})
	return s
}

// tunnelsEnd waits until the reverse proxy has let go of every upgraded connection, as its log tells. Caddy counts the
// bytes of such a connection without a lock: stopped at the moment when one is ending, it races with itself (v2.11.9).
func (s *site) tunnelsEnd() {
	s.t.Helper()
	eventually(s.t, 10*time.Second, "upgraded connections end", func() bool {
		text := s.log()
		return strings.Count(text, `"msg":"upgrading connection"`) == strings.Count(text, `"msg":"connection closed"`)
	})
}

// in is the same site with failures going to a subtest.
func (s *site) in(t testing.TB) *site {
	sub := *s
	sub.t = t
	return &sub
}

func (s *site) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", s.socket)
}

// caddyfile is the whole Caddyfile around a bearer_auth block. Another site of the same server tells which one it is.
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

// load makes Caddy run with this bearer_auth block, from now on.
func (s *site) load(gate string) {
	s.t.Helper()
	if err := s.tryLoad(s.caddyfile(gate)); err != nil {
		s.t.Fatal(err)
	}
	s.inForce()
}

// inForce waits until the client's connection is one to the server of the last configuration. Caddy returns from a reload
// when the old server has been told to stop; for a moment it may still take a request, and even a connection.
func (s *site) inForce() {
	s.t.Helper()
	eventually(s.t, 10*time.Second, "the new configuration is in force", func() bool {
		s.client.CloseIdleConnections()
		r := s.request(http.MethodGet, "/", nil)
		r.Host = "written.test"
		response, err := s.client.Do(r)
		if err != nil {
			return false // cut by the old server
		}
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return string(text) == "number "+strconv.Itoa(*s.written)
	})
}

func (s *site) tryLoad(caddyfile string) error {
	config, err := adapt(caddyfile)
	if err != nil {
		return err
	}
	return caddy.Load(config, true)
}

func adapt(caddyfile string) ([]byte, error) {
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
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

// answer is a response whose body has been read.
type answer struct {
	*http.Response
	body string
}

// do sends a request.
func (s *site) do(r *http.Request) answer {
	s.t.Helper()
	response, err := s.client.Do(r)
	if err != nil {
		s.unable("%v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.unable("%v", err)
	}
	return answer{response, string(body)}
}

// get sends a GET request with a bearer token (none when empty) and header fields given as name, value pairs.
func (s *site) get(path, token string, header ...string) answer {
	s.t.Helper()
	r := s.request(http.MethodGet, path, nil, header...)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return s.do(r)
}

func (s *site) request(method, path string, body io.Reader, header ...string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1]) // as it stands: no canonical form
	}
	return r
}

// raw sends bytes as they are on a connection of its own and reads one answer.
func (s *site) raw(request string) answer {
	s.t.Helper()
	conn, err := s.dial(s.t.Context(), "", "")
	if err != nil {
		s.unable("%v", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline())
	if _, err := io.WriteString(conn, request); err != nil {
		s.unable("%v", err)
	}
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		s.unable("%v", err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return answer{response, string(body)}
}

// passed wants a request to have reached the upstream once, and gives it as it arrived there.
func (s *site) passed(a answer) seen {
	s.t.Helper()
	if a.StatusCode != http.StatusOK {
		s.t.Fatalf("status %d, want 200; WWW-Authenticate: %s; reason in log: %s", a.StatusCode, a.Header.Get("WWW-Authenticate"), s.lastReason())
	}
	requests := s.upstream.take()
	if len(requests) != 1 {
		s.t.Fatalf("%d requests reached the upstream, want 1", len(requests))
	}
	return requests[0]
}

// refused wants a request to have been refused as told, with everything that every refusal has: nothing reached the
// upstream, nothing may be cached.
func (s *site) refused(a answer, status int, reason string) {
	s.t.Helper()
	if a.StatusCode != status {
		s.t.Errorf("status %d, want %d", a.StatusCode, status)
	}
	if requests := s.upstream.take(); len(requests) != 0 {
		s.t.Errorf("%d requests reached the upstream", len(requests))
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		s.t.Errorf("Cache-Control %q, want no-store", got)
	}
	if got := s.lastReason(); got != reason {
		s.t.Errorf("reason %q in the log, want %q", got, reason)
	}
}

// strange wants a token to have been refused as told. A key that is not there may also be pending, when others have
// spent what may be fetched.
func (s *site) strange(a answer, reason string) {
	s.t.Helper()
	if reason == "unknown_key" && a.StatusCode == http.StatusServiceUnavailable {
		s.refused(a, http.StatusServiceUnavailable, "key_pending")
		return
	}
	s.refused(a, http.StatusUnauthorized, reason)
}

// refusing reports whether a status is that of a token of an unknown key.
func refusing(status int) bool {
	return status == http.StatusUnauthorized || status == http.StatusServiceUnavailable
}

// log reads what Caddy has logged.
func (s *site) log() string {
	s.t.Helper()
	text, err := os.ReadFile(s.logFile)
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return string(text)
}

// lastReason is the reason of the last refusal in the log.
func (s *site) lastReason() string {
	var reason string
	for line := range strings.Lines(s.log()) {
		var entry struct{ Msg, Reason string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "request refused" {
			reason = entry.Reason
		}
	}
	return reason
}

// claims are good claims for a consumer whose credential key is "alice-key", with changes: name, value pairs; a nil
// value removes.
func claims(changes ...any) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{"iss": "alice-key", "sub": "alice", "iat": now, "exp": now + 300}
	for i := 0; i < len(changes); i += 2 {
		name := changes[i].(string)
		if changes[i+1] == nil {
			delete(c, name)
		} else {
			c[name] = changes[i+1]
		}
	}
	return c
}

// hmacKey signs with the secret of the credential in consumerAlice.
func hmacKey(t testing.TB) *tokentest.Key { return tokentest.NewKey(t, "HS256", "") }

// consumerAlice is the block of a consumer whose tokens hmacKey signs.
func consumerAlice(t testing.TB) string {
	return `consumer alice {
			id 42
			custom_id c-42
			groups staff editors
			credential alice-key {
				algorithm HS256
				secret ` + base64.StdEncoding.EncodeToString(hmacKey(t).Secret()) + ` base64
			}
		}`
}

// gateFor wraps lines in a bearer_auth block.
func gateFor(lines ...string) string {
	return "bearer_auth {\n\t\t" + strings.Join(lines, "\n\t\t") + "\n\t}"
}
