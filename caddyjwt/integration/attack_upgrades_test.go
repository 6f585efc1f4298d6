package integration

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A client upgrades the connection to HTTP/2 in clear text, or to TLS with HTTP inside (RFC 2817). What it sends
// afterwards would go to the backend past the gate: CVE-2026-88008, CVE-2022-41721. The offer does not reach the
// backend, with a token or without.
func TestAttackRouteUpgradeToHTTP(t *testing.T) {
	for _, line := range []string{"", "optional", "allow_preflight"} {
		s := start(t, gateFor(consumerAlice(t), line))
		s.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
			if offer := r.Header.Get("Upgrade"); offer != "" {
				w.Header().Set("Connection", "Upgrade")
				w.Header().Set("Upgrade", offer)
				w.WriteHeader(http.StatusSwitchingProtocols)
			}
		}
		token := hmacKey(t).Sign(t, claims())
		for name, text := range map[string]string{
			"h2c":              "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
			"H2C":              "Connection: upgrade\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
			"in a list":        "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
			"without settings": "Connection: Upgrade\r\nUpgrade: h2c\r\n",
			"h2":               "Connection: Upgrade\r\nUpgrade: h2\r\n",
			"HTTP/2.0":         "Connection: Upgrade\r\nUpgrade: HTTP/2.0\r\n",
			"TLS":              "Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n",
			"TLS alone":        "Connection: Upgrade\r\nUpgrade: tls/1.3\r\n",
			"HTTP, spaced":     "Connection: Upgrade\r\nUpgrade: foo , http /1.1\r\n",
			"two fields":       "Connection: Upgrade\r\nUpgrade: foo\r\nUpgrade: h2c\r\n",
		} {
			for who, authorization := range map[string]string{"with a token": "Authorization: Bearer " + token + "\r\n",
				"without a token": ""} {
				s.attack(t, name+" "+who+" "+line, func(t *testing.T, a *attempt) {
					a.secret(token)
					got := a.raw("GET / HTTP/1.1\r\nHost: gate.test\r\n" + authorization + text + "\r\n")
					if got.StatusCode == http.StatusSwitchingProtocols {
						t.Errorf("the connection was switched")
					}
					if authorization == "" && line != "optional" && got.StatusCode != http.StatusUnauthorized {
						t.Errorf("status %d, want 401", got.StatusCode)
					}
					for _, r := range a.upstream.take() {
						if r.Header["Upgrade"] != nil || r.Header["Http2-Settings"] != nil {
							t.Errorf("the offer reached the upstream: %v", r.Header)
						}
					}
				})
			}
		}
	}
}

// A WebSocket handshake is let through because it is "only an upgrade", or loses our headers to its Connection field.
// It needs a token like any other request, and the backend learns who it is.
func TestAttackRouteWebSocket(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	s.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
	}
	token := hmacKey(t).Sign(t, claims())
	handshake := "GET /ws?access_token=x HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade, X-Consumer-Username, " +
		"X-Consumer-ID\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	for name, text := range map[string]string{"without": "",
		"in the subprotocol": "Sec-WebSocket-Protocol: bearer, " + token + "\r\n",
		"as a cookie":        "Cookie: access_token=" + token + "\r\n"} {
		s.attack(t, name+" a token", func(t *testing.T, a *attempt) {
			a.refusedFor(a.raw(handshake+text+"\r\n"), "missing_token")
		})
	}
	s.attack(t, "with a token", func(t *testing.T, a *attempt) {
		a.secret(token)
		got := a.raw(handshake + "Authorization: Bearer " + token + "\r\nX-Consumer-Username: admin\r\n\r\n")
		if got.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("status %d, want 101", got.StatusCode)
		}
		requests := a.upstream.take()
		if len(requests) != 1 {
			t.Fatalf("%d requests reached the upstream, want 1", len(requests))
		}
		if name := requests[0].Header["X-Consumer-Username"]; len(name) != 1 || name[0] != "alice" ||
			requests[0].Header.Get("Authorization") != "" {
			t.Errorf("%v at the upstream", requests[0].Header)
		}
	})
}

// A browser cannot set headers for a WebSocket and sends the token in the URL, where it travels on and into logs. Where
// that place is configured, the token authenticates the handshake and goes no further.
func TestAttackRouteWebSocketWithATokenInTheURL(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from query access_token"))
	s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
	}
	token := hmacKey(t).Sign(t, claims())
	handshake := func(query, more string) string {
		return "GET /ws?a=1" + query +
			" HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade, X-Consumer-Username\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + more + "\r\n"
	}
	s.attack(t, "without one", func(t *testing.T, a *attempt) { a.refusedFor(a.raw(handshake("", "")), "missing_token") })
	s.attack(t, "in the subprotocol", func(t *testing.T, a *attempt) {
		a.refusedFor(a.raw(handshake("", "Sec-WebSocket-Protocol: bearer, "+token+"\r\n")), "missing_token")
	})
	s.attack(t, "a bad one", func(t *testing.T, a *attempt) {
		a.secret(token)
		a.refusedFor(a.raw(handshake("&access_token="+tokentest.FlipSignature(t, token), "")), "invalid_signature")
	})
	s.attack(t, "a good one", func(t *testing.T, a *attempt) {
		a.secret(token)
		if got := a.raw(handshake("&access_token="+token,
			"X-Consumer-Username: admin\r\n")); got.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("status %d, want 101", got.StatusCode)
		}
		requests := a.upstream.take()
		if len(requests) != 1 {
			t.Fatalf("%d requests reached the upstream, want 1", len(requests))
		}
		a.untouched(requests[0], asConsumer)
		if requests[0].URI != "/ws?a=1" || strings.Contains(fmt.Sprint(requests[0]), pieces(token)[0]) {
			t.Errorf("%v at the upstream", requests[0])
		}
	})
}

// Two requests come over one connection, and the second has no token. A gateway that keeps identity by connection lets
// it pass as the first one's user (class of CVE-2026-88007). So does a gateway that leaves a body unread.
func TestAttackRouteConnectionIsReused(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t)))
	token := hmacKey(t).Sign(t, claims())
	good := "Authorization: Bearer " + token + "\r\n"
	for name, test := range map[string]struct {
		requests string
		want     []int
	}{
		"second without a token": {"GET /1 HTTP/1.1\r\nHost: gate.test\r\n" + good +
			"\r\nGET /2 HTTP/1.1\r\nHost: gate.test\r\n\r\n", []int{200, 401}},
		"first without a token": {"GET /1 HTTP/1.1\r\nHost: gate.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: gate.test\r\n" + good +
			"\r\n", []int{401, 200}},
		"second in a refused body": {"POST /1 HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 41\r\n\r\nGET /smuggled " +
			"HTTP/1.1\r\nHost: gate.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: gate.test\r\n" + good + "\r\n",
			[]int{401, 200}},
		"second in a chunked body": {"POST /1 HTTP/1.1\r\nHost: gate.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET " +
			"/\r\n0\r\n\r\nGET /2 HTTP/1.1\r\nHost: gate.test\r\n\r\n", []int{401, 401}},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			conn, err := a.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(deadline())
			_, _ = io.WriteString(conn, test.requests)
			reader := bufio.NewReader(conn)
			for i, want := range test.want {
				response, err := http.ReadResponse(reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != want {
					t.Errorf("request %d: status %d, want %d", i+1, response.StatusCode, want)
				}
			}
			for _, r := range a.upstream.take() {
				if r.Header.Get("X-Consumer-Username") != "alice" || strings.Contains(r.URI, "smuggled") {
					t.Errorf("%s of %q at the upstream", r.URI, r.Header.Get("X-Consumer-Username"))
				}
			}
		})
	}
	for name, text := range map[string]string{
		"length and chunked": "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
		"two lengths": "Content-Length: 0\r\nContent-Length: 44\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: gate.test\r\n" +
			"\r\n",
		"chunked, xchunked":   "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"chunked twice":       "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"negative length":     "Content-Length: -1\r\n\r\n",
		"length with a plus":  "Content-Length: +5\r\n\r\nhello",
		"hexadecimal length":  "Content-Length: 0x5\r\n\r\nhello",
		"chunk size overflow": "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			_ = a.raw("POST / HTTP/1.1\r\nHost: gate.test\r\n" + text)
			if requests := a.upstream.take(); len(requests) != 0 {
				t.Errorf("reached the upstream: %v", requests)
			}
		})
	}
}
