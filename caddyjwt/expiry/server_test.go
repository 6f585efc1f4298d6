package expiry_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/expiry"
)

// servers are servers of each protocol whose responses end. X-Life in a request says when, after its arrival.
func servers(t *testing.T, ending *expiry.Ending, next http.Handler) map[string]*httptest.Server {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var expires time.Time
		if life, err := time.ParseDuration(r.Header.Get("X-Life")); err == nil {
			expires = time.Now().Add(life)
		}
		err := ending.Serve(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			next.ServeHTTP(w, r)
			return nil
		}), expiry.Life{Expires: expires})
		if errors.Is(err, expiry.ErrNotBegun) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	all := make(map[string]*httptest.Server)
	for _, name := range []string{"HTTP/1.1", "HTTP/1.1 over TLS", "HTTP/2"} {
		server := httptest.NewUnstartedServer(handler)
		server.EnableHTTP2 = name == "HTTP/2"
		if name == "HTTP/1.1" {
			server.Start()
		} else {
			server.StartTLS()
		}
		t.Cleanup(server.Close)
		all[name] = server
	}
	return all
}

func get(t *testing.T, server *httptest.Server, path, life string) (status int, body string, err error) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("X-Life", life)
	response, err := server.Client().Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// Many responses end at the same time, behind a proxy, whose backend must be let go each time.
func TestManyResponsesEndAtOnce(t *testing.T) {
	var backendMu sync.Mutex
	open := 0
	change := func(by int) int {
		backendMu.Lock()
		defer backendMu.Unlock()
		open += by
		return open
	}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		change(1)
		defer change(-1)
		if r.URL.Path == "/poll" {
			<-r.Context().Done()
			return
		}
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		_, _ = io.WriteString(w, "data: 1\n\n")
		for r.Context().Err() == nil {
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, strings.Repeat(":", 100)+"\n")
			<-time.After(time.Millisecond)
		}
	}))
	defer backend.Close()
	target, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	for name, server := range servers(t, &expiry.Ending{All: true}, proxy) {
		t.Run(name, func(t *testing.T) {
			var clients sync.WaitGroup
			for i := range 60 {
				path := []string{"/events", "/file", "/poll"}[i%3]
				clients.Go(func() {
					status, body, err := get(t, server, path, "200ms")
					switch {
					case path == "/poll" && (err != nil || status != http.StatusUnauthorized),
						path == "/events" && status == http.StatusOK && err != nil,
						path == "/file" && status == http.StatusOK && err == nil:
						t.Errorf("%s: status %d, %d bytes, %v", path, status, len(body), err)
					}
				})
			}
			clients.Wait()
			for end := time.Now().Add(time.Minute); change(0) != 0; <-time.After(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d requests are still at the backend", change(0))
				}
			}
		})
	}
}

// A response may end by itself in the very moment in which its token expires. What is done to a connection to cut it
// must never reach the next request on it.
func TestTheNextRequestIsNotHarmed(t *testing.T) {
	whole := strings.Repeat("x", 100_000)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/events" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		_, _ = io.WriteString(w, whole[:1000])
		if r.Header.Get("X-Life") != "" {
			<-time.After(time.Millisecond)
		}
		_, _ = io.WriteString(w, whole[1000:])
	})
	times := 200
	if testing.Short() {
		times = 50
	}
	for name, server := range servers(t, &expiry.Ending{All: true}, handler) {
		t.Run(name, func(t *testing.T) {
			cut := 0
			for i := range times {
				path := []string{"/events", "/file"}[i%2]
				_, body, err := get(t, server, path, fmt.Sprintf("%dus", 800+20*(i%50)))
				if err != nil {
					cut++
				} else if path == "/file" && len(body) != len(whole) && body != "" {
					t.Errorf("%d bytes of a file, and no error", len(body))
				}
				if status, body, err := get(t, server, path, ""); err != nil || status != http.StatusOK || body != whole {
					t.Fatalf("the next request: status %d, %d bytes, %v", status, len(body), err)
				}
			}
			t.Logf("%d of %d were cut", cut, times)
		})
	}
}
