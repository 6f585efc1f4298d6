package expiry_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/expiry"
)

// client is a server's response writer, and what it sent. Deadlines in the past end a Write that blocks.
type client struct {
	*httptest.ResponseRecorder
	conn    net.Conn // for Hijack
	blocks  bool     // Write blocks until it is cut
	ignores bool     // a deadline does nothing, because a writer on the way sets another one
	cut     chan struct{}
	cutOnce sync.Once
	reads   bool // SetReadDeadline was called
}

func newClient() *client {
	return &client{ResponseRecorder: httptest.NewRecorder(), cut: make(chan struct{})}
}

func (c *client) Write(b []byte) (int, error) {
	if c.blocks {
		<-c.cut
	}
	if c.wasCut() && !c.ignores {
		return 0, os.ErrDeadlineExceeded
	}
	return c.ResponseRecorder.Write(b)
}

func (c *client) SetWriteDeadline(time.Time) error {
	c.cutOnce.Do(func() { close(c.cut) })
	return nil
}

func (c *client) SetReadDeadline(time.Time) error {
	c.reads = true
	return nil
}

func (c *client) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if c.conn == nil {
		return nil, nil, http.ErrNotSupported
	}
	return c.conn, bufio.NewReadWriter(bufio.NewReader(c.conn), bufio.NewWriter(c.conn)), nil
}

func (c *client) wasCut() bool {
	select {
	case <-c.cut:
		return true
	default:
		return false
	}
}

// route is a route with Ending, and what it has reported.
type route struct {
	expiry.Ending
	early *watcher // nil for none
	mu    sync.Mutex
	ended []string
}

func newRoute(all bool) *route {
	r := new(route)
	r.All = all
	r.Ended = func(kind expiry.Kind, cause expiry.Cause) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended = append(r.ended, string(kind)+" "+string(cause))
	}
	return r
}

func (r *route) reports() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.ended, ", ")
}

// of is the life of a token of the route.
func (r *route) of(expires time.Time) expiry.Life {
	if r.early == nil {
		return expiry.Life{Expires: expires}
	}
	return expiry.Life{Expires: expires, Watch: r.early.Watch}
}

// life is how long the tokens of these tests live.
const life = time.Minute

// result is how Serve has ended, and when.
type result struct {
	err      error
	panicked any
	took     time.Duration
}

func (r *route) serve(w http.ResponseWriter, method string, handler caddyhttp.HandlerFunc) (got result) {
	request := httptest.NewRequest(method, "/", nil)
	began := time.Now()
	defer func() {
		got.panicked, got.took = recover(), time.Since(began)
	}()
	got.err = r.Serve(w, request, handler, r.of(began.Add(life)))
	return got
}

// untilDone is a handler that answers and goes on until its request is over, as a proxy does. Then it panics, as
// Caddy's proxy does when it has not copied a whole response.
func untilDone(header ...string) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		for i := 0; i < len(header); i += 2 {
			w.Header().Add(header[i], header[i+1])
		}
		_, _ = io.WriteString(w, "first")
		<-r.Context().Done()
		if _, err := io.WriteString(w, "late"); err == nil {
			return errors.New("a write after the end")
		}
		panic(http.ErrAbortHandler)
	}
}

var eventStream = []string{"Content-Type", "text/event-stream"}

func TestEnds(t *testing.T) {
	afterwards := func(header ...string) caddyhttp.HandlerFunc { // ends by itself, after the token has expired
		return func(w http.ResponseWriter, _ *http.Request) error {
			for i := 0; i < len(header); i += 2 {
				w.Header().Add(header[i], header[i+1])
			}
			_, _ = io.WriteString(w, "first")
			time.Sleep(2 * life)
			_, _ = io.WriteString(w, " second")
			return nil
		}
	}
	for name, test := range map[string]struct {
		all      bool
		method   string
		handler  caddyhttp.HandlerFunc
		reports  string
		body     string
		took     time.Duration
		err      error
		panicked any
		cut      bool
	}{
		"an event stream ends cleanly": {
			handler: untilDone(eventStream...), reports: "events expired", body: "first", took: life,
		},
		"an event stream ends cleanly also by all": {
			all: true, handler: untilDone(eventStream...), reports: "events expired", body: "first", took: life,
		},
		"an event stream whose handler does not notice is cut": {
			handler: afterwards(eventStream...), reports: "events expired", body: "first", took: 2 * life,
			panicked: http.ErrAbortHandler, cut: true,
		},
		"a download goes on": {handler: afterwards(), body: "first second", took: 2 * life},
		"a download is cut by all": {
			all: true, handler: untilDone(), reports: "other expired", body: "first", took: life,
			panicked: http.ErrAbortHandler, cut: true,
		},
		"a download whose handler does not notice is cut by all": {
			all: true, handler: afterwards(), reports: "other expired", body: "first", took: 2 * life,
			panicked: http.ErrAbortHandler, cut: true,
		},
		"a response that was to begin later is refused by all": {
			all: true, reports: "other expired", took: life, err: expiry.ErrNotBegun,
			handler: func(w http.ResponseWriter, r *http.Request) error {
				<-r.Context().Done()
				w.WriteHeader(499) // as Caddy's proxy does
				return nil
			},
		},
		"an error instead of a response is replaced by all": {
			all: true, reports: "other expired", took: life, err: expiry.ErrNotBegun,
			handler: func(_ http.ResponseWriter, r *http.Request) error {
				<-r.Context().Done()
				return caddyhttp.Error(http.StatusBadGateway, r.Context().Err())
			},
		},
		"a POST without a response is cut by all": {
			all: true, method: http.MethodPost, reports: "other expired", took: life, panicked: http.ErrAbortHandler,
			handler: func(_ http.ResponseWriter, r *http.Request) error {
				<-r.Context().Done()
				return nil
			},
		},
		"a request whose handler does not notice is cut by all": {
			all: true, reports: "other expired", took: 2 * life, panicked: http.ErrAbortHandler, cut: true,
			handler: func(http.ResponseWriter, *http.Request) error { time.Sleep(2 * life); return nil },
		},
		"an event stream that begins late ends at once": {
			reports: "events expired", body: "", took: 2 * life,
			handler: func(w http.ResponseWriter, r *http.Request) error {
				time.Sleep(2 * life)
				w.Header().Set("Content-Type", "text/event-stream")
				w.WriteHeader(http.StatusOK)
				<-r.Context().Done()
				_, _ = io.WriteString(w, "late")
				return nil
			},
		},
		"a tunnel of an extended CONNECT ends cleanly": {
			method: http.MethodConnect, handler: untilDone(), reports: "upgrade expired", body: "first", took: life,
		},
		"a refused CONNECT is not a tunnel": {
			method: http.MethodConnect, body: "no", took: 2 * life,
			handler: func(w http.ResponseWriter, _ *http.Request) error {
				w.WriteHeader(http.StatusBadGateway)
				time.Sleep(2 * life)
				_, _ = io.WriteString(w, "no")
				return nil
			},
		},
		"a response that ends in time": {
			all: true, body: "done", took: life / 2,
			handler: func(w http.ResponseWriter, _ *http.Request) error {
				time.Sleep(life / 2)
				_, _ = io.WriteString(w, "done")
				return nil
			},
		},
		"an error in time": {
			all: true, err: io.ErrUnexpectedEOF,
			handler: func(http.ResponseWriter, *http.Request) error { return io.ErrUnexpectedEOF },
		},
		"a panic in time": {
			all: true, panicked: http.ErrAbortHandler,
			handler: func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) },
		},
		"another panic after the end stays what it is": {
			reports: "events expired", took: life, body: "", panicked: "a bug",
			handler: func(w http.ResponseWriter, r *http.Request) error {
				w.Header().Set("Content-Type", "text/event-stream")
				w.WriteHeader(http.StatusOK)
				<-r.Context().Done()
				panic("a bug")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, route := newClient(), newRoute(test.all)
				method := test.method
				if method == "" {
					method = http.MethodGet
				}
				got := route.serve(w, method, test.handler)
				time.Sleep(10 * life) // a timer that was left would now end something
				if got.took != test.took {
					t.Errorf("took %v, want %v", got.took, test.took)
				}
				if !errors.Is(got.err, test.err) || got.panicked != test.panicked {
					t.Errorf("error %v, panic %v; want %v, %v", got.err, got.panicked, test.err, test.panicked)
				}
				if route.reports() != test.reports {
					t.Errorf("reported %q, want %q", route.reports(), test.reports)
				}
				if w.Body.String() != test.body {
					t.Errorf("the client got %q, want %q", w.Body, test.body)
				}
				if w.wasCut() != test.cut || w.reads != test.cut {
					t.Errorf("cut: writes %v, reads %v; want %v", w.wasCut(), w.reads, test.cut)
				}
			})
		})
	}
}

// A client that does not read keeps a handler in a Write, so that the handler notices nothing.
func TestWriteToAClientThatDoesNotReadEnds(t *testing.T) {
	for name, all := range map[string]bool{"a stream": false, "all": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, route := newClient(), newRoute(all)
				w.blocks = true
				got := route.serve(w, http.MethodGet, func(w http.ResponseWriter, _ *http.Request) error {
					if !all {
						w.Header().Set("Content-Type", "text/event-stream")
					}
					_, err := io.WriteString(w, "x")
					return err
				})
				if got.panicked != http.ErrAbortHandler || got.took < life || got.took > life+time.Second {
					t.Errorf("panic %v after %v, want an abort soon after %v", got.panicked, got.took, life)
				}
			})
		})
	}
}

func TestKindsOfResponses(t *testing.T) {
	answers := func(status int, header ...string) caddyhttp.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error {
			for i := 0; i < len(header); i += 2 {
				w.Header()[header[i]] = append(w.Header()[header[i]], header[i+1])
			}
			w.WriteHeader(status)
			select {
			case <-r.Context().Done():
			case <-time.After(2 * life):
			}
			return nil
		}
	}
	for name, test := range map[string]struct {
		handler caddyhttp.HandlerFunc
		want    string
	}{
		"in capitals":             {answers(200, "Content-Type", "TEXT/EVENT-STREAM"), "events expired"},
		"with a parameter":        {answers(200, "Content-Type", "text/event-stream; charset=utf-8"), "events expired"},
		"with a bad parameter":    {answers(200, "Content-Type", "text/event-stream;;"), "events expired"},
		"after a space":           {answers(200, "Content-Type", " \ttext/event-stream"), "events expired"},
		"before a comma":          {answers(200, "Content-Type", "text/event-stream, text/plain"), "events expired"},
		"as a second field":       {answers(200, "Content-Type", "x", "Content-Type", "text/event-stream"), "events expired"},
		"in a small field":        {answers(200, "content-type", "text/event-stream"), "events expired"},
		"with an error's status":  {answers(404, "Content-Type", "text/event-stream"), "events expired"},
		"after a hint":            {afterHint(answers(200, "Content-Type", "text/event-stream")), "events expired"},
		"another type":            {answers(200, "Content-Type", "text/plain"), ""},
		"no type":                 {answers(200), ""},
		"the type as a parameter": {answers(200, "Content-Type", `text/plain; x="text/event-stream"`), ""},
		"in another field":        {answers(200, "X-Content-Type", "text/event-stream"), ""},
		"switching protocols":     {answers(http.StatusSwitchingProtocols), "upgrade expired"},
		"begun by a flush": {func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/event-stream")
			if err := http.NewResponseController(w).Flush(); err != nil {
				return err
			}
			<-r.Context().Done()
			if http.NewResponseController(w).Flush() == nil {
				return errors.New("a flush after the end")
			}
			return nil
		}, "events expired"},
		"begun by a copy": {func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.Copy(w, readerOnly{strings.NewReader("x")})
			<-r.Context().Done()
			_, err := io.Copy(w, readerOnly{strings.NewReader("x")})
			return err
		}, "events expired"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, route := newClient(), newRoute(false)
				if got := route.serve(w, http.MethodGet, test.handler); got.err != nil || got.panicked != nil {
					t.Errorf("error %v, panic %v", got.err, got.panicked)
				}
				if route.reports() != test.want {
					t.Errorf("reported %q, want %q", route.reports(), test.want)
				}
				if w.Flushed != (name == "begun by a flush") {
					t.Errorf("flushed: %v", w.Flushed)
				}
			})
		})
	}
}

// readerOnly hides WriteTo, so that io.Copy calls ReadFrom of the writer.
type readerOnly struct{ io.Reader }

func afterHint(then caddyhttp.HandlerFunc) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		return then(w, r)
	}
}

// A copy in pieces gives what a single one gives, whatever the length, and takes no more of the source.
func TestCopyInPieces(t *testing.T) {
	const piece = 1 << 20
	for _, size := range []int{0, 1, 511, 512, piece - 1, piece, piece + 1, 3 * piece} {
		for _, limit := range []int{-1, 0, 100, piece, 2*piece + 5} {
			text := strings.Repeat("0123456789abcdef", size/16+1)[:size]
			w, source := newClient(), strings.NewReader(text)
			var from io.Reader = readerOnly{source}
			want := text
			if limit >= 0 {
				from, want = io.LimitReader(source, int64(limit)), text[:min(limit, size)]
			}
			got := newRoute(true).serve(w, http.MethodGet, func(w http.ResponseWriter, _ *http.Request) error {
				n, err := w.(io.ReaderFrom).ReadFrom(from)
				if n != int64(len(want)) {
					t.Errorf("%d of %d: copied %d", limit, size, n)
				}
				return err
			})
			if got.err != nil || w.Body.String() != want || source.Len() != size-len(want) {
				t.Errorf("%d of %d: %v; the client got %d bytes, and %d are left", limit, size, got.err, w.Body.Len(),
					source.Len())
			}
		}
	}
}

// endless is a source whose every read takes a second.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	time.Sleep(time.Second)
	return len(b), nil
}

func TestCopyEnds(t *testing.T) {
	for name, ignores := range map[string]bool{"by a deadline": false, "after a piece": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newClient()
				w.ignores = ignores
				got := newRoute(true).serve(w, http.MethodGet, func(w http.ResponseWriter, _ *http.Request) error {
					_, err := io.Copy(w, io.LimitReader(endless{}, 1<<30))
					return err
				})
				if got.panicked != http.ErrAbortHandler || got.took > 3*life {
					t.Errorf("panic %v after %v", got.panicked, got.took)
				}
			})
		})
	}
}

func TestTunnels(t *testing.T) {
	for name, test := range map[string]struct {
		handler func(w http.ResponseWriter, closes <-chan struct{}) error
		closes  time.Duration // when it is closed by itself; 0 for never
		want    string
		took    time.Duration
	}{
		"ends with its token": {serveTunnel, 0, "upgrade expired", life},
		"ends by itself":      {serveTunnel, life / 2, "", life / 2},
		"outlives its handler": {func(w http.ResponseWriter, closes <-chan struct{}) error {
			conn, _, err := http.NewResponseController(w).Hijack()
			go func() { <-closes; _ = conn.Close() }()
			return err
		}, 0, "upgrade expired", life},
		"outlives its handler and ends by itself": {func(w http.ResponseWriter, closes <-chan struct{}) error {
			conn, _, err := http.NewResponseController(w).Hijack()
			go func() { <-closes; _ = conn.Close() }()
			return err
		}, life / 2, "", life / 2},
		"has sent a header first": {func(w http.ResponseWriter, closes <-chan struct{}) error {
			w.WriteHeader(http.StatusOK)
			return serveTunnel(w, closes)
		}, 0, "upgrade expired", life},
		"begins late": {func(w http.ResponseWriter, closes <-chan struct{}) error {
			time.Sleep(2 * life)
			return serveTunnel(w, closes)
		}, 0, "upgrade expired", 2 * life},
	} {
		for _, all := range []bool{false, true} {
			if all && name == "begins late" {
				continue // the request has ended by then
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					near, far := net.Pipe()
					w, route := newClient(), newRoute(all)
					w.conn = near
					closes := make(chan struct{})
					if test.closes != 0 {
						time.AfterFunc(test.closes, func() { close(closes) })
					} else {
						defer close(closes)
					}
					began := time.Now()
					over := make(chan time.Duration, 1)
					go func() {
						_, _ = io.Copy(io.Discard, far)
						over <- time.Since(began)
					}()
					got := route.serve(w, http.MethodGet, func(w http.ResponseWriter, _ *http.Request) error {
						return test.handler(w, closes)
					})
					if got.err != nil || got.panicked != nil {
						t.Errorf("error %v, panic %v", got.err, got.panicked)
					}
					if took := <-over; took != test.took {
						t.Errorf("ended after %v, want %v", took, test.took)
					}
					time.Sleep(10 * life)
					if route.reports() != test.want {
						t.Errorf("reported %q, want %q", route.reports(), test.want)
					}
				})
			})
		}
	}
}

// serveTunnel reads from the connection until it ends, as a proxy does.
func serveTunnel(w http.ResponseWriter, closes <-chan struct{}) error {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, conn); close(ended) }()
	select {
	case <-closes:
	case <-ended:
	}
	return conn.Close()
}

// A proxy ends one direction of a tunnel alone, if the connection can do that.
func TestTunnelCanEndOneDirection(t *testing.T) {
	pair, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pair.Close()
	far, err := net.Dial("tcp", pair.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := pair.Accept()
	if err != nil {
		t.Fatal(err)
	}
	other, _ := net.Pipe()
	for name, test := range map[string]struct {
		conn net.Conn
		want bool
	}{"TCP": {near, true}, "a pipe": {other, false}} {
		t.Run(name, func(t *testing.T) {
			w := newClient()
			w.conn = test.conn
			_ = newRoute(false).serve(w, http.MethodGet, func(w http.ResponseWriter, _ *http.Request) error {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					return err
				}
				defer conn.Close()
				half, can := conn.(interface{ CloseWrite() error })
				if can != test.want {
					t.Fatalf("can end one direction: %v, want %v", can, test.want)
				}
				if !can {
					return nil
				}
				_, _ = conn.(io.ReaderFrom).ReadFrom(strings.NewReader("to the client"))
				if err := half.CloseWrite(); err != nil {
					t.Error(err)
				}
				if text, err := io.ReadAll(far); string(text) != "to the client" {
					t.Errorf("the client got %q, %v", text, err)
				}
				var text strings.Builder
				_, _ = io.WriteString(far, "to the gate")
				_ = far.(*net.TCPConn).CloseWrite()
				if _, err := conn.(io.WriterTo).WriteTo(&text); err != nil || text.String() != "to the gate" {
					t.Errorf("the gate got %q, %v", text.String(), err)
				}
				return nil
			})
		})
	}
}

// What has ended by itself is forgotten at once, however long its token lives.
func TestNothingIsKept(t *testing.T) {
	for name, handler := range map[string]caddyhttp.HandlerFunc{
		"a stream": func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "text/event-stream")
			w.WriteHeader(http.StatusOK)
			return nil
		},
		"a tunnel": func(w http.ResponseWriter, _ *http.Request) error {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return err
			}
			return conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			collected := make(chan struct{})
			func() {
				w := newClient()
				w.conn, _ = net.Pipe()
				runtime.AddCleanup(w, func(c chan struct{}) { close(c) }, collected)
				if got := newRoute(false).serve(w, http.MethodGet, handler); got.err != nil {
					t.Fatal(got.err)
				}
			}()
			for end := time.After(10 * time.Second); ; {
				runtime.GC()
				select {
				case <-collected:
					return
				case <-end:
					t.Fatal("something keeps the response: its timer?")
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
}

func TestTunnelOfARevokedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		early, route, w := &watcher{at: time.Now().Add(life / 2)}, newRoute(false), newClient()
		route.early, w.conn = early, near
		began := time.Now()
		go func() { _, _ = io.Copy(io.Discard, far) }()
		got := route.serve(w, http.MethodGet, func(w http.ResponseWriter, _ *http.Request) error {
			return serveTunnel(w, nil)
		})
		if took := time.Since(began); got.err != nil || took != life/2 || route.reports() != "upgrade revoked" {
			t.Errorf("%v after %v, reported %q", got.err, took, route.reports())
		}
		if early.watching != 0 {
			t.Errorf("%d still watching", early.watching)
		}
	})
}

func TestHijackThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		route := newRoute(false)
		got := route.serve(newClient(), http.MethodGet, func(w http.ResponseWriter, _ *http.Request) error {
			_, _, err := http.NewResponseController(w).Hijack()
			return err
		})
		time.Sleep(2 * life)
		if !errors.Is(got.err, http.ErrNotSupported) || route.reports() != "" {
			t.Errorf("error %v, reported %q", got.err, route.reports())
		}
	})
}

// watcher revokes tokens.
type watcher struct {
	mu       sync.Mutex
	end      func()
	at       time.Time // when Watch has end called; zero for never
	watching int
}

func (w *watcher) Watch(end func()) (stop func()) {
	w.mu.Lock()
	w.watching++
	w.end = end
	w.mu.Unlock()
	timer := time.NewTimer(time.Until(w.at))
	if w.at.IsZero() {
		timer.Stop()
	} else if time.Until(w.at) <= 0 {
		end()
	} else {
		timer = time.AfterFunc(time.Until(w.at), end)
	}
	return func() {
		timer.Stop()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.watching--
	}
}

func TestRevokedTokens(t *testing.T) {
	for name, test := range map[string]struct {
		after, life time.Duration // until it is revoked and expires; 0 for never
		want        string
		took        time.Duration
	}{
		"revoked before it expires":     {life / 2, life, "events revoked", life / 2},
		"revoked, and never expires":    {life / 2, 0, "events revoked", life / 2},
		"revoked after it expires":      {2 * life, life, "events expired", life},
		"not revoked":                   {0, life, "events expired", life},
		"revoked when the answer comes": {-time.Second, life, "events revoked", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				early, route := new(watcher), newRoute(false)
				route.early = early
				if test.after != 0 {
					early.at = began.Add(test.after)
				}
				var expires time.Time
				if test.life != 0 {
					expires = began.Add(test.life)
				}
				err := route.Serve(newClient(), httptest.NewRequest(http.MethodGet, "/", nil), caddyhttp.HandlerFunc(
					func(w http.ResponseWriter, r *http.Request) error {
						w.Header().Set("Content-Type", "text/event-stream")
						w.WriteHeader(http.StatusOK)
						<-r.Context().Done()
						return nil
					}), route.of(expires))
				if took := time.Since(began); err != nil || took != test.took || route.reports() != test.want {
					t.Errorf("%v after %v, reported %q; want %q after %v", err, took, route.reports(), test.want, test.took)
				}
				if early.watching != 0 {
					t.Errorf("%d still watching", early.watching)
				}
				early.end() // too late: nothing happens
				if route.reports() != test.want {
					t.Errorf("reported %q", route.reports())
				}
			})
		})
	}
}

func TestNothingEnds(t *testing.T) {
	served := errors.New("served")
	for name, test := range map[string]struct {
		ending  *expiry.Ending
		expires time.Time
	}{
		"without Ending":                  {nil, time.Unix(1, 0)},
		"with a token that never expires": {&expiry.Ending{All: true}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			w, request := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
			err := test.ending.Serve(w, request, caddyhttp.HandlerFunc(func(got http.ResponseWriter, r *http.Request) error {
				if got != http.ResponseWriter(w) || r != request || r.Context() != context.Background() {
					t.Error("something is wrapped")
				}
				return served
			}), expiry.Life{Expires: test.expires})
			if !errors.Is(err, served) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// An error route runs with the same request after its response has ended. It must be able to work.
func TestErrorRouteAfterTheEndIsNotCancelled(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		err := newRoute(true).Serve(newClient(), r, caddyhttp.HandlerFunc(
			func(_ http.ResponseWriter, r *http.Request) error {
				*r = *r.WithContext(context.WithValue(r.Context(), key{}, "kept"))
				<-r.Context().Done()
				return nil
			}), expiry.Life{Expires: time.Now().Add(life)})
		if !errors.Is(err, expiry.ErrNotBegun) || r.Context().Err() != nil || r.Context().Value(key{}) != "kept" {
			t.Errorf("error %v, context %v", err, r.Context())
		}
	})
}

// A refusal must not have what was meant for the response: its cookies are somebody's, and its length is another.
func TestHeaderOfAResponseThatDoesNotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newClient()
		w.Header().Set("Server", "Caddy")
		err := newRoute(true).Serve(w, httptest.NewRequest(http.MethodGet, "/", nil), caddyhttp.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) error {
				<-r.Context().Done()
				w.Header().Set("Server", "backend")
				w.Header().Set("Set-Cookie", "session=secret")
				w.Header().Set("Content-Length", "6")
				_, err := w.Write([]byte("answer"))
				return err
			}), expiry.Life{Expires: time.Now().Add(life)})
		if want := (http.Header{"Server": {"Caddy"}}); !errors.Is(err, expiry.ErrNotBegun) || !maps.EqualFunc(w.Header(),
			want, slices.Equal) {
			t.Errorf("error %v, header %v", err, w.Header())
		}
	})
}
