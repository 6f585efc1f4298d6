package integration

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2 has it
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
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
	conn, err := s.dial(t.Context(), "", "")
	if err != nil {
		s.unable("%v", err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(deadline()); err != nil {
		s.unable("%v", err)
	}
	if _, err := io.WriteString(conn, handshake); err != nil {
		s.unable("%v", err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodGet})
	if err != nil {
		s.unable("%v", err)
	}
	_ = response.Body.Close()
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
