package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// recorder is a backend that records the last request, trailers included.
type recorder struct {
	mu      sync.Mutex
	header  http.Header
	trailer http.Header
	uri     string
	body    string
}

func (b *recorder) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.header, b.trailer, b.uri, b.body = r.Header, r.Trailer, r.RequestURI, string(body)
}

// front is a real server with the gate and a reverse proxy in front of a recorder. If next is not nil, it wraps the
// proxy.
func front(t *testing.T, g *gate.Gate, next func(http.Handler) http.Handler) (address string, backend *recorder) {
	t.Helper()
	backend = new(recorder)
	upstream := httptest.NewServer(backend)
	t.Cleanup(upstream.Close)
	to, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	var proxy http.Handler = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	if next != nil {
		proxy = next(proxy)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		verdict, err := g.Check(direct(r))
		g.Strip(r)
		if err == nil && verdict.Identity != nil {
			err = g.Annotate(r, verdict.Identity)
		}
		if err != nil {
			answer := g.Answer(gate.FailureOf(err))
			answer.WriteTo(w.Header())
			w.WriteHeader(answer.Status)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), backend
}

// send writes a request as it is and returns the status.
func send(t *testing.T, address, text string) int {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

func TestBackendSeesOurHeadersOnly(t *testing.T) {
	key := tokentest.NewKey(t, "HS256", "s")
	token := key.Sign(t, says(m{"iss": "shop-key", "name": "Zoë"}))
	g := build(t, key, forward(t, "name", "X-User", "absent", "X-Role"), func(c *gate.Config) {
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)}
	})
	address, backend := front(t, g, nil)
	for name, lines := range map[string]string{
		"forged": "X-Consumer-Username: admin\nx_consumer_username: admin\n" +
			"X.User: admin\nX-Role: admin",
		"named in Connection":           "Connection: X-Consumer-Username, x-user",
		"named in Connection and close": "Connection: close, x-consumer-username\nConnection: X-User",
		"named with an upgrade":         "Connection: Upgrade, X-User\nUpgrade: websocket",
		"twice":                         "X-User: a\nX-User: b",
		"named in Keep-Alive":           "Keep-Alive: X-User\nProxy-Connection: X-User",
	} {
		t.Run(name, func(t *testing.T) {
			status := send(t, address, fmt.Sprintf("GET /x HTTP/1.1\nHost: gw\nAuthorization: Bearer %s\n%s\n\n", token, lines))
			if status != 200 {
				t.Fatalf("status %d", status)
			}
			for n, v := range backend.header {
				spelled := strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(n))
				want := map[string]string{
					"x-consumer-username": "shop", "x-user": "Zoë", "x-credential-identifier": "shop-key",
				}[spelled]
				if strings.HasPrefix(spelled, "x-") && !strings.HasPrefix(spelled, "x-forwarded") && strings.Join(v, "|") != want {
					t.Errorf("backend got %s: %q, want %q", n, v, want)
				}
			}
			if backend.header.Get("X-Consumer-Username") != "shop" || backend.header.Get("X-User") != "Zoë" {
				t.Errorf("backend got %v", backend.header)
			}
			if backend.header.Get("Authorization") != "" {
				t.Error("the token reached the backend")
			}
		})
	}
}

func TestRefusalReachesNoBackend(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	address, backend := front(t, build(t, key), nil)
	for _, line := range []string{"Accept: */*", "Authorization: Bearer x", "Authorization: Bearer\te30.e30.e30"} {
		if status := send(t, address, "GET / HTTP/1.1\nHost: gw\n"+line+"\n\n"); status < 400 || status > 499 {
			t.Errorf("%s: status %d", line, status)
		}
	}
	if backend.header != nil {
		t.Error("a refused request reached the backend")
	}
}
