package keyset_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// server is an authorization server without a network, for tests of time.
type server struct {
	mu      sync.Mutex
	body    string
	header  http.Header
	err     error
	latency time.Duration
	asked   []time.Time
}

func (s *server) get(ctx context.Context, _, _, _ string) (*fetch.Response, error) {
	s.mu.Lock()
	s.asked = append(s.asked, time.Now())
	body := s.body
	response, err, latency := &fetch.Response{Status: 200, Body: []byte(body), Header: s.header.Clone()}, s.err, s.latency
	s.mu.Unlock()
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if body == "panic" {
		panic("the parser has met something new")
	}
	return response, err
}

func (s *server) set(change func(*server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *server) fetches() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// intervals are the times between fetches.
func (s *server) intervals() (between []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 1; i < len(s.asked); i++ {
		between = append(between, s.asked[i].Sub(s.asked[i-1]))
	}
	return between
}

var errDown = errors.New("connection refused")

// near reports whether a duration is the wanted one give or take a tenth.
func near(got, want time.Duration) bool {
	return got >= want-want/10 && got <= want+want/10
}

// inBubble runs a test in a bubble of its own time, with a source of one key, "one", behind a server.
func inBubble(
	t *testing.T, timing keyset.Timing, test func(t *testing.T, s *server, source *keyset.Remote, events *observed),
) {
	t.Helper()
	body := tokentest.JWKS(tokentest.NewKey(t, "ES256", "one"))
	synctest.Test(t, func(t *testing.T) {
		s := &server{body: body, header: http.Header{}}
		source, err := keyset.NewRemote(keyset.RemoteOptions{URL: "https://as.example.com/jwks", Timing: timing}.With(s.get))
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		events := new(observed)
		source.SetObserver(events.add)
		test(t, s, source, events)
	})
}

func find(t *testing.T, source keyset.Source, kid string) error {
	t.Helper()
	_, err := source.Find(t.Context(), jose.ES256, kid)
	return err
}
