package integration

import (
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2 has it
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// opensWebSockets makes the upstream open WebSockets, and send back what arrives. choose is the subprotocol that it
// chooses; nil chooses none. Other requests are answered with "ok".
func (u *upstream) opensWebSockets(choose func(offered []string) string) {
	u.answer = func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			_, _ = io.WriteString(w, "ok")
			return
		}
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") +
			"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
		answer := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
			base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
		var offered []string
		for _, line := range r.Header["Sec-Websocket-Protocol"] {
			for protocol := range strings.SplitSeq(line, ",") {
				offered = append(offered, strings.TrimSpace(protocol))
			}
		}
		if choose != nil {
			if protocol := choose(offered); protocol != "" {
				answer += "Sec-WebSocket-Protocol: " + protocol + "\r\n"
			}
		}
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, answer+"\r\n"); err == nil {
			_, _ = io.Copy(conn, buffered)
		}
	}
}

// opening is a WebSocket handshake in HTTP/1.1 with these further header lines.
func opening(path string, lines ...string) string {
	lines = append([]string{"GET " + path + " HTTP/1.1", "Host: gate.test", "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}, lines...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// offering is the line with these subprotocols.
func offering(protocols ...string) string {
	return "Sec-WebSocket-Protocol: " + strings.Join(protocols, ", ")
}

// openWebSocket wants a WebSocket to open and to work. It gives the subprotocol in the answer, and what the upstream
// got.
func (s *site) openWebSocket(t *testing.T, handshake string) (chosen string, at seen) {
	t.Helper()
	conn, reader, response := s.begin(handshake)
	defer func() { _ = conn.Close() }()
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d, want 101; the log says %s", response.StatusCode, s.lastReason())
	}
	const frame = "\x81\x84abcd\x11\x0b\x0d\x03" // a masked text of four bytes
	back := make([]byte, len(frame))
	if _, err := io.WriteString(conn, frame); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(reader, back); err != nil || string(back) != frame {
		t.Fatalf("%q came back, %v", back, err)
	}
	requests := s.upstream.take()
	if len(requests) != 1 {
		t.Fatalf("%d requests reached the upstream", len(requests))
	}
	if values := response.Header["Sec-Websocket-Protocol"]; len(values) > 1 {
		t.Errorf("the answer has several subprotocols: %q", values)
	}
	return response.Header.Get("Sec-WebSocket-Protocol"), requests[0]
}

// connects opens a tunnel by CONNECT with ":protocol websocket" (RFC 8441), and with this header field.
type connects func(name, value string, body io.ReadCloser) *http.Response

// connectsOverHTTP3 needs the ways of startEverywhere.
func (s *site) connectsOverHTTP3(ways []way) connects {
	s.t.Helper()
	if len(ways) < 3 {
		s.t.Skip("no HTTP/3 with the race detector")
	}
	return func(name, value string, body io.ReadCloser) *http.Response {
		r := ways[2].to(s.t, http.MethodConnect, "/ws")
		r.Proto, r.Body = "websocket", body
		r.Header.Set(name, value)
		response, err := ways[2].client.Transport.RoundTrip(r)
		if err != nil {
			s.unable("%v", err)
		}
		return response
	}
}

// takesTunnelsOverHTTP2 reports whether Go's server takes these tunnels over HTTP/2. It does so only if the process
// begins with a variable. Otherwise the test runs in a process that does, where so many tests must pass.
func takesTunnelsOverHTTP2(t *testing.T, passes int) bool {
	t.Helper()
	const variable = "GODEBUG=http2xconnect=1"
	if slices.Contains(os.Environ(), variable) {
		return true
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), variable)
	if text, err := command.CombinedOutput(); err != nil || strings.Count(string(text), "--- PASS") != passes {
		t.Errorf("%v\n%s", err, text)
	}
	return false
}

// connectsOverHTTP2 loads the gate again, on a server that also takes HTTP/2 in clear.
func (s *site) connectsOverHTTP2(gate string) connects {
	s.t.Helper()
	s.loadFile(bothProtocols(s.caddyfile(gate)))
	client := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, _, _ string,
		_ *tls.Config) (net.Conn, error) {
		return s.dial(ctx, "", "")
	}}
	return func(name, value string, body io.ReadCloser) *http.Response {
		r := s.request(http.MethodConnect, "/ws", body, ":protocol", "websocket", name, value)
		response, err := client.RoundTrip(r)
		if err != nil {
			s.unable("%v", err)
		}
		return response
	}
}
