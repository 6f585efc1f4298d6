//go:build e2e && e2eall

package e2e_test

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 section 4.2.2 has it
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A page cannot set a header for a WebSocket, so it sends the token as a subprotocol. A browser fails the connection if
// it has offered subprotocols and the answer chooses none of them (RFC 6455 section 4.1).
func TestABrowserOpensAWebSocketWithAToken(t *testing.T) {
	offers := make(chan string, 1)
	w := newWeb(t, "token_from websocket_protocol\npublic /login", func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/socket" {
			offers <- strings.Join(r.Header["Sec-Websocket-Protocol"], "; ")
			greet(rw, r)
		}
	})
	good, expired := w.token(t, "", time.Hour), w.token(t, "", -time.Hour)
	w.gate.sent = nil // Caddy's own log has the field at level debug, as the manual says
	p := w.browser.open(t)
	p.visit(t, protected+"/login")
	w.reached()
	for _, test := range []struct {
		name, protocols string
		chosen          string // empty if the browser cannot connect
		offered         string // at the backend
	}{
		{"the token alone", fmt.Sprintf("['bearer', %q]", good), "bearer", ""},
		{"with a subprotocol of the application", fmt.Sprintf("['chat', 'bearer', %q]", good), "chat", "chat"},
		{"an expired token", fmt.Sprintf("['bearer', %q]", expired), "", ""},
		{"a marker without a token", "['bearer']", "", ""},
		{"no token", "['chat']", "", ""},
		{"nothing", "[]", "", ""},
	} {
		var got struct{ Protocol, Data string }
		p.run(t, fmt.Sprintf(`
			const socket = new WebSocket(%q, %s)
			return await new Promise((done) => {
				socket.onmessage = (m) => { done({ protocol: socket.protocol, data: m.data }); socket.close() }
				socket.onclose = () => done({})
			})`, strings.Replace(protected, "https", "wss", 1)+"/socket", test.protocols), &got)
		data, reached := "", ""
		if test.chosen != "" {
			data, reached = "hi", "GET /socket"
		}
		if got.Protocol != test.chosen || got.Data != data {
			t.Errorf("%s: the page has %+v, want %q", test.name, got, test.chosen)
		}
		if seen := w.reached(); seen != reached {
			t.Errorf("%s: the backend has seen %q", test.name, seen)
			continue
		}
		if reached != "" {
			if offered := <-offers; offered != test.offered {
				t.Errorf("%s: the backend was offered %q, want %q", test.name, offered, test.offered)
			}
		}
	}
}

// greet opens a WebSocket with the first subprotocol that is offered, if one is, and sends a text.
func greet(rw http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") +
		"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	answer := "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	if first, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ","); first != "" {
		answer += "Sec-WebSocket-Protocol: " + first + "\r\n"
	}
	conn, buffered, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, answer+"\r\n\x81\x02hi"); err == nil {
		_, _ = io.Copy(io.Discard, buffered) // until the page has closed it
	}
}
