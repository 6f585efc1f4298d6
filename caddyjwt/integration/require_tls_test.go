package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// inClear wants a good token to have been refused because others may have read it. No challenge asks for another one.
func (s *site) inClear(a answer) {
	s.t.Helper()
	s.refused(a, http.StatusForbidden, "plain_http")
	if challenges := a.Header["Www-Authenticate"]; challenges != nil {
		s.t.Errorf("challenges %q", challenges)
	}
}

// A good token in clear is refused, and the log says that it should be revoked: not for each request.
func TestRequireTLS(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	good := key.Sign(t, issuedBy(keptIssuer))
	s := start(t, proofGate(t, key, "require_tls"))
	began := time.Now()
	for range 20 {
		s.inClear(s.get("/", good))
		s.inClear(s.get("/", good, "X-Forwarded-Proto", "https")) // the word of a stranger
	}
	warnings := 0
	for line := range strings.Lines(s.log()) {
		if strings.Contains(line, `"reason":"plain_http"`) && strings.Contains(line, "request refused") {
			warnings++
			if !strings.Contains(line, `"level":"warn"`) || !strings.Contains(line, "revoke it") ||
				strings.Contains(line, good[len(good)-20:]) {
				t.Errorf("the warning is %s", line)
			}
		}
	}
	if most := 1 + int(time.Since(began)/(10*time.Second)); warnings < 1 || warnings > most {
		t.Errorf("%d warnings, want at most %d", warnings, most)
	}
	// Without a good token, there is nothing to revoke.
	s.refused(s.get("/", ""), http.StatusUnauthorized, "missing_token")
	s.refused(s.get("/", tokentest.FlipSignature(t, good)), http.StatusUnauthorized, "invalid_signature")
	s.refused(s.get("/", key.Sign(t, issuedBy(keptIssuer, "exp", 1))), http.StatusUnauthorized, "expired")
	s.load(proofGate(t, key))
	s.accepts(good)
}

// Behind a proxy that ends TLS, the proxy says how the token came.
func TestRequireTLSBehindAProxy(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	good := key.Sign(t, issuedBy(keptIssuer))
	s := startBehindProxy(t, proofGate(t, key, "require_tls"))
	s.passed(s.get("/", good, "X-Forwarded-Proto", "https"))
	s.passed(s.get("/", good, "X-Forwarded-Proto", "HTTPS"))
	s.passed(s.get("/", good, "X-Forwarded-Proto", "wss")) // as Traefik says of a WebSocket
	for _, said := range [][]string{
		nil, {"X-Forwarded-Proto", "http"}, {"X-Forwarded-Proto", ""}, {"X-Forwarded-Proto", "https, http"},
		{"X-Forwarded-Proto", "https", "X-Forwarded-Proto", "https"}, {"X-Forwarded-Proto", "ws"},
		{"Forwarded", "proto=https"}, {"X-Forwarded-Ssl", "on"}, {"X-Forwarded-Scheme", "https"},
		{"Front-End-Https", "on"},
	} {
		s.inClear(s.get("/", good, said...))
	}
}

// By every protocol: what counts is TLS.
func TestRequireTLSByEveryProtocol(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	s, ways := startEverywhere(t, proofGate(t, key, "require_tls"))
	good := key.Sign(t, issuedBy(keptIssuer))
	for _, way := range ways {
		s := s.in(t)
		s.client, s.base = way.client, strings.TrimSuffix(way.url, "/")
		if a := s.get("/", good); strings.HasPrefix(s.base, "https:") {
			s.passed(a)
		} else {
			s.inClear(a)
		}
	}
}
