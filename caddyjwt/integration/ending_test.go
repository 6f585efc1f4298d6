package integration

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// shortLived is a token of alice that expires soon, and the moment when it does. The gates of these tests have no
// leeway. A request has half a second to begin.
func shortLived(t testing.TB) (token string, expires time.Time) {
	expires = time.Now().Add(500 * time.Millisecond)
	return hmacKey(t).Sign(t, claims("exp", float64(expires.UnixMicro())/1e6)), expires
}

// notBefore wants something to have happened only after the token's time was over.
func notBefore(t testing.TB, expires time.Time) {
	t.Helper()
	if early := time.Until(expires); early > time.Millisecond {
		t.Errorf("%v too early", early)
	}
}

// open begins a request whose response goes on. The caller closes its body.
func (s *site) open(way way, r *http.Request, token string) *http.Response {
	s.t.Helper()
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := way.client.Do(r)
	if err != nil {
		s.unable("%v", err)
	}
	if response.StatusCode != http.StatusOK {
		s.t.Fatalf("status %d; %s", response.StatusCode, s.lastReason())
	}
	return response
}

// to makes a request by a protocol.
func (w way) to(t testing.TB, method, path string) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), method, strings.TrimSuffix(w.url, "/")+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// streams answers with the first part of a response of a type, and then waits for its end. gone gets a value when the
// backend sees that nobody wants the rest.
func streams(mediaType, first string) (answer http.HandlerFunc, gone chan struct{}) {
	gone = make(chan struct{}, 64)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", mediaType)
		_, _ = io.WriteString(w, first)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	}, gone
}

// arrives waits for something.
func arrives[T any](t testing.TB, what string, from <-chan T) (value T) {
	t.Helper()
	select {
	case value = <-from:
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
	}
	return value
}

func TestEventStreamEndsCleanlyWhenItsTokenExpires(t *testing.T) { eventStreamEnds(t, "end_at_expiry") }

func TestEventStreamEndsCleanlyAlsoByAll(t *testing.T) { eventStreamEnds(t, "end_at_expiry all") }

func eventStreamEnds(t *testing.T, word string) {
	s, ways := startEverywhere(t, gateFor(consumerAlice(t), "leeway 0s", word))
	var gone chan struct{}
	s.upstream.answer, gone = streams("text/event-stream", "data: 1\n\n")
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			s := s.in(t)
			token, expires := shortLived(t)
			response := s.open(way, way.to(t, http.MethodGet, "/events"), token)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			notBefore(t, expires)
			if err != nil || string(body) != "data: 1\n\n" {
				t.Errorf("read %q, %v; want the event and a clean end", body, err)
			}
			arrives(t, "the backend learns it", gone)
			again := way.to(t, http.MethodGet, "/events")
			again.Header.Set("Authorization", "Bearer "+token)
			refused, err := way.client.Do(again)
			if err != nil {
				t.Fatal(err)
			}
			defer refused.Body.Close()
			if refused.StatusCode != http.StatusUnauthorized {
				t.Errorf("status %d when the client comes back, want 401", refused.StatusCode)
			}
		})
	}
	if !s.logged(`"msg":"response ended"`, `"kind":"events"`, `"cause":"expired"`) ||
		!s.logged(`"logger":"http.log.access`, `"auth_ended":"expired"`) {
		t.Error("the log does not say that the response was ended")
	}
}

func TestDownloadIsCutOnlyByAll(t *testing.T) {
	s, ways := startEverywhere(t, gateFor(consumerAlice(t), "leeway 0s", "end_at_expiry all"))
	for _, way := range ways {
		t.Run("all by "+way.name, func(t *testing.T) {
			s := s.in(t)
			var gone chan struct{}
			s.upstream.answer, gone = streams("application/octet-stream", "half")
			token, expires := shortLived(t)
			response := s.open(way, way.to(t, http.MethodGet, "/file"), token)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			notBefore(t, expires)
			if err == nil {
				t.Errorf("read %q without an error: half of the file looks complete", body)
			}
			arrives(t, "the backend learns it", gone)
		})
	}
}

func TestDownloadGoesOnWithoutAll(t *testing.T) {
	for name, line := range map[string]string{"end_at_expiry": "end_at_expiry", "without the word": ""} {
		t.Run(name, func(t *testing.T) {
			s := start(t, gateFor(consumerAlice(t), "leeway 0s", line))
			token, expires := shortLived(t)
			s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "first ")
				_ = http.NewResponseController(w).Flush()
				<-time.After(time.Until(expires) + 100*time.Millisecond)
				_, _ = io.WriteString(w, "second")
			}
			if got := s.get("/file", token); got.body != "first second" {
				t.Errorf("read %q", got.body)
			}
			notBefore(t, expires)
		})
	}
}

func TestLongPollIsRefusedWhenItsTokenExpires(t *testing.T) {
	s, ways := startEverywhere(t, gateFor(consumerAlice(t), "leeway 0s", "end_at_expiry all"))
	s.upstream.answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	ways[0].client = s.onceOnly()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			token, expires := shortLived(t)
			r := way.to(t, http.MethodGet, "/poll")
			r.Header.Set("Authorization", "Bearer "+token)
			response, err := way.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			notBefore(t, expires)
			if challenge := response.Header.Get("WWW-Authenticate"); response.StatusCode != http.StatusUnauthorized ||
				!strings.Contains(challenge, `error="invalid_token"`) {
				t.Errorf("status %d, challenge %q", response.StatusCode, challenge)
			}
		})
		t.Run("a POST by "+way.name, func(t *testing.T) {
			token, expires := shortLived(t)
			r := way.to(t, http.MethodPost, "/order")
			r.Header.Set("Authorization", "Bearer "+token)
			response, err := way.client.Do(r)
			if err == nil {
				_ = response.Body.Close()
				t.Errorf("status %d: the backend may have carried it out, so it must not look refused", response.StatusCode)
			}
			notBefore(t, expires)
		})
	}
}

// onceOnly is a client that does not send a request again when its connection is cut.
func (s *site) onceOnly() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: s.dial, DisableKeepAlives: true}, Timeout: patience}
}

// tunnelled opens a WebSocket over HTTP/1.1. The backend echoes, and closes gone when its side of the tunnel ends.
func (s *site) tunnelled(token string) (conn net.Conn, reader *bufio.Reader) {
	s.t.Helper()
	raw, err := s.dial(s.t.Context(), "", "")
	if err != nil {
		s.unable("%v", err)
	}
	_ = raw.SetDeadline(deadline())
	_, _ = io.WriteString(raw, "GET /ws HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer "+token+
		"\r\n\r\n")
	reader = bufio.NewReader(raw)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		s.unable("%v", err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("status %d; %s", response.StatusCode, s.lastReason())
	}
	return raw, reader
}

// echoes switches protocols and sends back what comes. gone gets the error that ends it.
func echoes() (answer http.HandlerFunc, gone chan error) {
	gone = make(chan error, 64)
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			gone <- err
			return
		}
		defer conn.Close()
		_, err = io.Copy(conn, buffered)
		gone <- err
	}, gone
}

func TestWebSocketEndsWhenItsTokenExpires(t *testing.T) {
	for _, word := range []string{"end_at_expiry", "end_at_expiry all"} {
		t.Run(word, func(t *testing.T) {
			s := prepare(t)
			s.loadMeasured(gateFor(consumerAlice(t), "leeway 0s", word))
			before := s.scrape()
			answer, gone := echoes()
			s.upstream.answer = answer
			token, expires := shortLived(t)
			conn, reader := s.tunnelled(token)
			defer conn.Close()
			_, _ = io.WriteString(conn, "hello\n")
			if line, err := reader.ReadString('\n'); line != "hello\n" {
				t.Fatalf("read %q, %v", line, err)
			}
			_, err := reader.ReadByte()
			notBefore(t, expires)
			if !errors.Is(err, io.EOF) {
				t.Errorf("%v, want the end", err)
			}
			arrives(t, "the backend learns it", gone)
			s.tunnelsEnd()
			if s.logged(`"level":"error"`) {
				t.Error("the log has an error")
			}
			counted := s.scrape().since(before)[`responses_ended_total{cause="expired",kind="upgrade"}`]
			if counted != 1 {
				t.Errorf("counted %v ended upgrades, want 1", counted)
			}
		})
	}
}
