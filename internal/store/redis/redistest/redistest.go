// Package redistest starts Redis servers for tests. They listen on ports of their own, and end with the test.
package redistest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a server may take to do what a test needs.
const patience = 30 * time.Second

// Server is a redis-server, or a sentinel. Its methods end the test when something fails.
type Server struct {
	Dir  string // where it keeps its files
	Port string

	t        testing.TB
	binary   string
	args     []string
	password string // of the user "default"
	tls      *Certificates
	cmd      *exec.Cmd
	output   *buffer
}

// Installed skips the test where there is no redis-server.
func Installed(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed")
	}
}

// Start starts a server with further arguments, such as "--maxmemory", "2mb". It persists nothing unless they say so.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, nil, args)
}

// StartTLS starts a server that only speaks TLS.
func StartTLS(t testing.TB, certificates *Certificates, args ...string) *Server {
	t.Helper()
	return start(t, certificates, args)
}

func start(t testing.TB, certificates *Certificates, args []string) *Server {
	t.Helper()
	Installed(t)
	s := &Server{Dir: dir(t), Port: freePort(t), t: t, binary: "redis-server", tls: certificates}
	port := []string{"--port", s.Port}
	if certificates != nil {
		port = []string{"--port", "0", "--tls-port", s.Port, "--tls-cert-file", certificates.certFile,
			"--tls-key-file", certificates.keyFile, "--tls-ca-cert-file", certificates.certFile, "--tls-auth-clients", "no",
			"--tls-replication", "yes", "--tls-cluster", "yes"}
	}
	s.args = append(append(port, "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--daemonize", "no",
		"--loglevel", "notice", "--repl-diskless-sync-delay", "0"), args...)
	for i, arg := range args {
		if arg == "--requirepass" {
			s.password = args[i+1]
		}
	}
	s.launch()
	return s
}

// Replica starts a replica of a server, and waits until it has its data.
func (s *Server) Replica(args ...string) *Server {
	s.t.Helper()
	replica := start(s.t, s.tls, append([]string{"--replicaof", "127.0.0.1 " + s.Port}, args...))
	replica.Until("master_link_status:up", "INFO", "replication")
	// The primary may still keep back what is written.
	s.Do("SET", "redistest", "1")
	replica.Until("1", "GET", "redistest")
	s.Do("DEL", "redistest")
	replica.Until("0", "EXISTS", "redistest")
	return replica
}

// Sentinel starts a sentinel that alone decides about a failover. The name of the primary is "main". It waits for a
// minute before it replaces that, unless further lines of its configuration say otherwise.
func Sentinel(t testing.TB, primary *Server, lines ...string) *Server {
	t.Helper()
	if _, err := exec.LookPath("redis-sentinel"); err != nil {
		t.Skip("redis-sentinel is not installed")
	}
	s := &Server{Dir: dir(t), Port: freePort(t), t: t, binary: "redis-sentinel"}
	config := filepath.Join(s.Dir, "sentinel.conf")
	text := append([]string{
		"port " + s.Port, "bind 127.0.0.1", "dir " + s.Dir, "sentinel monitor main 127.0.0.1 " + primary.Port + " 1",
		"sentinel down-after-milliseconds main 60000", "sentinel failover-timeout main 2000",
	}, lines...)
	if err := os.WriteFile(config, []byte(strings.Join(text, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = []string{config}
	s.launch()
	return s
}

// dir is a directory with a short path: the path of a Unix socket must be short.
func dir(t testing.TB) string {
	t.Helper()
	path, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(path) })
	return path
}

func freePort(t testing.TB) string {
	t.Helper()
	var err error
	for range 100 {
		// Below the ports that systems give to outgoing connections: one of those could take it while the server is away. A
		// node of a cluster also takes the port that is 10,000 higher.
		port := strconv.Itoa(10_000 + rand.IntN(10_000)) //nolint:gosec // no secret
		var listener net.Listener
		if listener, err = new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:"+port); err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal(err)
	return ""
}

// launch starts the process, and waits until it answers.
func (s *Server) launch() {
	s.t.Helper()
	s.output = new(buffer)
	s.cmd = exec.CommandContext(context.Background(), s.binary, s.args...)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	endWithUs(s.cmd)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	cmd := s.cmd
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(patience); ; {
		answer, err := s.Try("PING")
		if err == nil && answer == "PONG" || err != nil && strings.HasPrefix(err.Error(), "NOAUTH") {
			return
		}
		if time.Now().After(end) || cmd.ProcessState != nil {
			s.t.Fatalf("%s does not start: %v\n%s", s.binary, err, s.output)
		}
	}
}

// Address is the host and the port.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", s.Port) }

// URL is the address for the store, with the password that "--requirepass" has set.
func (s *Server) URL() string {
	scheme, user := "redis://", ""
	if s.tls != nil {
		scheme = "rediss://"
	}
	if s.password != "" {
		user = ":" + s.password + "@"
	}
	return scheme + user + s.Address()
}

// Stop ends the process in an orderly way, as a restart of the service would. Restart starts it again.
func (s *Server) Stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatal(err)
	}
	_ = s.cmd.Wait()
}

// Kill ends the process as a crash would.
func (s *Server) Kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	_ = s.cmd.Wait()
}

// Restart starts the process again after Stop or Kill, with the same arguments and files.
func (s *Server) Restart() {
	s.t.Helper()
	s.launch()
}

// Flush deletes all that the server has.
func (s *Server) Flush() {
	s.t.Helper()
	s.Do("FLUSHALL")
}

// Do sends one command, and returns the answer as text: elements of arrays are lines.
func (s *Server) Do(words ...string) string {
	s.t.Helper()
	answer, err := s.Try(words...)
	if err != nil {
		s.t.Fatalf("%s: %v", strings.Join(words, " "), err)
	}
	return answer
}

// Until sends a command again and again until the answer has a text.
func (s *Server) Until(text string, words ...string) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; {
		answer, err := s.Try(words...)
		if err == nil && strings.Contains(answer, text) {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s never has %q: %q, %v\n%s", strings.Join(words, " "), text, answer, err, s.output)
		}
	}
}

// Try is Do with the error of the server, or of the network.
func (s *Server) Try(words ...string) (string, error) {
	dialer := &net.Dialer{Timeout: patience}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := s.dial(ctx, dialer)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	answers := bufio.NewReader(conn)
	if s.password != "" && words[0] != "AUTH" {
		if _, err := exchange(conn, answers, "AUTH", s.password); err != nil {
			return "", err
		}
	}
	return exchange(conn, answers, words...)
}

func (s *Server) dial(ctx context.Context, dialer *net.Dialer) (net.Conn, error) {
	if s.tls != nil {
		return s.tls.dial(ctx, dialer, s.Address())
	}
	return dialer.DialContext(ctx, "tcp", s.Address())
}

func exchange(conn io.Writer, answers *bufio.Reader, words ...string) (string, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := conn.Write(b.Bytes()); err != nil {
		return "", err
	}
	return answer(answers)
}

// answer reads one message of RESP2.
func answer(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	kind, text := line[0], strings.TrimRight(line[1:], "\r\n")
	var n int
	if kind == '$' || kind == '*' {
		if _, err := fmt.Sscan(text, &n); err != nil {
			return "", err
		}
	}
	switch {
	case kind == '-':
		return "", errors.New(text)
	case kind == '$' && n >= 0:
		content := make([]byte, n+2)
		_, err := io.ReadFull(r, content)
		return string(content[:n]), err
	case kind == '*':
		var lines []string
		for range n {
			one, err := answer(r)
			if err != nil {
				return "", err
			}
			lines = append(lines, one)
		}
		return strings.Join(lines, "\n"), nil
	case n < 0:
		return "", nil
	}
	return text, nil
}

// buffer is what a process has printed.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
