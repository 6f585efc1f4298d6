package integration

import (
	"encoding/base64"
	"net/http"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A hundred reloads that change nothing about the keys, under traffic: every good token passes, nothing is fetched or
// asked again, and nothing piles up.
func TestReloadHundredTimesUnderTraffic(t *testing.T) {
	long(t)
	key := tokentest.NewKey(t, "ES256", "reload")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	as.Introspect(func(*tokentest.IntrospectionRequest) tokentest.IntrospectionAnswer {
		return tokentest.IntrospectionAnswer{Claims: map[string]any{"active": true, "sub": "opaque", "aud": audience}}
	})
	file := writeFile(t, filepath.Join(t.TempDir(), "jwks.json"), tokentest.JWKS(key))
	secret := tokentest.NewKey(t, "HS256", "reload")
	gate := func(realm int) string {
		return gateForAudience("realm reload-"+strconv.Itoa(realm),
			issuerBlock(as.URL, "introspect opaque {", "auth_method none", "cache_ttl 5m", "}"),
			issuerBlock("https://jwks.example.com", "keys jwks "+as.JWKSURL()),
			issuerBlock("https://file.example.com", "keys file "+file),
			issuerBlock("https://secret.example.com",
				"keys secret "+base64.StdEncoding.EncodeToString(secret.Secret())+" base64"))
	}
	s := start(t, gate(0))
	tokens := []string{
		key.Sign(t, issuedBy(as.URL)), key.Sign(t, issuedBy("https://jwks.example.com")),
		key.Sign(t, issuedBy("https://file.example.com")), secret.WithKID("").Sign(t, issuedBy("https://secret.example.com")),
		"an-opaque-token",
	}
	for _, token := range tokens {
		s.accepts(token)
	}
	s.client.CloseIdleConnections()
	fetches, metadata := as.JWKSFetches(), as.MetadataFetches()
	before := runtime.NumGoroutine()

	var serial atomic.Int64
	load := s.send(200, func() string {
		n := serial.Add(1)
		if n%2 == 0 {
			return tokens[int(n/2)%len(tokens)]
		}
		return key.Sign(t, issuedBy(as.URL, "jti", strconv.FormatInt(n, 10)))
	})
	began := time.Now()
	for i := range 100 {
		s.load(gate(i + 1))
		load.after(t, 3)
	}
	t.Logf("100 reloads took %v", time.Since(began))
	load.after(t, 20)
	load.allPassed(t)

	if n := as.JWKSFetches(); n != fetches {
		t.Errorf("%d fetches of the keys, %d before the reloads", n, fetches)
	}
	if n := as.MetadataFetches(); n != metadata {
		t.Errorf("%d fetches of the metadata, %d before the reloads", n, metadata)
	}
	if n := len(as.IntrospectionRequests()); n != 1 {
		t.Errorf("the server was asked %d times about one opaque token", n)
	}
	if got := s.get("/", "").Header.Get("WWW-Authenticate"); got != `Bearer realm="reload-100"` {
		t.Errorf("challenge %q: not the last configuration's", got)
	}
	s.goroutinesBackTo(before, 10)
}

// What a new configuration no longer allows is refused from its first request on, however often it was accepted before.
func TestReloadWithOtherSettingsForgetsVerdicts(t *testing.T) {
	const issuer = "https://auth.example.com"
	es, rs := tokentest.NewKey(t, "ES256", "").WithKID(""), tokentest.NewKey(t, "RS256", "change").WithKID("")
	other := tokentest.NewKey(t, "ES256", "change-other").WithKID("")
	first, second := tokentest.NewKey(t, "HS256", "change-first").WithKID(""),
		tokentest.NewKey(t, "HS256", "change-second").WithKID("")
	pem := func(k *tokentest.Key) string { return "keys pem `" + k.PublicPEM() + "`" }
	secret := func(k *tokentest.Key) string {
		return "keys secret " + base64.StdEncoding.EncodeToString(k.Secret()) + " base64"
	}
	consumer := func(key *tokentest.Key, name string) string {
		return "consumer " + name + " {\n credential alice-key {\n algorithm HS256\n secret " +
			base64.StdEncoding.EncodeToString(key.Secret()) + " base64\n}\n}"
	}
	typed := map[string]any{"typ": "JWT"}
	for name, test := range map[string]struct {
		before, after string
		token, reason string
		status        int
	}{
		"audience of the route": {
			before: gateForAudience(issuerBlock(issuer, pem(es))),
			after:  gateFor("audience https://other.example.com", issuerBlock(issuer, pem(es))),
			token:  es.Sign(t, issuedBy(issuer)), reason: "invalid_audience",
		},
		"audience of the issuer": {
			before: gateFor(issuerBlock(issuer, pem(es), "audience "+audience)),
			after:  gateFor(issuerBlock(issuer, pem(es), "audience x")),
			token:  es.Sign(t, issuedBy(issuer)), reason: "invalid_audience",
		},
		"algorithms": {
			before: gateForAudience(issuerBlock(issuer, pem(rs))),
			after:  gateForAudience(issuerBlock(issuer, pem(rs), "algorithms PS256")),
			token:  rs.Sign(t, issuedBy(issuer)), reason: "unsupported_algorithm",
		},
		"key": {
			before: gateForAudience(issuerBlock(issuer, pem(es))), after: gateForAudience(issuerBlock(issuer, pem(other))),
			token: es.Sign(t, issuedBy(issuer)), reason: "invalid_signature",
		},
		"secret": {
			before: gateForAudience(issuerBlock(issuer, secret(first))),
			after:  gateForAudience(issuerBlock(issuer, secret(second))),
			token:  first.Sign(t, issuedBy(issuer)), reason: "invalid_signature",
		},
		"public key to secret": {
			before: gateForAudience(issuerBlock(issuer, pem(es))), after: gateForAudience(issuerBlock(issuer, secret(first))),
			token: es.Sign(t, issuedBy(issuer)), reason: "unsupported_algorithm",
		},
		"types": {
			before: gateForAudience(issuerBlock(issuer, pem(es))),
			after:  gateForAudience(issuerBlock(issuer, pem(es), "type at+jwt")),
			token:  es.Sign(t, issuedBy(issuer), typed), reason: "invalid_type",
		},
		"profile": {
			before: gateForAudience(issuerBlock(issuer, pem(es))),
			after:  gateForAudience(issuerBlock(issuer, pem(es), "profile rfc9068")),
			token:  es.Sign(t, issuedBy(issuer)), reason: "invalid_type",
		},
		"required claim": {
			before: gateForAudience(issuerBlock(issuer, pem(es))),
			after:  gateForAudience(issuerBlock(issuer, pem(es), "required_claims email")),
			token:  es.Sign(t, issuedBy(issuer)), reason: "missing_claim",
		},
		"max_lifetime": {
			before: gateForAudience(issuerBlock(issuer, pem(es))),
			after:  gateForAudience("max_lifetime 1m", issuerBlock(issuer, pem(es))),
			token:  es.Sign(t, issuedBy(issuer)), reason: "lifetime_too_long",
		},
		"leeway": {
			before: gateForAudience("leeway 5m", issuerBlock(issuer, pem(es))),
			after:  gateForAudience("leeway 1s", issuerBlock(issuer, pem(es))),
			token:  es.Sign(t, issuedBy(issuer, "exp", time.Now().Add(-time.Minute).Unix())), reason: "expired",
		},
		"issuer": {
			before: gateForAudience(issuerBlock(issuer, pem(es))),
			after:  gateForAudience(issuerBlock("https://renamed.example.com", pem(es))),
			token:  es.Sign(t, issuedBy(issuer)), reason: "unknown_issuer",
		},
		"order of issuers": {
			before: gateForAudience(issuerBlock(issuer, pem(es)), issuerBlock("https://b.example.com", pem(other))),
			after:  gateForAudience(issuerBlock("https://b.example.com", pem(es)), issuerBlock(issuer, pem(other))),
			token:  es.Sign(t, issuedBy(issuer)), reason: "invalid_signature",
		},
		"secret of a consumer": {
			before: gateFor(consumer(first, "alice")), after: gateFor(consumer(second, "alice")),
			token: first.Sign(t, claims()), reason: "invalid_signature",
		},
		"key claim": {
			before: gateFor(consumer(first, "alice")), after: gateFor(consumer(first, "alice"), "key_claim kid"),
			token: first.Sign(t, claims()), reason: "unknown_issuer",
		},
		"required scope": {
			before: gateFor(consumer(first, "alice")), after: gateFor(consumer(first, "alice"), "require scope admin"),
			token: first.Sign(t, claims()), reason: "insufficient_scope", status: http.StatusForbidden,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, test.before)
			s.accepts(test.token)
			s.accepts(test.token)
			s.load(test.after)
			status := test.status
			if status == 0 {
				status = http.StatusUnauthorized
			}
			s.refused(s.get("/", test.token), status, test.reason)
			s.load(test.before)
			s.accepts(test.token)
		})
	}
}

// Who a consumer is comes from the configuration, not from what was remembered of an earlier one.
func TestReloadRenamesAConsumer(t *testing.T) {
	block := func(name, group string) string {
		return gateFor("consumer " + name + " {\n groups " + group + "\n credential alice-key {\n algorithm HS256\n secret " +
			base64.StdEncoding.EncodeToString(hmacKey(t).Secret()) + " base64\n}\n}")
	}
	s := start(t, block("alice", "staff"))
	token := hmacKey(t).Sign(t, claims())
	s.accepts(token)
	s.accepts(token)
	s.load(block("bob", "guests"))
	got := s.passed(s.get("/", token))
	if name, group := got.Header.Get("X-Consumer-Username"), got.Header.Get("X-Consumer-Groups"); name != "bob" ||
		group != "guests" {
		t.Errorf("the upstream was told %q in %q", name, group)
	}
}

// Two routes share the remembered verdict about a token, and each judges it by its own rules.
func TestReloadRoutesJudgeACachedTokenThemselves(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "two-routes")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	gate := func(matcher string, lines ...string) string {
		return "bearer_auth " + matcher + gateFor(append(lines, issuerBlock(as.URL, "leeway 5s"))...)[len("bearer_auth"):]
	}
	s := start(t, gate("/orders", "audience "+audience)+"\n"+gate("/other", "audience https://other.example.com")+
		"\n"+gate("/admin", "audience "+audience, "require scope admin")+"\n"+
		gate("/short", "audience "+audience, "max_lifetime 1m"))
	token := key.Sign(t, issuedBy(as.URL))
	for range 2 {
		s.passed(s.get("/orders", token))
		s.refused(s.get("/other", token), http.StatusUnauthorized, "invalid_audience")
		s.refused(s.get("/admin", token), http.StatusForbidden, "insufficient_scope")
		s.refused(s.get("/short", token), http.StatusUnauthorized, "lifetime_too_long")
	}
	if n := as.JWKSFetches(); n != 1 {
		t.Errorf("%d fetches of the keys for four routes with the same issuer", n)
	}
}

// deadSite is a site whose listener cannot be opened. Caddy finds that out when everything else has been provisioned.
const deadSite = `
http://dead.test {
	bind unix//does/not/exist/s
	respond ok
}
`

// A configuration that cannot be loaded leaves the running one as it was, and sends no question to anybody.
func TestReloadThatFailsChangesNothing(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "failing")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	issuer := issuerBlock(as.URL, "leeway 5s")
	s := start(t, gateForAudience(issuer))
	token := key.Sign(t, issuedBy(as.URL))
	s.accepts(token)
	before := s.goroutines()
	for _, bad := range []string{
		gateForAudience(issuer, issuerBlock("https://b.example.com", "keys file /does/not/exist")),
		gateForAudience(issuer, issuerBlock("https://b.example.com", "keys secret {env.NOT_SET_ANYWHERE}")),
		gateForAudience(issuer, issuer),
		gateForAudience(issuer, "cache 1KiB"),
		gateForAudience(issuer, "anonymous nobody"),
	} {
		for range 5 {
			if err := s.tryLoad(s.caddyfile(bad)); err == nil {
				t.Fatalf("loaded: %s", bad)
			}
		}
		s.accepts(token)
		s.accepts(key.Sign(t, issuedBy(as.URL, "jti", "new")))
	}
	for range 5 {
		if err := s.tryLoad(s.caddyfile(gateForAudience(issuer, consumerAlice(t))) + deadSite); err == nil {
			t.Fatal("a site that cannot listen was loaded")
		}
		s.accepts(token)
		s.refused(s.get("/", hmacKey(t).Sign(t, claims())), http.StatusUnauthorized, "unknown_issuer")
	}
	if n := as.JWKSFetches(); n != 1 {
		t.Errorf("%d fetches of the keys", n)
	}
	s.goroutinesBackTo(before, 5)
}

// A removed issuer leaves nothing behind. When it comes back, its keys are fetched anew.
func TestReloadWithoutTheIssuerClosesItsKeys(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "removed")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	with, without := gateForAudience(issuerBlock(as.URL, "leeway 5s")), gateFor(consumerAlice(t))
	s := start(t, with)
	token := key.Sign(t, issuedBy(as.URL))
	s.accepts(token)
	s.load(without)
	s.refused(s.get("/", token), http.StatusUnauthorized, "unknown_issuer")
	as.SetKeys(tokentest.NewKey(t, "ES256", "removed-next"))
	s.load(with)
	s.refused(s.get("/", token), http.StatusUnauthorized, "unknown_key")
	if n := as.JWKSFetches(); n < 2 {
		t.Errorf("%d fetches of the keys", n)
	}
}
