package gate_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// local makes the issuer one of this process.
func local(c *gate.Config) { c.Issuers[0].Local = true }

// get is a request for a target, with a token.
func get(target, token string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://gate.test/", nil)
	r.URL.Path, r.RequestURI = "/any", target
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// A token of an issuer in this process is good below the path of its application, as the client sent it, and nowhere
// else, also when it is cached.
func TestTokensOfALocalIssuerAreGoodBelowTheirApplication(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, local, func(c *gate.Config) { c.Cache = newCache(t, 1<<20) })
	token := key.Sign(t, says(m{"app": "/api/orders/"}))
	for range 3 {
		accepted(t, g, get("/api/orders/7?x=../", token))
		f := refused(t, g, get("/api/others/7", token), gate.InvalidAudience)
		if answer := g.Answer(f); answer.Status != 401 || answer.Code != "invalid_token" {
			t.Errorf("%+v", answer)
		}
	}
	for _, target := range []string{
		"/", "/api/orders", "/api/orders/../others/7", "/api/orders/%2e%2e/others", "/API/orders/7", "//api/orders/7", "",
	} {
		refused(t, g, get(target, token), gate.InvalidAudience)
	}
}

// The claim app must be there, and be a path.
func TestATokenOfALocalIssuerNeedsAnApplication(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, local)
	for name, claim := range map[string]m{
		"none": {}, "empty": {"app": ""}, "no path": {"app": "orders"}, "no slash at the end": {"app": "/api"},
		"a list": {"app": []string{"/api/"}}, "a number": {"app": 1}, "dots": {"app": "/api/../"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, g, get("/api/x", key.Sign(t, says(claim))), gate.MissingClaim)
			if e := g.Explain(direct(get("/api/x", key.Sign(t, says(claim))))); e.Failure.Reason != gate.MissingClaim {
				t.Errorf("explain says %+v", e)
			}
		})
	}
	// Another issuer may have a claim of that name, which means nothing here.
	accepted(t, build(t, key), get("/x", key.Sign(t, says(m{"app": "/api/"}))))
}

// apps are keys of an issuer in this process that knows its applications and clients.
type apps struct {
	keyset.Source
	has    string
	client string
}

func (a *apps) HasApplication(path string) bool { return path == a.has }
func (a *apps) HasClient(id string) bool        { return id == a.client }

// An application may be removed while its tokens are remembered, and may come back.
func TestTokensOfARemovedApplicationAreRefused(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	known := &apps{has: "/api/orders/"}
	g := build(t, key, local, func(c *gate.Config) {
		c.Cache = newCache(t, 1<<20)
		known.Source = c.Issuers[0].Keys
		c.Issuers[0].Keys = known
	})
	token := key.Sign(t, says(m{"app": "/api/orders/"}))
	for range 3 {
		accepted(t, g, get("/api/orders/7", token))
		known.has = "/api/"
		f := refused(t, g, get("/api/orders/7", token), gate.InvalidAudience)
		if !strings.Contains(f.Cause.Error(), "does not have the application") {
			t.Errorf("%v", f.Cause)
		}
		if e := g.Explain(direct(get("/api/orders/7", token))); e.Failure.Reason != gate.InvalidAudience {
			t.Errorf("explain says %+v", e)
		}
		known.has = "/api/orders/"
	}
	if r := get("/api/orders/7", token); !race {
		if n := testing.AllocsPerRun(100, func() { _, _ = g.Check(direct(r)) }); n != 0 {
			t.Errorf("a remembered token costs %v allocations", n)
		}
	}
	// Without "keys local" the claim means nothing.
	accepted(t, build(t, key, func(c *gate.Config) { c.Issuers[0].Keys = &apps{Source: c.Issuers[0].Keys} }),
		get("/x", token))
}

func TestExplainHasTheRuleAboutTheApplication(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, local)
	token := key.Sign(t, says(m{"app": "/api/orders/"}))
	for target, want := range map[string]gate.Result{"/api/orders/7": gate.Passed, "/x": gate.Failed} {
		found := false
		for _, step := range g.Explain(direct(get(target, token))).Steps {
			if step.Rule == "application" {
				found = true
				if step.Result != want || len(step.Came) != 1 || step.Came[0] != "/api/orders/" {
					t.Errorf("%s: %+v", target, step)
				}
			}
		}
		if !found {
			t.Errorf("%s: no step", target)
		}
	}
}

// An expired token in a cookie counts as none only where it would have been good.
func TestAnExpiredCookieOfAnotherApplicationIsRefused(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, local, func(c *gate.Config) {
		c.Extractor = extractor(t, bearer.Place{Kind: bearer.Cookie, Name: "token"})
		c.Optional, c.OptionalExpired = true, true
	})
	token := key.Sign(t, says(m{"app": "/api/orders/", "exp": start.Add(-time.Hour).Unix(),
		"iat": start.Add(-2 * time.Hour).Unix()}))
	for target, want := range map[string]gate.Reason{"/api/orders/7": "", "/x": gate.InvalidAudience} {
		r := get(target, "")
		r.Header = http.Header{"Cookie": {"token=" + token}}
		verdict, err := g.Check(direct(r))
		if want == "" && (err != nil || verdict.Outcome != gate.Unidentified) {
			t.Errorf("%s: %v, %v", target, verdict.Outcome, err)
		}
		if want != "" && gate.FailureOf(err).Reason != want {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// Tokens of an issuer in this process can be revoked without max_lifetime, which their issuer knows, and a cut-off is
// exact: whoever signs in just after it is in.
func TestALocalIssuerNeedsNoMaxLifetimeAndNoLeewayForCutOffs(t *testing.T) {
	key, revoked := tokentest.NewKey(t, "ES256", "k1"), newRevocations(t)
	g := build(t, key, local, func(c *gate.Config) { c.Revocations = revoked.List() })
	owners := g.Owners()
	if len(owners) != 1 || !owners[0].SameClock || owners[0].Issuer != issuerA {
		t.Fatalf("%+v", owners)
	}
	all := new(revoke.Owners)
	all.Add(owners...)
	all.Add(revoke.Owner{Issuer: issuerA, MaxLifetime: time.Minute, SameClock: true})
	entry := &revoke.Entry{Target: alices}
	if err := all.Complete(entry, start); err != nil || entry.Leeway != 0 || !entry.NotAfter.Equal(start) {
		t.Errorf("%+v, %v", entry, err)
	}
	if entry.Expires.Before(start.Add(time.Minute + owners[0].Leeway)) {
		t.Errorf("it is forgotten at %v", entry.Expires)
	}
}

// Where nobody has asked for a store, only tokens that are issued here can be revoked, and others need no max_lifetime.
func TestOnlyLocalTokensCanBeRevoked(t *testing.T) {
	key, other, revoked := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2"), newRevocations(t)
	g := build(t, key, func(c *gate.Config) {
		c.Revocations, c.OnlyLocalRevoked = revoked.List(), true
		here := issuer(t, "https://here.test", other)
		here.Local = true
		c.Issuers = append(c.Issuers, here)
		c.Consumers = []gate.Consumer{consumer(t, "bob", "bobs-key", key)}
	})
	if owners := g.Owners(); len(owners) != 1 || owners[0].Issuer != "https://here.test" {
		t.Errorf("owners %+v", owners)
	}
	revoked.out("alice")
	revoked.revoke(revoke.Target{Issuer: "https://here.test", Kind: revoke.Subject, Value: "alice"})
	accepted(t, g, get("/x", key.Sign(t, says())))
	refused(t, g, get("/a/x", other.Sign(t, says(m{"iss": "https://here.test", "app": "/a/", "iat": start.Unix()}))),
		gate.Revoked)
}

// Tools that have a token alone ask for a request of its application.
func TestApplicationOfAToken(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	here, elsewhere := build(t, key, local), build(t, key)
	good := key.Sign(t, says(m{"app": "/api/orders/"}))
	for token, want := range map[string]string{
		good: "/api/orders/", good + "x": "", key.Sign(t, says(m{"app": "//evil/../"})): "",
		key.Sign(t, says()): "", key.Sign(t, says(m{"app": "/a/", "iss": "https://other.test"})): "", "opaque": "", "": "",
	} {
		if app := here.ApplicationOf(token); app != want {
			t.Errorf("%q, want %q", app, want)
		}
	}
	if app := elsewhere.ApplicationOf(good); app != "" {
		t.Errorf("of another issuer: %q", app)
	}
}
