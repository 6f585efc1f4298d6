package integration

import (
	"io"
	"net/http"
	"slices"
	"testing"
)

const kubernetesMarker = "base64url.bearer.authorization.k8s.io."

// first chooses the first subprotocol that is offered.
func first(offered []string) string {
	if len(offered) == 0 {
		return ""
	}
	return offered[0]
}

// chat chooses the subprotocol that it knows, if it is offered.
func chat(offered []string) string {
	if slices.Contains(offered, "chat") {
		return "chat"
	}
	return ""
}

// The token of a page's WebSocket is a subprotocol. It opens the gate, and goes no further.
func TestTokenInASubprotocol(t *testing.T) {
	token := hmacKey(t).Sign(t, claims())
	kubernetes := kubernetesMarker + b64(token)
	for name, c := range map[string]struct {
		lines  []string // of the gate
		offer  []string
		choose func([]string) string
		left   []string // at the backend
		chosen string   // in the answer
	}{
		"only the token, and a backend without subprotocols": {nil, []string{"bearer", token}, nil, nil, "bearer"},
		"a backend that chooses another": {nil, []string{"bearer", token, "mqtt", "chat"}, chat,
			[]string{"mqtt, chat"}, "chat"},
		"a backend that chooses the first": {nil, []string{"mqtt", "bearer", token, "chat"}, first,
			[]string{"mqtt, chat"}, "mqtt"},
		"a backend that chooses none of the others": {nil, []string{"mqtt", "bearer", token}, chat,
			[]string{"mqtt"}, "bearer"},
		"another marker": {[]string{"token_from websocket_protocol access_token"},
			[]string{"access_token", token, "chat"}, chat, []string{"chat"}, "chat"},
		"as Kubernetes has it": {[]string{"token_from websocket_protocol " + kubernetesMarker},
			[]string{kubernetes, "chat"}, chat, []string{"chat"}, "chat"},
		"one of two markers": {[]string{"token_from websocket_protocol",
			"token_from websocket_protocol " + kubernetesMarker},
			[]string{"chat", kubernetes}, nil, []string{"chat"}, ""},
		"forwarded, and chosen by the backend": {[]string{"token_from websocket_protocol", "forward_token"},
			[]string{"bearer", token}, func(o []string) string { return o[1] }, []string{"bearer, " + token}, "bearer"},
		"with end_at_expiry and cors": {[]string{"token_from websocket_protocol", "end_at_expiry",
			"cors {\n origins https://www.example\n}"}, []string{"bearer", token}, nil, nil, "bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			lines := c.lines
			if lines == nil {
				lines = []string{"token_from websocket_protocol"}
			}
			s := start(t, gateFor(append(lines, consumerAlice(t))...))
			s.upstream.opensWebSockets(c.choose)
			chosen, at := s.openWebSocket(t, opening("/ws", offering(c.offer...), "X-Consumer-Username: admin"))
			if chosen != c.chosen {
				t.Errorf("the answer has %q, want %q", chosen, c.chosen)
			}
			if left := at.Header["Sec-Websocket-Protocol"]; !slices.Equal(left, c.left) {
				t.Errorf("the backend got %q, want %q", left, c.left)
			}
			if user := at.Header["X-Consumer-Username"]; !slices.Equal(user, []string{"alice"}) {
				t.Errorf("the backend got the user %q", user)
			}
		})
	}
}

// A gate with the word still takes tokens from its other places, and passes on subprotocols that are no marker.
func TestSubprotocolsWithoutAToken(t *testing.T) {
	token := hmacKey(t).Sign(t, claims())
	s := start(t, gateFor(consumerAlice(t), "token_from header Authorization", "token_from websocket_protocol"))
	s.upstream.opensWebSockets(chat)
	chosen, at := s.openWebSocket(t, opening("/ws", "Authorization: Bearer "+token, offering("mqtt", "chat")))
	if got := at.Header["Sec-Websocket-Protocol"]; chosen != "chat" || !slices.Equal(got, []string{"mqtt, chat"}) {
		t.Errorf("chosen %q of %q", chosen, got)
	}
	s.upstream.opensWebSockets(nil)
	if chosen, _ = s.openWebSocket(t, opening("/ws", "Authorization: Bearer "+token, offering("mqtt"))); chosen != "" {
		t.Errorf("the gate has chosen %q", chosen)
	}
	s.refused(s.raw(opening("/ws", offering("mqtt", "chat"))), http.StatusUnauthorized, "missing_token")
	s.refused(s.raw(opening("/ws", offering("access_token", token))), http.StatusUnauthorized, "missing_token")
	if !s.logged("the subprotocol access_token of a WebSocket") {
		t.Error("the log does not say where the client has a token")
	}
	s.passed(s.get("/", token))
}

// On a public path nobody judges the token. The backend does not get it, and the page's WebSocket opens all the same.
func TestSubprotocolsOnAPublicPath(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), "token_from websocket_protocol", "public /lobby"))
	s.upstream.opensWebSockets(nil)
	chosen, at := s.openWebSocket(t, opening("/lobby", offering("bearer", "no-token-at-all", "chat")))
	if got := at.Header["Sec-Websocket-Protocol"]; chosen != "bearer" || !slices.Equal(got, []string{"chat"}) {
		t.Errorf("chosen %q, left %q", chosen, got)
	}
}

// Over HTTP/2 and HTTP/3 a WebSocket is opened by CONNECT (RFC 8441, RFC 9220), and answered with 200.
func TestTokenInASubprotocolOverHTTP3(t *testing.T) {
	s, ways := startEverywhere(t, gateFor(consumerAlice(t), "token_from websocket_protocol"))
	connectWithSubprotocols(t, s, s.connectsOverHTTP3(ways))
}

func TestTokenInASubprotocolOverHTTP2(t *testing.T) {
	if !takesTunnelsOverHTTP2(t, 1) {
		return
	}
	gate := gateFor(consumerAlice(t), "token_from websocket_protocol")
	s := start(t, gate)
	connectWithSubprotocols(t, s, s.connectsOverHTTP2(gate))
}

func connectWithSubprotocols(t *testing.T, s *site, connect connects) {
	t.Helper()
	token := hmacKey(t).Sign(t, claims())
	for offer, want := range map[string]struct {
		status int
		chosen string
		left   []string
	}{
		"bearer, " + token:                       {200, "bearer", nil},
		"mqtt, bearer, " + token + ", chat":      {200, "chat", []string{"mqtt, chat"}},
		"bearer":                                 {400, "", nil},
		"bearer, " + token[:len(token)-4] + "AA": {401, "", nil},
		"chat":                                   {401, "", nil},
	} {
		s.upstream.opensWebSockets(chat)
		body, sends := io.Pipe()
		response := connect("Sec-WebSocket-Protocol", offer, body)
		_ = sends.Close()
		_ = response.Body.Close()
		if response.StatusCode != want.status || response.Header.Get("Sec-WebSocket-Protocol") != want.chosen {
			t.Errorf("%.20s: %d and %q, want %d and %q; %s", offer, response.StatusCode,
				response.Header["Sec-Websocket-Protocol"], want.status, want.chosen, s.lastReason())
		}
		requests := s.upstream.take()
		if len(requests) != 0 != (want.status == 200) {
			t.Fatalf("%.20s: %d requests at the backend", offer, len(requests))
		}
		for _, r := range requests {
			if got := r.Header["Sec-Websocket-Protocol"]; !slices.Equal(got, want.left) {
				t.Errorf("%.20s: the backend got %q, want %q", offer, got, want.left)
			}
		}
	}
}
