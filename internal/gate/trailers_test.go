package gate_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestTrailersCarryNoIdentity(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says())
	g := build(t, key, forward(t, "name", "X-User"))
	// buffered is a handler between gate and proxy that reads the whole body first.
	buffered := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			next.ServeHTTP(w, r)
		})
	}
	const chunks = "5\nhello\n0\n"
	for name, c := range map[string]struct {
		next              func(http.Handler) http.Handler
		announced, actual string
	}{
		"announced":                       {nil, "Trailer: X-User, X-Sum\n", "X-User: admin\nX-Sum: 7\n"},
		"announced in another spelling":   {nil, "Trailer: x_user, X-Sum\n", "x_user: admin\nX-Sum: 7\n"},
		"sent but not announced":          {nil, "Trailer: X-Sum\n", "X-User: admin\nX-Sum: 7\n"},
		"none announced":                  {nil, "", "X-Consumer-Username: admin\n"},
		"announced, body buffered":        {buffered, "Trailer: X-User, X-Sum\n", "X-User: admin\nX-Sum: 7\n"},
		"not announced, body buffered":    {buffered, "Trailer: X-Sum\n", "X-User: admin\nX-Sum: 7\n"},
		"none announced, body buffered":   {buffered, "", "X-User: admin\nX-Consumer-Username: admin\n"},
		"named in Connection and Trailer": {nil, "Connection: X-User\nTrailer: X-User, X-Sum\n", "X-User: admin\nX-Sum: 7\n"},
	} {
		t.Run(name, func(t *testing.T) {
			address, backend := front(t, g, c.next)
			status := send(t, address,
				"POST / HTTP/1.1\nHost: gw\nTransfer-Encoding: chunked\nAuthorization: Bearer "+token+"\n"+
					c.announced+"\n"+chunks+c.actual+"\n")
			if status != 200 || backend.body != "hello" {
				t.Fatalf("status %d, body %q", status, backend.body)
			}
			for n, v := range backend.trailer {
				if n != "X-Sum" {
					t.Errorf("backend got the trailer %s: %q", n, v)
				}
			}
		})
	}
}

// A handler without a proxy may read trailers from the request itself, when the body has ended.
func TestTrailersOfTheRequestItself(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says())
	g := build(t, key, forward(t, "name", "X-User"))
	for name, announced := range map[string]string{
		"announced": "Trailer: X-User\n", "one announced": "Trailer: X-Sum\n", "none announced": "",
	} {
		for _, end := range []string{"read", "closed"} {
			t.Run(name+", body "+end, func(t *testing.T) {
				var trailer http.Header
				address, _ := front(t, g, func(http.Handler) http.Handler {
					return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						if end == "read" {
							_, _ = io.Copy(io.Discard, r.Body)
						}
						r.Body.Close()
						trailer = r.Trailer
					})
				})
				status := send(t, address,
					"POST / HTTP/1.1\nHost: gw\nTransfer-Encoding: chunked\nAuthorization: Bearer "+token+"\n"+
						announced+"\n5\nhello\n0\nX-User: admin\n\n")
				if status != 200 || trailer.Get("X-User") != "" {
					t.Errorf("status %d, trailers %v", status, trailer)
				}
			})
		}
	}
}

// The gate takes no token from a trailer. Such a token was never verified, and some backends merge trailers into the
// header.
func TestTrailersCarryNoToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says())
	for _, keep := range []bool{false, true} {
		g := build(t, key, func(c *gate.Config) {
			c.ForwardToken = keep
			c.Extractor = extractor(t, bearer.DefaultPlace, bearer.Place{Kind: bearer.Header, Name: "X-Access-Token"},
				bearer.Place{Kind: bearer.Cookie, Name: "jwt"})
		})
		for _, field := range []string{
			"Authorization: Bearer", "authorization: Bearer", "X-Access-Token:", "X_Access_Token:", "Cookie: jwt=",
		} {
			t.Run(fmt.Sprintf("%s, keep %t", field, keep), func(t *testing.T) {
				trailers := make(chan http.Header, 1)
				address, _ := front(t, g, func(http.Handler) http.Handler {
					return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
						_, _ = io.Copy(io.Discard, r.Body)
						trailers <- r.Trailer
					})
				})
				status := send(t, address,
					"POST / HTTP/1.1\nHost: gw\nTransfer-Encoding: chunked\nAuthorization: Bearer "+token+"\n"+
						"Trailer: X-Sum\n\n5\nhello\n0\n"+field+" forged\nX-Sum: 7\n\n")
				if status != 200 {
					t.Fatalf("status %d", status)
				}
				if trailer := <-trailers; len(trailer) != 1 || trailer.Get("X-Sum") != "7" {
					t.Errorf("trailers %v", trailer)
				}
			})
		}
	}
}

// The gate itself reads a form that may hold the token, trailers included.
func TestTrailersOfAForm(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, forward(t, "name", "X-User"), func(c *gate.Config) {
		c.Extractor = extractor(t, bearer.DefaultPlace, bearer.Place{Kind: bearer.Form, Name: "jwt"})
	})
	body := "a=1&jwt=" + key.Sign(t, says())
	for name, announced := range map[string]string{"announced": "Trailer: X-User\n", "none announced": ""} {
		t.Run(name, func(t *testing.T) {
			address, backend := front(t, g, nil)
			status := send(t, address,
				"POST / HTTP/1.1\nHost: gw\nTransfer-Encoding: chunked\nContent-Type: application/x-www-form-urlencoded\n"+
					announced+fmt.Sprintf("\n%x\n%s\n0\nX-User: admin\n\n", len(body), body))
			if status != 200 || backend.body != "a=1" || len(backend.trailer) != 0 {
				t.Errorf("status %d, body of %d bytes (want the token removed), trailers %v",
					status, len(backend.body), backend.trailer)
			}
		})
	}
}

func TestTrailersOverHTTP2(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, forward(t, "name", "X-User"))
	for _, length := range []int64{-1, 5} {
		var trailer http.Header
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.Strip(r)
			_, _ = io.Copy(io.Discard, r.Body)
			trailer = r.Trailer
			w.WriteHeader(r.ProtoMajor * 100)
		}))
		server.EnableHTTP2 = true
		server.StartTLS()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			server.URL, io.NopCloser(strings.NewReader("hello")))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength, r.Trailer = length, http.Header{"X-User": {"admin"}, "X-Sum": {"7"}}
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		server.Close()
		if response.StatusCode != 200 || trailer.Get("X-User") != "" || trailer.Get("X-Sum") != "7" {
			t.Errorf("length %d: %s, trailers %v", length, response.Proto, trailer)
		}
	}
}

// endBody is a body that signals when it has been read to its end.
type endBody struct {
	io.Reader
	ended func()
}

func (b endBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		b.ended()
	}
	return n, err
}

func (endBody) Close() error { return nil }

func TestTrailersOverHTTP3(t *testing.T) {
	t.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, forward(t, "name", "X-User"))
	certified := httptest.NewUnstartedServer(nil) // for its certificate
	certified.StartTLS()
	defer certified.Close()
	for _, length := range []int64{-1, 5} {
		for _, announced := range []bool{true, false} {
			t.Run(fmt.Sprintf("length %d, announced %t", length, announced), func(t *testing.T) {
				trailers := make(chan http.Header, 1) // of its own: the map goes on being used until the handler has ended
				packets, err := net.ListenPacket("udp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer packets.Close()
				server := &http3.Server{
					TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: certified.TLS.Certificates}),
					Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						g.Strip(r)
						_, _ = io.Copy(io.Discard, r.Body)
						trailers <- r.Trailer.Clone()
						w.WriteHeader(r.ProtoMajor * 100)
					}),
				}
				defer server.Close()
				go func() { _ = server.Serve(packets) }()
				client := &http3.Transport{TLSClientConfig: certified.Client().Transport.(*http.Transport).TLSClientConfig.Clone()}
				defer client.Close()

				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+packets.LocalAddr().String(), nil)
				if err != nil {
					t.Fatal(err)
				}
				all := http.Header{"X-User": {"admin"}, "X-Sum": {"7"}}
				r.ContentLength, r.Body = length, endBody{strings.NewReader("hello"), func() { r.Trailer = all }}
				if announced {
					r.Trailer = all
				}
				response, err := client.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				trailer := <-trailers
				if response.StatusCode != 300 || trailer.Get("X-User") != "" || trailer.Get("X-Sum") != "7" {
					t.Errorf("status %d, trailers %v", response.StatusCode, trailer)
				}
			})
		}
	}
}

// A proxy may close the body while it is being read. Go's transport does so when a request ends early, and so do the
// two directions of a WebSocket over HTTP/2. Both Read and Close strip the trailers. If two goroutines change a map at
// once, the process crashes.
func TestTrailersWhenTheBodyIsClosedWhileItIsRead(t *testing.T) {
	g := build(t, tokentest.NewKey(t, "ES256", "k1"), forward(t, "name", "X-User"))
	rounds := 4000 // without a guard, one in a few hundred crashes
	if testing.Short() {
		rounds = 200 // enough for the race detector
	}
	for range rounds {
		r := httptest.NewRequest(http.MethodPost, "http://gw/", strings.NewReader("hello"))
		r.ContentLength, r.Trailer = -1, http.Header{"X-Sum": {"7"}}
		body := &meeting{trailer: r.Trailer}
		body.inside.Add(2)
		r.Body = body
		g.Strip(r)
		var ends sync.WaitGroup
		ends.Go(func() { _, _ = r.Body.Read(nil) })
		ends.Go(func() { r.Body.Close() })
		ends.Wait()
		if len(r.Trailer) != 1 || r.Trailer["X-Sum"] == nil {
			t.Fatalf("trailers %q", r.Trailer)
		}
	}
}

// meeting is a body whose Read and Close return at the same moment, after it has added its trailers. Many of these have
// managed names, so that both have something to remove.
type meeting struct {
	trailer http.Header
	once    sync.Once
	inside  sync.WaitGroup
}

func (m *meeting) end() {
	m.once.Do(func() {
		for _, a := range "!#$%&'*+.^" {
			for _, b := range "!#$%&'*+.^" {
				m.trailer[fmt.Sprintf("X%cConsumer%cId", a, b)] = []string{"admin"}
			}
		}
	})
	m.inside.Done()
	m.inside.Wait()
}

func (m *meeting) Read([]byte) (int, error) { m.end(); return 0, io.EOF }

func (m *meeting) Close() error { m.end(); return nil }
