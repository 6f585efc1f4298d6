package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ending is a gate that ends responses, by a word. Its tokens have no leeway.
func ending(t testing.TB, word string) string { return gateFor(consumerAlice(t), "leeway 0s", word) }

// A client does not read, so the handler that writes to it waits for ever, and with it the backend. The end of the
// token must free both.
func TestAttackEndingStreamThatNobodyReads(t *testing.T) {
	nobodyReads(t, "end_at_expiry", "text/event-stream")
}

// The same with a download.
func TestAttackEndingDownloadThatNobodyReads(t *testing.T) {
	nobodyReads(t, "end_at_expiry all", "application/octet-stream")
}

func nobodyReads(t *testing.T, word, mediaType string) {
	s, ways := startEverywhere(t, ending(t, word))
	gone := make(chan struct{}, 8)
	s.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		block := []byte(strings.Repeat("data: 0123456789\n\n", 1000))
		for {
			if _, err := w.Write(block); err != nil {
				gone <- struct{}{}
				return
			}
		}
	}
	for _, way := range ways {
		s.attack(t, way.name, func(t *testing.T, a *attempt) {
			response, token, expires := a.open(way, http.MethodGet, "/")
			a.secret(token)
			defer response.Body.Close()
			arrives(t, "the backend is free", gone)
			notBefore(t, expires)
			eventually(t, "the gate has ended the response", func() bool {
				return strings.Contains(a.since(), `"auth_ended":"expired"`)
			})
			_, _ = io.Copy(io.Discard, response.Body) // what was under way: it must end
		})
	}
}

// A client reads as slowly as it can, to get all of a file with one token. It gets no more than what was on its way.
func TestAttackEndingDownloadThatTrickles(t *testing.T) {
	s := start(t, ending(t, "end_at_expiry all"))
	const whole = 64 << 20
	s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(whole))
		_, _ = io.Copy(w, io.LimitReader(zeros{}, whole))
	}
	s.attack(t, "a few bytes at a time", func(t *testing.T, a *attempt) {
		var reader *bufio.Reader
		var expires time.Time
		inTime(t, func(token string, until time.Time) int {
			a.secret(token)
			expires = until
			var response *http.Response
			_, reader, response = a.begin("GET / HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer " + token + "\r\n\r\n")
			return response.StatusCode
		})
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		got, piece := 0, make([]byte, 100)
		for time.Now().Before(expires.Add(10 * time.Millisecond)) {
			n, err := reader.Read(piece)
			if got += n; err != nil {
				t.Fatalf("ended early, after %d bytes: %v", got, err)
			}
			<-tick.C
		}
		rest, err := io.Copy(io.Discard, reader)
		if got += int(rest); got >= whole/2 {
			t.Errorf("got %d bytes of %d, %v", got, whole, err)
		}
	})
}

// A client keeps the tunnel busy: what it sends after the end must not reach the backend. Or it ends its own direction
// first, so that a proxy waits for the other one alone.
func TestAttackEndingTunnelsThatGoOn(t *testing.T) {
	for _, word := range []string{"end_at_expiry", "end_at_expiry all"} {
		s := start(t, ending(t, word))
		last := make(chan time.Time, 8)
		s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "websocket")
			w.WriteHeader(http.StatusSwitchingProtocols)
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			defer conn.Close()
			received := time.Now()
			_, _ = io.WriteString(conn, "open")
			piece := make([]byte, 1<<10)
			for {
				n, err := buffered.Read(piece)
				if n > 0 {
					received = time.Now()
				}
				if err != nil {
					break
				}
			}
			// A client that has ended its direction can still be answered, until the end.
			for {
				if _, err := conn.Write([]byte("x")); err != nil {
					last <- received
					return
				}
				<-time.After(time.Millisecond)
			}
		}
		s.attack(t, "sends without end, "+word, func(t *testing.T, a *attempt) {
			conn, _, token, expires := a.tunnelled()
			a.secret(token)
			for {
				if _, err := io.WriteString(conn, "ping"); err != nil {
					break
				}
			}
			notBefore(t, expires)
			if late := arrives(t, "the backend is free", last).Sub(expires); late > time.Minute {
				t.Errorf("the backend got something %v after the end", late)
			}
		})
		s.attack(t, "has nothing more to send, "+word, func(t *testing.T, a *attempt) {
			conn, reader, token, expires := a.tunnelled()
			a.secret(token)
			// Before net/http has given up the connection, it takes the end of one direction for a client that has left.
			if _, err := io.ReadFull(reader, make([]byte, len("open"))); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, reader); n == 0 {
				t.Errorf("got nothing through the half that is open: %v", err)
			}
			notBefore(t, expires)
			arrives(t, "the backend is free", last)
		})
		s.attack(t, "neither sends nor reads, "+word, func(t *testing.T, a *attempt) {
			_, _, token, expires := a.tunnelled()
			a.secret(token)
			arrives(t, "the backend is free", last)
			notBefore(t, expires)
		})
	}
}

// A backend or a client gives a stream another look, so that it is not taken for one.
func TestAttackEndingStreamsInDisguise(t *testing.T) {
	s := start(t, "encode\n\t"+ending(t, "end_at_expiry"))
	for name, test := range map[string]struct {
		first   func(w http.ResponseWriter)
		request string
	}{
		"in capitals":      {typed("TEXT/EVENT-STREAM"), ""},
		"with a parameter": {typed("text/event-stream;charset=UTF-8"), ""},
		"with a tab":       {typed("\ttext/event-stream"), ""},
		"two types": {func(w http.ResponseWriter) {
			w.Header()["Content-Type"] = []string{"text/plain", "text/event-stream"}
		}, ""},
		"after a hint": {func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusEarlyHints)
			typed("text/event-stream")(w)
		}, ""},
		"as an error": {func(w http.ResponseWriter) {
			typed("text/event-stream")(w)
			w.WriteHeader(http.StatusTeapot)
		}, ""},
		"as an answer to an upgrade": {typed("text/event-stream"), "Connection: Upgrade\r\nUpgrade: websocket\r\n"},
		"compressed":                 {typed("text/event-stream"), "Accept-Encoding: gzip, zstd\r\n"},
	} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			gone := make(chan struct{}, 1)
			a.upstream.answer = func(w http.ResponseWriter, r *http.Request) {
				test.first(w)
				_, _ = io.WriteString(w, "data: 1\n\n")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				gone <- struct{}{}
			}
			var reader *bufio.Reader
			var response *http.Response
			var expires time.Time
			inTime(t, func(token string, until time.Time) int {
				a.secret(token)
				expires = until
				// A second request with the token waits on the connection. It must be judged for itself.
				_, reader, response = a.begin("GET / HTTP/1.1\r\nHost: gate.test\r\n" + test.request +
					"Authorization: Bearer " + token + "\r\n\r\nGET /second HTTP/1.1\r\nHost: gate.test\r\n" +
					"Authorization: Bearer " + token + "\r\n\r\n")
				return response.StatusCode
			})
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				t.Errorf("the end is not clean: %v", err)
			}
			notBefore(t, expires)
			arrives(t, "the backend is free", gone)
			response, err := http.ReadResponse(reader, nil)
			if err != nil || response.StatusCode != http.StatusUnauthorized {
				t.Errorf("the second request: %v, %v; want 401", response, err)
			}
		})
	}
}

func typed(mediaType string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { w.Header()["Content-Type"] = []string{mediaType} }
}

// Over HTTP/2 and HTTP/3 a WebSocket is a stream of its own (RFC 8441, RFC 9220), and no connection is handed over.
func TestAttackEndingExtendedConnect(t *testing.T) {
	s, ways := startEverywhere(t, ending(t, "end_at_expiry"))
	connectEnds(t, s, s.connectsOverHTTP3(ways))
}

func TestAttackEndingExtendedConnectOverHTTP2(t *testing.T) {
	if !takesTunnelsOverHTTP2(t, 3) {
		return
	}
	s := start(t, ending(t, "end_at_expiry"))
	connectEnds(t, s, s.connectsOverHTTP2(ending(t, "end_at_expiry")))
}

// connectEnds wants a tunnel to end with its token, whatever its client does.
func connectEnds(t *testing.T, s *site, connect connects) {
	answer, gone := echoes()
	s.upstream.answer = answer
	for name, reads := range map[string]bool{"a quiet client": true, "a client that sends and does not read": false} {
		s.attack(t, name, func(t *testing.T, a *attempt) {
			var sends *io.PipeWriter
			var response *http.Response
			var expires time.Time
			inTime(t, func(token string, until time.Time) int {
				a.secret(token)
				expires = until
				var body *io.PipeReader
				body, sends = io.Pipe()
				response = connect("Authorization", "Bearer "+token, body)
				return response.StatusCode
			})
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Fatalf("status %d; %s", response.StatusCode, a.lastReason())
			}
			if reads {
				_, _ = io.WriteString(sends, "hello\n")
				text, err := io.ReadAll(response.Body)
				if string(text) != "hello\n" {
					t.Errorf("read %q, %v", text, err)
				}
			} else {
				for {
					if _, err := io.WriteString(sends, strings.Repeat("hello\n", 1000)); err != nil {
						break
					}
				}
			}
			notBefore(t, expires)
			arrives(t, "the backend is free", gone)
			a.tunnelsEnd()
		})
	}
}
