package redistest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Fake is a server that answers what a test wants it to.
type Fake struct {
	listener net.Listener
	answer   func(words []string) string
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	all      sync.WaitGroup
}

// NewFake starts a server on this machine. The function gets each command and returns the bytes of the answer; Hangup
// closes the connection. It ends with the test.
func NewFake(t testing.TB, answer func(words []string) string) *Fake {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Fake{listener: listener, answer: answer, conns: make(map[net.Conn]struct{})}
	f.all.Go(f.serve)
	t.Cleanup(f.close)
	return f
}

// Hangup is the answer that closes the connection.
const Hangup = "hang up"

// Hello is a good answer to HELLO: that of a server with a version, of a mode and a role.
func Hello(version, mode, role string) string {
	words := []string{"server", "redis", "version", version, "proto", "2", "mode", mode, "role", role}
	return Array(words...)
}

// Array is an array of texts.
func Array(words ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	return b.String()
}

// Address is the host and the port.
func (f *Fake) Address() string { return f.listener.Addr().String() }

func (f *Fake) close() {
	_ = f.listener.Close()
	f.mu.Lock()
	for conn := range f.conns {
		_ = conn.Close()
	}
	f.conns = nil
	f.mu.Unlock()
	f.all.Wait()
}

func (f *Fake) serve() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		if f.conns == nil {
			_ = conn.Close()
		} else {
			f.conns[conn] = struct{}{}
			f.all.Go(func() { f.converse(conn) })
		}
		f.mu.Unlock()
	}
}

func (f *Fake) converse(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		f.mu.Lock()
		delete(f.conns, conn)
		f.mu.Unlock()
	}()
	for r := bufio.NewReader(conn); ; {
		words, err := command(r)
		if err != nil {
			return
		}
		answer := f.answer(words)
		if answer == Hangup {
			return
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return
		}
	}
}

// command reads one command, as clients write them.
func command(r *bufio.Reader) ([]string, error) {
	count, err := length(r)
	if err != nil {
		return nil, err
	}
	words := make([]string, count)
	for i := range words {
		size, err := length(r)
		if err != nil {
			return nil, err
		}
		text := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		words[i] = string(text[:size])
	}
	return words, nil
}

func length(r *bufio.Reader) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}
