package integration

import (
	"errors"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// traffic is requests at a steady rate in the background.
type traffic struct {
	stop chan struct{}
	done chan struct{}
	sent atomic.Int64

	mu   sync.Mutex
	bad  map[string]int // what came instead of 200, and how often
	slow time.Duration  // the longest that a good answer took
}

// send begins to send rate requests a second, each with a token of its own.
func (s *site) send(rate int, token func() string) *traffic {
	tr := &traffic{stop: make(chan struct{}), done: make(chan struct{}), bad: make(map[string]int)}
	go func() {
		defer close(tr.done)
		var requests sync.WaitGroup
		defer requests.Wait()
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for {
			select {
			case <-tr.stop:
				return
			case <-tick.C:
			}
			requests.Go(func() { tr.one(s, token()) })
		}
	}()
	return tr
}

func (tr *traffic) one(s *site, token string) {
	began := time.Now()
	status, err := s.status(token)
	took := time.Since(began)
	tr.sent.Add(1)
	tr.mu.Lock()
	defer tr.mu.Unlock()
	switch {
	case err != nil:
		tr.bad[err.Error()]++
	case status != http.StatusOK:
		tr.bad["status "+strconv.Itoa(status)]++
	default:
		tr.slow = max(tr.slow, took)
	}
}

// after waits until n more requests have been answered.
func (tr *traffic) after(t testing.TB, n int64) {
	t.Helper()
	until := tr.sent.Load() + n
	eventually(t, "requests are answered", func() bool { return tr.sent.Load() >= until })
}

// allPassed ends the traffic and wants every request to have passed.
func (tr *traffic) allPassed(t testing.TB) {
	t.Helper()
	close(tr.stop)
	<-tr.done
	t.Logf("%d requests, the slowest took %v", tr.sent.Load(), tr.slow)
	if len(tr.bad) > 0 {
		t.Errorf("good tokens did not pass: %v", tr.bad)
	}
}

// retryCut sends a request without a body again when its connection ends without an answer. A server of net/http that
// shuts down closes connections that it has just accepted, so a reload of Caddy may cut a new connection, with or
// without a gate. Go's client tries again by itself only on connections that it has used before. Every answer counts.
type retryCut struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (c retryCut) RoundTrip(r *http.Request) (response *http.Response, err error) {
	for range 5 {
		response, err = c.Transport.RoundTrip(r)
		if !isCut(err) || r.Body != nil && r.Body != http.NoBody {
			break
		}
	}
	return response, err
}

// isCut reports whether a connection has ended without an answer. The server may have closed an idle one at the moment
// when the client took it. Go's client has an error for that which it does not export.
func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		err != nil && strings.HasSuffix(err.Error(), "http: server closed idle connection")
}

// goroutines counts them after it has closed all connections between the client, Caddy and the upstream.
func (s *site) goroutines() int {
	s.t.Helper()
	s.client.CloseIdleConnections()
	s.upstream.CloseClientConnections()
	last, since := runtime.NumGoroutine(), time.Now()
	eventually(s.t, "the number of goroutines settles", func() bool {
		if now := runtime.NumGoroutine(); now != last {
			last, since = now, time.Now()
		}
		return time.Since(since) > 200*time.Millisecond
	})
	return last
}

// goroutinesBackTo waits until there are no more goroutines than at the start, give or take a few of Caddy's own.
func (s *site) goroutinesBackTo(start, slack int) {
	t := s.t
	t.Helper()
	s.client.CloseIdleConnections()
	s.upstream.CloseClientConnections()
	var now int
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if now = runtime.NumGoroutine(); now <= start+slack {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			t.Fatalf("%d goroutines, %d at the start\n%s", now, start, stacks)
		}
	}
}
