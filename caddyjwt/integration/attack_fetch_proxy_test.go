package integration

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// proxied is set, to the file of a certificate authority, in the process that TestAttackFetchThroughAProxy starts.
const proxied = "TEST_ATTACK_FETCH_PROXY_CA"

// The environment may name a proxy for requests to authorization servers. The proxy may log what it sees, tokens and
// credentials included. It must see only the name of the server: everything else is inside TLS. Requests to this
// machine never go there. Go reads these variables once per process, so that this test needs a process of its own.
func TestAttackFetchThroughAProxy(t *testing.T) {
	if os.Getenv(proxied) != "" {
		throughAProxy(t)
		return
	}
	attacks.tried.Add(1)
	ca := newAuthority(t, "authority")
	handler := http.NewServeMux()
	handler.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, tokentest.JWKS(tokentest.NewKey(t, "ES256", "published")))
	})
	handler.HandleFunc("/introspect", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"active":true,"sub":"alice","aud":"`+audience+`"}`)
	})
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(t, func(c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = nil, []string{"as.example.com"}
	})}}
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := newConnectProxy(t, server.Listener.Addr().String())
	command := testProcess(t, "^TestAttackFetchThroughAProxy$",
		proxied+"="+writeFile(t, filepath.Join(t.TempDir(), "ca.pem"), ca.pem()), "HTTPS_PROXY="+proxy.url,
		"HTTP_PROXY="+proxy.url,
		"https_proxy=", "http_proxy=", "NO_PROXY=", "no_proxy=")
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	text := proxy.seen.String()
	if n := strings.Count(text, "CONNECT as.example.com:443 "); n < 2 {
		t.Errorf("%d connections for keys and introspection went through the proxy", n)
	}
	for _, line := range []string{"CONNECT 127.", "CONNECT localhost", "GET ", "POST "} {
		if strings.Contains(text, line) {
			t.Errorf("the proxy has seen %q", line)
		}
	}
	for _, secret := range []string{
		"opaque-token-of-a-user", "s3cr3t-of-the-gateway", "Authorization", "k3y-for-the-keys",
		base64.StdEncoding.EncodeToString([]byte("gateway:s3cr3t-of-the-gateway")), "token=",
	} {
		if strings.Contains(text, secret) {
			t.Errorf("the proxy has seen %q", secret)
		}
	}
	if !t.Failed() {
		attacks.refused.Add(1)
	}
}

// testProcess is one test of this binary in a process of its own, with more environment.
func testProcess(t *testing.T, run string, env ...string) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), binary, "-test.run="+run, "-test.count=1", "-test.timeout=2m")
	command.Env = append(os.Environ(), env...)
	return command
}

// throughAProxy runs in the process that has a proxy in its environment.
func throughAProxy(t *testing.T) {
	local := tokentest.NewAS(t)
	local.Introspect(always(tokentest.IntrospectionAnswer{Claims: map[string]any{"active": true, "sub": "bob",
		"aud": audience}}))
	credentials := []string{"client_id gateway", "client_secret s3cr3t-of-the-gateway", "auth_method client_secret_basic"}
	s := start(t, gateFor(
		issuerWithKeys("https://as.example.com", "jwks https://as.example.com/jwks", append(append([]string{
			"tls {", "ca " + os.Getenv(proxied), "}", "header_up X-Api-Key k3y-for-the-keys",
			"introspect opaque {", "endpoint https://as.example.com/introspect",
		}, credentials...), "}")...),
		issuerWithKeys(local.URL, "discovery",
			append(append([]string{"introspect opaque {", "prefix local_"}, credentials...), "}")...),
	))
	s.accepts("opaque-token-of-a-user")
	s.accepts("local_opaque-token-of-a-user")
	// Only with the key set at hand can the gate say that the key is not in it.
	s.refused(s.get("/", tokentest.NewKey(t, "ES256", "unpublished").Sign(t, issuedBy("https://as.example.com"))),
		http.StatusUnauthorized, "unknown_key")
}

// connectProxy is an HTTP proxy that keeps all that goes through it.
type connectProxy struct {
	url  string
	seen tokentest.Buffer
}

// newConnectProxy starts a proxy that leads to a server, whatever it is asked for.
func newConnectProxy(t *testing.T, server string) *connectProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &connectProxy{url: "http://" + listener.Addr().String()}
	var tunnels sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); tunnels.Wait() })
	tunnels.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			tunnels.Go(func() { proxy.serve(conn, server) })
		}
	})
	return proxy
}

func (p *connectProxy) serve(conn net.Conn, server string) {
	defer conn.Close()
	reader := bufio.NewReader(io.TeeReader(conn, &p.seen))
	request, err := http.ReadRequest(reader)
	if err != nil || request.Method != http.MethodConnect {
		_, _ = io.WriteString(conn, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	to, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	var back sync.WaitGroup
	back.Go(func() { _, _ = io.Copy(io.MultiWriter(conn, &p.seen), to); _ = conn.Close() })
	_, _ = io.Copy(to, reader)
	_ = to.Close()
	back.Wait()
}
