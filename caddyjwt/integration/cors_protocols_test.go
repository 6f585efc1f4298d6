package integration

import (
	"net/http"
	"strings"
	"testing"
)

// With cors, upgrades and streams work as without it: the writer hides nothing that the server's own writer can do.
func TestCORSBesideUpgradesAndStreams(t *testing.T) {
	s := start(t, gateFor(consumerAlice(t), corsBlock()))
	token := hmacKey(t).Sign(t, claims())
	s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.WriteHeader(http.StatusSwitchingProtocols)
	}
	got := s.raw("GET / HTTP/1.1\r\nHost: gate.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: " + stranger +
		"\r\nAuthorization: Bearer " + token + "\r\n\r\n")
	if got.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("status %d, want 101", got.StatusCode)
	}
	done := make(chan struct{})
	defer close(done)
	s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-done // the answer does not end while the test reads
	}
	r := s.request(http.MethodGet, "/", nil, "Origin", friend, "Authorization", "Bearer "+token)
	response, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	s.readable(answer{response, ""}, friend, true)
}

// Every protocol has the same fields, and the same preflights.
func TestCORSByEveryProtocol(t *testing.T) {
	s, ways := startEverywhere(t, gateFor(consumerAlice(t), corsBlock()))
	for _, way := range ways {
		sub := s.in(t)
		sub.client, sub.base = way.client, strings.TrimSuffix(way.url, "/")
		got := sub.get("/", "", "Origin", friend)
		if got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: status %d", way.name, got.StatusCode)
		}
		sub.readable(got, friend, true)
		for origin, status := range map[string]int{friend: http.StatusNoContent, stranger: http.StatusForbidden} {
			got = sub.do(sub.request(http.MethodOptions, "/", nil, "Origin", origin, "Access-Control-Request-Method", "PUT",
				"Access-Control-Request-Headers", "authorization"))
			if got.StatusCode != status || strings.Contains(got.Header.Get("Access-Control-Allow-Origin"), stranger) {
				t.Errorf("%s: status %d, fields %v", way.name, got.StatusCode, got.Header)
			}
		}
		s.nothingForwarded()
	}
}
