package logout_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

const (
	issuer = "https://as.example"
	client = "gateway"
	event  = "http://schemas.openid.net/event/backchannel-logout"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type m = map[string]any

// says is the claims of a good logout token, with changes; nil removes a claim, and null is the JSON null.
func says(changes ...m) m {
	set := m{
		"iss": issuer, "aud": client, "sub": "alice", "sid": "s1", "jti": "j1", "iat": start.Unix(),
		"exp": start.Add(2 * time.Minute).Unix(), "events": m{event: m{}},
	}
	for _, change := range changes {
		maps.Copy(set, change)
	}
	maps.DeleteFunc(set, func(_ string, v any) bool { return v == nil })
	return set
}

// null is the JSON null.
var null = (*int)(nil)

// typed is the header of a logout token with an explicit type.
var typed = m{"typ": "logout+jwt"}

// state is what the callbacks of a Receiver keep, and how they fail.
type state struct {
	mu       sync.Mutex
	kept     map[string]time.Time
	ended    []logout.Logout
	looks    int
	noSeen   error // what Seen returns
	noRevoke error
	noKeep   error
	revoking func(context.Context) // called during Revoke, without the lock
}

func (s *state) seen(_ context.Context, key string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	_, seen := s.kept[key]
	return seen, s.noSeen
}

func (s *state) remember(_ context.Context, key string, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noKeep != nil {
		return s.noKeep
	}
	if s.kept == nil {
		s.kept = make(map[string]time.Time)
	}
	s.kept[key] = until
	return nil
}

func (s *state) revoke(ctx context.Context, l logout.Logout) error {
	if s.revoking != nil {
		s.revoking(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noRevoke != nil {
		return s.noRevoke
	}
	s.ended = append(s.ended, l)
	return ctx.Err()
}

// nothing reports whether no callback had any effect.
func (s *state) nothing() bool { return len(s.kept) == 0 && len(s.ended) == 0 && s.looks == 0 }

// config is a Config for these keys, whose callbacks use the state.
func config(tb testing.TB, s *state, keys ...*tokentest.Key) logout.Config {
	tb.Helper()
	c := logout.Config{
		Issuer: issuer, Clients: []string{"other client of ours", client}, Leeway: 5 * time.Second,
		Seen: s.seen, Remember: s.remember, Revoke: s.revoke, Now: func() time.Time { return start },
	}
	var list []*jose.Key
	for _, key := range keys {
		alg, _ := jose.ParseAlgorithm(key.Alg)
		c.Algorithms = c.Algorithms.With(alg)
		k, err := jose.NewSecretKey(key.KID, key.Secret(), jose.MakeAlgorithms(alg))
		if key.Public() != nil {
			k, err = jose.NewPublicKey(key.KID, key.Public(), jose.MakeAlgorithms(alg))
		}
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, k)
	}
	source, err := keyset.NewStatic(list...)
	if err != nil {
		tb.Fatal(err)
	}
	c.Keys = source
	return c
}

func open(tb testing.TB, c logout.Config) *logout.Receiver {
	tb.Helper()
	r, err := logout.New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// post is a logout request with this body.
func post(body string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "https://gate.example/backchannel", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// request is a logout request with this token.
func request(token string) *http.Request { return post(url.Values{"logout_token": {token}}.Encode()) }
