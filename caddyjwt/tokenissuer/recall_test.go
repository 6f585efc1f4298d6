package tokenissuer

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A client whose secret was right before a reload goes on after it, whatever others at its address guess meanwhile.
func TestASecretIsRememberedOverAReload(t *testing.T) {
	s := newServer(t)
	lines := []string{"default_audience https://gate.test", "client batch {\nsecret_hash " + hash + "\n}"}
	s.runs("https://gate.test", lines...)
	form := func(secret string) url.Values {
		return url.Values{"grant_type": {"client_credentials"}, "client_id": {"batch"}, "client_secret": {secret}}
	}
	s.asClient(200, form("secret"))
	for guess := "x"; ; guess += "x" {
		if status := s.asks(form(guess)); status == http.StatusTooManyRequests {
			break
		} else if status != http.StatusUnauthorized || len(guess) > 100 {
			t.Fatalf("guess %d: status %d", len(guess), status)
		}
	}
	s.reloads("https://gate.test", append(lines, "client another {\nsecret_hash "+hash+"\n}")...)
	if status := s.asks(form("secret")); status != http.StatusOK {
		t.Errorf("status %d after the reload", status)
	}
}

// asks sends a form to the token endpoint. It tries again if there is no answer: the server from before a reload may
// accept a connection once more, and close it.
func (s *server) asks(form url.Values) int {
	s.t.Helper()
	for {
		s.client.CloseIdleConnections()
		r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://gate.test/oauth2/token",
			strings.NewReader(form.Encode()))
		if err != nil {
			s.t.Fatal(err)
		}
		r.Header.Set("Content-Type", asForm)
		response, err := s.client.Do(r)
		if err == nil {
			_ = response.Body.Close()
			return response.StatusCode
		}
		if s.t.Context().Err() != nil {
			s.t.Fatal(err)
		}
	}
}
