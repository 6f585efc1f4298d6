package integration

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// pemSite takes tokens of an issuer whose key is in the configuration, and gives its visitors.
func pemSite(t *testing.T) (s *site, visitors []visitor) {
	const issuer = "https://pem.example.com"
	key := tokentest.NewKey(t, "ES256", "fault-pem")
	s = start(t, gateForAudience(issuerBlock(issuer, "keys jwks "+tokentest.NewAS(t, tokentest.WithKeys(key)).JWKSURL())))
	return s, jwts(t, key, issuer)
}

// Fifty clients send their requests one byte at a time. Each gets the answer that its token deserves, and nobody else
// waits.
func TestFaultClientsSendOneByteAtATime(t *testing.T) {
	long(t)
	s, visitors := pemSite(t)
	s.fault(visitors, func(*crowd) {
		var clients sync.WaitGroup
		defer clients.Wait()
		for i := range 50 {
			v := visitors[i%len(visitors)]
			clients.Go(func() {
				status, err := s.dribble(fmt.Sprintf("GET /slow HTTP/1.1\r\nHost: gate.test\r\n%s: %s\r\nAuthorization: Bearer "+
					"%s\r\n\r\n",
					markField, v.mark(), v.token()))
				if err != nil || !slices.Contains(v.may, status) {
					t.Errorf("%s, a byte at a time: status %d, %v, want %v", v.name, status, err, v.may)
				}
			})
		}
	})
}

// dribble sends a request with every byte in a write of its own, and reads the answer.
func (s *site) dribble(request string) (int, error) {
	conn, err := s.dial(s.t.Context(), "", "")
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for i := range len(request) {
		<-tick.C
		if _, err := io.WriteString(conn, request[i:i+1]); err != nil {
			return 0, err
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// Connections are upgraded through the gate and stay open. Clients without a good token get no upgrade. Some clients
// leave without a word, and some backends do.
func TestFaultWebSocketsUnderLoad(t *testing.T) {
	long(t)
	s, visitors := pemSite(t)
	s.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(w, "ok")
			return
		}
		echo(w, r)
	}
	s.fault(visitors, func(c *crowd) {
		ctx, stop := context.WithCancel(t.Context())
		var sockets sync.WaitGroup
		for i := range 40 {
			v := visitors[i%len(visitors)]
			sockets.Go(func() {
				if err := s.talk(ctx, v); err != nil {
					t.Errorf("%s: %v", v.name, err)
				}
			})
		}
		c.last(time.Second)
		stop()
		sockets.Wait()
	})
}

// echo upgrades a connection and sends back what comes over it, up to the first "q".
func echo(w http.ResponseWriter, _ *http.Request) {
	conn, stream, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	for {
		b, err := stream.ReadByte()
		if err != nil || b == 'q' {
			return
		}
		if _, err := conn.Write([]byte{b}); err != nil {
			return
		}
	}
}

// talk has a visitor ask for an upgrade. Whoever gets it says something and hears it again until the context ends.
func (s *site) talk(ctx context.Context, v visitor) error {
	conn, err := s.dial(ctx, "", "")
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: gate.test\r\n%s: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %s\r\n\r\n",
		markField, v.mark(), v.token())
	stream := bufio.NewReader(conn)
	response, err := http.ReadResponse(stream, nil)
	if err != nil {
		return err
	}
	if !v.good() {
		if !slices.Contains(v.may, response.StatusCode) {
			return fmt.Errorf("upgrade with a bad token: status %d, want %v", response.StatusCode, v.may)
		}
		return nil
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("upgrade with a good token: status %d", response.StatusCode)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			if rand.IntN(2) == 0 {
				_, _ = io.WriteString(conn, "q") // the backend leaves first
				_, _ = stream.ReadByte()
			}
			return nil
		case <-tick.C:
		}
		if _, err := conn.Write([]byte{'x'}); err != nil {
			return err
		}
		if b, err := stream.ReadByte(); err != nil || b != 'x' {
			return fmt.Errorf("said %q, heard %q: %w", 'x', b, err)
		}
	}
}

// Thousands of connections are open and silent: one in eight between two requests, the others in the middle of one. The
// gate serves everybody else as before, and frees everything when they leave.
func TestFaultThousandsOfIdleConnections(t *testing.T) {
	long(t)
	n := idleConnections(t)
	s, visitors := pemSite(t)
	before := s.atRest(visitors)
	conns := make([]net.Conn, n)
	leave := sync.OnceFunc(func() {
		for _, conn := range conns {
			if conn != nil {
				_ = conn.Close()
			}
		}
	})
	defer leave()
	began, good := time.Now(), visitors[0].token()
	var clients sync.WaitGroup
	const dialers = 16
	for d := range dialers {
		clients.Go(func() {
			for i := d; i < n; i += dialers {
				var err error
				if conns[i], err = s.idle(good, i%8 == 0); err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
			}
		})
	}
	clients.Wait()
	t.Logf("%d idle connections, opened in %v", n, time.Since(began).Round(time.Millisecond))
	c := s.gather(visitors)
	c.last(time.Second)
	c.home()
	for i := 0; i < n && !t.Failed(); i += 500 + 1 { // they are still there, each as it was left
		rest := "TTP/1.1\r\nHost: gate.test\r\n\r\n"
		if i%8 == 0 {
			rest = "GET / H" + rest
		}
		answer := make([]byte, 12)
		_ = conns[i].SetDeadline(deadline())
		_, _ = io.WriteString(conns[i], rest)
		if _, err := io.ReadFull(conns[i], answer); err != nil || string(answer) != "HTTP/1.1 401" {
			t.Errorf("connection %d: answer %q, %v: it must be alive, and must not remember that a token was good", i, answer,
				err)
		}
	}
	s.unharmed()
	leave()
	s.goroutinesBackTo(before, 10)
}

// idle opens a connection and leaves it: after a good token was let through on it, or with a request begun.
func (s *site) idle(token string, used bool) (net.Conn, error) {
	conn, err := s.dial(s.t.Context(), "", "")
	for errors.Is(err, syscall.EAGAIN) { // the queue of the listening socket is full
		runtime.Gosched()
		conn, err = s.dial(s.t.Context(), "", "")
	}
	if err != nil {
		return nil, err
	}
	if !used {
		_, err = io.WriteString(conn, "GET / H")
		return conn, err
	}
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: gate.test\r\n%s: good: idle\r\nAuthorization: Bearer %s\r\n\r\n", markField,
		token)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return conn, err
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return conn, fmt.Errorf("status %d", response.StatusCode)
	}
	return conn, nil
}

// idleConnections is how many to open: ten thousand, or what the limit of open files allows, both ends being in this
// process. The race detector ends a process with more than 8128 goroutines.
func idleConnections(t *testing.T) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	n := int(min(10_000, (limit.Cur-min(limit.Cur, 1500))/2))
	if info, ok := debug.ReadBuildInfo(); ok &&
		slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		n = min(n, 4000)
	}
	if testing.Short() {
		n = min(n, 2000)
	}
	if n < 2000 {
		t.Skipf("the limit of %d open files allows %d connections", limit.Cur, n)
	}
	return n
}
