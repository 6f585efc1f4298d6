package integration

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// inTime has something begin with a token of alice that expires soon. If it comes too late because the machine is busy,
// it tries again with one that lives longer. The gates of these tests have no leeway.
func inTime(t testing.TB, begin func(token string, expires time.Time) (status int)) {
	t.Helper()
	for life := 300 * time.Millisecond; life < patience; life *= 2 {
		expires := time.Now().Add(life)
		token := hmacKey(t).Sign(t, claims("exp", float64(expires.UnixMicro())/1e6))
		if begin(token, expires) != http.StatusUnauthorized {
			return
		}
	}
	t.Fatal("too late each time")
}

// notBefore wants something to have happened only after the token's time was over.
func notBefore(t testing.TB, expires time.Time) {
	t.Helper()
	if early := time.Until(expires); early > time.Millisecond {
		t.Errorf("%v too early", early)
	}
}

// open begins a request whose response goes on until the token expires. The caller closes its body.
func (s *site) open(way way, method, path string) (response *http.Response, token string, expires time.Time) {
	s.t.Helper()
	inTime(s.t, func(short string, until time.Time) int {
		token, expires = short, until
		r := way.to(s.t, method, path)
		r.Header.Set("Authorization", "Bearer "+token)
		var err error
		if response, err = way.client.Do(r); err != nil {
			s.unable("%v", err)
		}
		if response.StatusCode == http.StatusUnauthorized {
			_ = response.Body.Close()
		}
		return response.StatusCode
	})
	if response.StatusCode/100 != 2 {
		s.t.Fatalf("status %d; %s", response.StatusCode, s.lastReason())
	}
	return response, token, expires
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
			response, token, expires := s.open(way, http.MethodGet, "/events")
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
			response, _, expires := s.open(way, http.MethodGet, "/file")
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
			over := make(chan struct{}, 1)
			s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, "first ")
				_ = http.NewResponseController(w).Flush()
				<-over
				_, _ = io.WriteString(w, "second")
			}
			response, _, expires := s.open(way{url: s.base + "/", client: s.client}, http.MethodGet, "/file")
			defer response.Body.Close()
			<-time.After(time.Until(expires) + 100*time.Millisecond)
			over <- struct{}{}
			if body, err := io.ReadAll(response.Body); string(body) != "first second" || err != nil {
				t.Errorf("read %q, %v", body, err)
			}
		})
	}
}

func TestLongPollIsRefusedWhenItsTokenExpires(t *testing.T) {
	s, ways := startEverywhere(t, gateFor(consumerAlice(t), "leeway 0s", "end_at_expiry all"))
	var arrived atomic.Int64
	s.upstream.answer = func(_ http.ResponseWriter, r *http.Request) {
		arrived.Add(1)
		<-r.Context().Done()
	}
	ways[0].client = s.onceOnly()
	poll := func(t *testing.T, way way, method string) (response *http.Response, err error) {
		inTime(t, func(token string, expires time.Time) int {
			before := arrived.Load()
			r := way.to(t, method, "/poll")
			r.Header.Set("Authorization", "Bearer "+token)
			response, err = way.client.Do(r)
			notBefore(t, expires)
			if arrived.Load() == before {
				return http.StatusUnauthorized // the gate has refused it at the beginning
			}
			return http.StatusOK
		})
		return response, err
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			response, err := poll(t, way, http.MethodGet)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if challenge := response.Header.Get("WWW-Authenticate"); response.StatusCode != http.StatusUnauthorized ||
				!strings.Contains(challenge, `error="invalid_token"`) {
				t.Errorf("status %d, challenge %q", response.StatusCode, challenge)
			}
		})
		t.Run("a POST by "+way.name, func(t *testing.T) {
			if response, err := poll(t, way, http.MethodPost); err == nil {
				_ = response.Body.Close()
				t.Errorf("status %d: the backend may have carried it out, so it must not look refused", response.StatusCode)
			}
		})
	}
}

// The first gate finds no token, and the second ends the request. Only that one refuses it.
func TestLongPollBehindTwoGates(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from cookie other", "optional")+"\n\t"+ending(t, "end_at_expiry all"))
	arrived := make(chan struct{}, 64)
	s.upstream.answer = func(_ http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-r.Context().Done()
	}
	inTime(t, func(token string, _ time.Time) int {
		response := s.get("/poll", token)
		if response.StatusCode != http.StatusUnauthorized {
			t.Errorf("status %d, want 401", response.StatusCode)
		}
		if len(arrived) == 0 {
			return http.StatusUnauthorized // refused at the beginning
		}
		return http.StatusOK
	})
	if n := strings.Count(s.log(), "the token expired before there was a response"); n == 0 {
		t.Error("the log does not say why")
	}
}

// onceOnly is a client that does not send a request again when its connection is cut.
func (s *site) onceOnly() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: s.dial, DisableKeepAlives: true}, Timeout: patience}
}

// tunnelled opens a WebSocket over HTTP/1.1 with a token that expires soon.
func (s *site) tunnelled() (conn net.Conn, reader *bufio.Reader, token string, expires time.Time) {
	s.t.Helper()
	status := 0
	inTime(s.t, func(short string, until time.Time) int {
		token, expires = short, until
		var response *http.Response
		conn, reader, response = s.begin("GET /ws HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade\r\n" +
			"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
			"Authorization: Bearer " + token + "\r\n\r\n")
		status = response.StatusCode
		return status
	})
	if status != http.StatusSwitchingProtocols {
		s.t.Fatalf("status %d; %s", status, s.lastReason())
	}
	return conn, reader, token, expires
}

// begin sends bytes on a connection of their own, and reads the header of the answer. The test closes the connection.
func (s *site) begin(request string) (net.Conn, *bufio.Reader, *http.Response) {
	s.t.Helper()
	conn, err := s.dial(s.t.Context(), "", "")
	if err != nil {
		s.unable("%v", err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(deadline())
	_, _ = io.WriteString(conn, request)
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	for err == nil && response.StatusCode == http.StatusEarlyHints {
		response, err = http.ReadResponse(reader, nil)
	}
	if err != nil {
		s.unable("%v", err)
	}
	return conn, reader, response
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
			conn, reader, _, expires := s.tunnelled()
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

// A configuration ends while its responses go on. They end as it has said, and leave nothing behind.
func TestManyResponsesEndAfterAReload(t *testing.T) {
	s := start(t, ending(t, "end_at_expiry"))
	answer, gone := streams("text/event-stream", "data: 1\n\n")
	s.upstream.answer = answer
	way := way{url: s.base + "/", client: s.client}
	end := func(response *http.Response) {
		arrives(t, "the backend is free", gone)
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Errorf("the end is not clean: %v", err)
		}
		_ = response.Body.Close()
	}
	response, _, _ := s.open(way, http.MethodGet, "/events")
	end(response)
	before := s.goroutines()
	var running []*http.Response
	for range 50 {
		response, _, _ := s.open(way, http.MethodGet, "/events")
		running = append(running, response)
	}
	s.load(gateFor(consumerAlice(t)))
	for _, response := range running {
		end(response)
	}
	s.goroutinesBackTo(before, 10)
}
