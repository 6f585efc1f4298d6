package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// server answers with a status, and counts.
func server(t *testing.T, handler http.HandlerFunc) (addr string) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestLoadCountsWhatWasAnswered(t *testing.T) {
	var seen atomic.Int64
	addr := server(t, func(w http.ResponseWriter, _ *http.Request) {
		seen.Add(1)
		_, _ = io.WriteString(w, "ok\n")
	})
	l, err := newLoad(addr, 3, requestsFor([]string{"a", "b"}), false, http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	out, err := l.run(time.Minute, 100)
	if err != nil {
		t.Fatal(err)
	}
	if out.requests != 100 || seen.Load() != 100 || len(out.latencies) != 100 {
		t.Errorf("%d requests and %d latencies counted, %d arrived; want 100 of each",
			out.requests, len(out.latencies), seen.Load())
	}
}

func TestColdLoadSendsEveryTokenOnce(t *testing.T) {
	tokens := make(chan string, 100)
	addr := server(t, func(_ http.ResponseWriter, r *http.Request) { tokens <- r.Header.Get("Authorization") })
	l, err := newLoad(addr, 4, requestsFor(strings.Split("abcdefghij", "")), true, http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	out, err := l.run(time.Minute, 1000)
	if err != nil {
		t.Fatal(err)
	}
	close(tokens)
	seen := make(map[string]bool)
	for token := range tokens {
		if seen[token] {
			t.Errorf("%s was sent twice", token)
		}
		seen[token] = true
	}
	if out.requests != 10 || len(seen) != 10 {
		t.Errorf("%d requests, %d tokens; want 10 of each", out.requests, len(seen))
	}
}

func TestLoadRefusesAnswersThatWereNotMeant(t *testing.T) {
	for name, answer := range map[string]string{
		"another status":            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
		"no length":                 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a body longer than said":   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
		"a length without a number": "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"a status without a number": "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
		"a head that does not end":  "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 20000),
		"something else":            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := newLoad(fixed(t, answer), 1, requestsFor([]string{"a"}), false, http.StatusOK)
			if err != nil {
				t.Fatal(err)
			}
			defer l.close()
			if out, err := l.run(time.Minute, 1); err == nil {
				t.Errorf("accepted: %+v", out)
			}
		})
	}
}

// fixed is a server that gives one answer to everything.
func fixed(t *testing.T, answer string) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.WriteString(conn, answer)
			}
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	return listener.Addr().String()
}

func TestAConnectionThatTheGatewayClosesIsMadeAnew(t *testing.T) {
	addr := server(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	l, err := newLoad(addr, 1, requestsFor([]string{"a"}), false, http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	out, err := l.run(time.Minute, 5)
	if err != nil || out.requests != 5 || out.reconnect != 5 {
		t.Errorf("%d requests, %d new connections, %v; want 5, 5", out.requests, out.reconnect, err)
	}
}

func TestBackendAnswersRequestsThatArriveInPieces(t *testing.T) {
	b, err := startBackend()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, piece := range []string{"GET / HTTP/1.1\r\nHo", "st: x\r\n\r", "\nGET / HTTP/1.1\r\n", "\r\n"} {
		if _, err := io.WriteString(conn, piece); err != nil {
			t.Fatal(err)
		}
	}
	answers := make([]byte, 2*len(backendAnswer))
	if _, err := io.ReadFull(conn, answers); err != nil || string(answers) != backendAnswer+backendAnswer {
		t.Errorf("%q, %v", answers, err)
	}
	if got := b.answers.Load(); got != 2 {
		t.Errorf("%d answers counted, want 2", got)
	}
}
