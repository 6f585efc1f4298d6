package integration

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// An authorization server that is down when Caddy starts does not delay the start, and makes no token invalid. The gate
// notices as soon as the server is there.
func TestKeysServerDownAtStart(t *testing.T) {
	for name, lines := range map[string]func(*tokentest.AS) string{
		"discovery": func(*tokentest.AS) string { return "leeway 5s" },
		"jwks":      func(as *tokentest.AS) string { return "keys jwks " + as.JWKSURL() },
	} {
		t.Run(name, func(t *testing.T) {
			key := tokentest.NewKey(t, "ES256", "down")
			as := tokentest.NewAS(t, tokentest.StartDown(), tokentest.WithKeys(key))
			s := prepare(t)
			s.load(gateForAudience(issuerBlock(as.URL, lines(as))))
			token := key.Sign(t, issuedBy(as.URL))

			a := s.get("/", token)

			s.refused(a, http.StatusServiceUnavailable, "keys_unavailable")
			if after, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || after < 1 || after > 60 {
				t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
			}
			if challenge := a.Header.Values("WWW-Authenticate"); len(challenge) != 0 {
				t.Errorf("challenge %q for a trouble of ours", challenge)
			}
			as.Up()
			took := eventually(t, "the first token passes", func() bool {
				status, err := s.status(token)
				return err == nil && status == http.StatusOK
			})
			t.Logf("the first token passed %v after the server came up", took)
		})
	}
}

// While the server is away, stalls or answers rubbish, tokens of known keys go on passing, cached or not; a token of an
// unknown key is not called invalid.
func TestKeysServerFailsLater(t *testing.T) {
	long(t)
	key, next := tokentest.NewKey(t, "ES256", "steady"), tokentest.NewKey(t, "ES256", "steady-next")
	for name, trouble := range map[string]func(*tokentest.AS) (end func()){
		"down":       func(as *tokentest.AS) func() { as.Down(); return as.Up },
		"stalled":    func(as *tokentest.AS) func() { return as.Stall() },
		"status 500": func(as *tokentest.AS) func() { as.AnswerJWKS(500, "{}"); return func() { as.AnswerJWKS(0, "") } },
		"no keys": func(as *tokentest.AS) func() {
			as.AnswerJWKS(200, `{"keys":[]}`)
			return func() { as.AnswerJWKS(0, "") }
		},
		"empty object": func(as *tokentest.AS) func() { as.AnswerJWKS(200, `{}`); return func() { as.AnswerJWKS(0, "") } },
		"a page": func(as *tokentest.AS) func() {
			as.AnswerJWKS(200, `<html>`)
			return func() { as.AnswerJWKS(0, "") }
		},
		"only unusable keys": func(as *tokentest.AS) func() {
			as.AnswerJWKS(200, tokentest.JWKSOf(tokentest.NewKey(t, "HS256", "steady").JWK()))
			return func() { as.AnswerJWKS(0, "") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			as := tokentest.NewAS(t, tokentest.WithKeys(key))
			s := start(t, gateForAudience(issuerBlock(as.URL, "keys jwks "+as.JWKSURL())))
			cached := key.Sign(t, issuedBy(as.URL))
			s.accepts(cached)
			end := trouble(as)
			as.SetKeys(next, key)

			unknown := next.Sign(t, issuedBy(as.URL))
			a := s.get("/", unknown)
			reason := "keys_unavailable"
			if name == "stalled" { // nothing has failed yet
				reason = "key_pending"
			}
			s.refused(a, http.StatusServiceUnavailable, reason)
			if a.Header.Get("WWW-Authenticate") != "" || a.Header.Get("Retry-After") == "" {
				t.Errorf("header %v", a.Header)
			}
			s.accepts(cached)
			s.accepts(key.Sign(t, issuedBy(as.URL, "jti", "another")))

			end()
			eventually(t, "the new key is there when the trouble is over", func() bool {
				status, err := s.status(unknown)
				return err == nil && status == http.StatusOK
			})
		})
	}
}

// The server changes its signing key under load, with and without publishing it ahead. No good token is refused.
func TestKeysRotateUnderLoad(t *testing.T) {
	long(t)
	keys := make([]*tokentest.Key, 4)
	for i := range keys {
		keys[i] = tokentest.NewKey(t, "ES256", "rotation-"+strconv.Itoa(i))
	}
	as := tokentest.NewAS(t, tokentest.WithKeys(keys[0]))
	s := start(t, gateForAudience(issuerBlock(as.URL, "leeway 5s")))
	var signer atomic.Pointer[tokentest.Key]
	signer.Store(keys[0])
	var serial atomic.Int64
	cached := keys[0].Sign(t, issuedBy(as.URL))

	load := s.send(200, func() string {
		n := serial.Add(1)
		if n%4 == 0 {
			return cached
		}
		return signer.Load().Sign(t, issuedBy(as.URL, "jti", strconv.FormatInt(n, 10)))
	})
	load.after(t, 100)
	as.SetKeys(keys[1], keys[0]) // not ahead: published and used at the same moment
	signer.Store(keys[1])
	load.after(t, 100)
	as.SetKeys(keys[2], keys[1], keys[0]) // ahead
	load.after(t, 50)
	signer.Store(keys[2])
	load.after(t, 100)
	as.SetKeys(keys[3], keys[2], keys[1], keys[0]) // again, and at once
	signer.Store(keys[3])
	load.after(t, 100)
	load.allPassed(t)

	if n := as.JWKSFetches(); n > 5 {
		t.Errorf("%d fetches of the keys for three rotations", n)
	}
}

// A key that is gone after a refresh takes its tokens with it, the cached ones at once.
func TestKeysRemovedByTheServer(t *testing.T) {
	old, kept, next := tokentest.NewKey(t, "ES256", "gone"), tokentest.NewKey(t, "ES256", "kept"),
		tokentest.NewKey(t, "ES256", "next")
	as := tokentest.NewAS(t, tokentest.WithKeys(old, kept))
	s := start(t, gateForAudience(issuerBlock(as.URL, "leeway 5s")))
	cached, stays := old.Sign(t, issuedBy(as.URL)), kept.Sign(t, issuedBy(as.URL))
	for range 3 {
		s.accepts(cached)
		s.accepts(stays)
	}
	as.SetKeys(kept, next)

	s.accepts(next.Sign(t, issuedBy(as.URL))) // its unknown kid brings the refresh

	s.refused(s.get("/", cached), http.StatusUnauthorized, "unknown_key")
	s.refused(s.get("/", old.Sign(t, issuedBy(as.URL, "jti", "new"))), http.StatusUnauthorized, "unknown_key")
	s.accepts(stays)
}

// A key with a known id and other material is another key: what the old one signed is good no longer, cached or not.
func TestKeysReplacedUnderTheSameID(t *testing.T) {
	key, latest := tokentest.NewKey(t, "ES256", "same"), tokentest.NewKey(t, "ES256", "latest")
	impostor := tokentest.NewKey(t, "ES256", "other").WithKID("same")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateForAudience(issuerBlock(as.URL, "leeway 5s")))
	cached := key.Sign(t, issuedBy(as.URL))
	s.accepts(cached)
	s.accepts(cached)
	as.SetKeys(impostor, latest)
	s.accepts(latest.Sign(t, issuedBy(as.URL)))

	s.refused(s.get("/", cached), http.StatusUnauthorized, "invalid_signature")
	s.accepts(impostor.Sign(t, issuedBy(as.URL)))
}

// Invented key ids from many clients cost a few fetches, and keep no good token out.
func TestKeysSurviveAFloodOfUnknownIDs(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "flooded")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, gateForAudience(issuerBlock(as.URL, "keys jwks "+as.JWKSURL())))
	s.accepts(key.Sign(t, issuedBy(as.URL)))
	payload := issuedBy(as.URL)
	began := time.Now()
	var serial, passed atomic.Int64
	good := s.send(100, func() string {
		return key.Sign(t, issuedBy(as.URL, "jti", strconv.FormatInt(serial.Add(1), 10)))
	})
	var clients sync.WaitGroup
	for client := range 32 {
		clients.Go(func() {
			for i := range 60 {
				bogus := key.Sign(t, payload, map[string]any{"kid": fmt.Sprintf("bogus-%d-%d", client, i)})
				if status, err := s.status(bogus); err == nil && status == http.StatusOK {
					passed.Add(1)
				}
			}
		})
	}
	clients.Wait()
	good.allPassed(t)
	if passed.Load() != 0 {
		t.Errorf("%d tokens of unknown keys passed", passed.Load())
	}
	// The first fetch, three that were saved up, and one for ids that may have been asked for before; then one in ten and
	// one in five seconds.
	if n, most := as.JWKSFetches(), 5+int(time.Since(began)/(10*time.Second))+
		int(time.Since(began)/(5*time.Second)); n > most {
		t.Errorf("%d fetches for 1920 bogus key ids, want at most %d", n, most)
	}
}
