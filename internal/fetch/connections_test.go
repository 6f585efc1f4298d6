package fetch_test

import (
	"context"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

func TestCloseLeavesNoConnection(t *testing.T) {
	closed := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "x")
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	c := client(t, fetch.Options{})
	for range 2 {
		if _, err := c.Get(t.Context(), s.URL, "*/*", ""); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	select {
	case <-closed:
	case <-time.After(time.Minute):
		t.Error("the connection is still there")
	}
}

// relay passes bytes on to a server and back. Until it is repaired, it loses the bytes of earlier connections, like a
// router that has forgotten them, or like the way to a machine that is gone.
type relay struct {
	net.Listener
	broken   atomic.Bool
	replaced atomic.Bool // there is a connection that came later
}

func newRelay(tb testing.TB, to string) *relay {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &relay{Listener: listener}
	var running sync.WaitGroup
	tb.Cleanup(func() { listener.Close(); running.Wait() })
	running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				return
			}
			late := r.broken.Load()
			r.replaced.Store(late)
			running.Go(func() { r.pass(near, far, late) })
			running.Go(func() { r.pass(far, near, late) })
		}
	})
	return r
}

func (r *relay) pass(from, to net.Conn, late bool) {
	defer to.Close()
	buffer := make([]byte, 4<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if late || !r.broken.Load() {
			to.Write(buffer[:n])
		}
	}
}

// HTTP/2 gives up a request and keeps its connection. A connection may lead nowhere any more without anybody noticing.
// It must not fail all later requests until the system stops retransmitting.
func TestAConnectionThatLeadsNowhereIsGivenUp(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	relay := newRelay(t, s.Listener.Addr().String())
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	c := client(t, fetch.Options{CA: ca, Timeout: time.Second / 5})
	get := func() (response *fetch.Response, err error) {
		for range 150 { // a try that fails takes a fifth of a second; a busy machine needs more than one
			if response, err = c.Get(t.Context(), "https://"+relay.Addr().String(), "*/*", ""); err == nil {
				break
			}
		}
		return response, err
	}
	if response, err := get(); err != nil || string(response.Body) != "HTTP/2.0" {
		t.Fatalf("%+v, error %v", response, err)
	}
	relay.broken.Store(true)
	if _, err := get(); err != nil || !relay.replaced.Load() {
		t.Errorf("another connection: %v, error %v", relay.replaced.Load(), err)
	}
}

// A request may be given up at the moment when its client is closed. HTTP/2 keeps the connection of such a request.
// None of these connections may remain.
func TestCloseLeavesNoConnectionOfAbandonedRequests(t *testing.T) {
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			asked, closed := make(chan string, 1), make(chan struct{})
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				asked <- r.Proto
				<-r.Context().Done()
			}))
			s.EnableHTTP2 = protocol == "HTTP/2.0"
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateClosed {
					close(closed)
				}
			}
			s.StartTLS()
			t.Cleanup(s.Close)
			c := client(t, fetch.Options{CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})})
			ctx, giveUp := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				if _, err := c.Get(ctx, s.URL, "*/*", ""); err == nil {
					t.Error("an answer")
				}
			}()
			if got := <-asked; got != protocol {
				t.Errorf("asked by %s", got)
			}
			giveUp()
			c.Close()
			select {
			case <-closed:
			case <-time.After(10 * time.Second): // a third of what an idle connection is kept
				t.Error("the connection is still there")
			}
			<-done
			if _, err := c.Get(t.Context(), s.URL, "*/*", ""); err == nil {
				t.Error("a closed client has asked again")
			}
		})
	}
}
