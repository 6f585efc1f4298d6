package gate_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// ofClient are the claims of a token that an OAuth client has in its own name, with changes.
func ofClient(changes ...m) m {
	return says(append([]m{{"sub": "batch", "client_id": "batch"}}, changes...)...)
}

// withClients makes the issuer one of this process that knows its clients.
func withClients(known *apps) func(*gate.Config) {
	return func(c *gate.Config) {
		known.Source = c.Issuers[0].Keys
		c.Issuers[0].Keys = known
	}
}

// The audience of a client's token says where it is good, and no path does.
func TestATokenOfAClientIsForNoApplication(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, ofClient(m{"scope": "read"}))
	for name, g := range map[string]*gate.Gate{
		"an issuer that knows its clients": build(t, key, local, withClients(&apps{client: "batch"})),
		"one that does not say":            build(t, key, local),
	} {
		for _, target := range []string{"/", "/api/orders/7", "/api/orders/../others/7"} {
			if v := accepted(t, g, get(target, token)); v.Claims.ClientID != "batch" {
				t.Errorf("%s: %+v", name, v)
			}
		}
		refused(t, g, get("/", key.Sign(t, ofClient(m{"aud": "https://other.example"}))), gate.InvalidAudience)
		refused(t, g, get("/", key.Sign(t, ofClient(m{"aud": nil}))), gate.InvalidAudience)
	}
}

// What lacks the claims of a client's token, or has those of a session, needs an application.
func TestWhatIsNoTokenOfAClientNeedsAnApplication(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, local, withClients(&apps{has: "/api/", client: "batch"}))
	for name, claims := range map[string]m{
		"a user":                  {"sub": "alice"},
		"a user with that client": {"sub": "batch2"},
		"no client":               {"client_id": nil},
		"no subject":              {"sub": nil},
		"another case":            {"sub": "Batch"},
		"a session":               {"sid": "s"},
		"an empty session":        {"sid": ""},
		"a session of a number":   {"sid": 1},
		"an empty application":    {"app": ""},
		"an application of null":  {"app": null},
		"a list":                  {"app": []string{}},
		"another one acts":        {"sub": "alice", "act": m{"sub": "other"}},
		"nobody acts":             {"sub": "alice", "act": m{}},
		"a text acts":             {"sub": "alice", "act": "batch"},
		"one acts deeper":         {"sub": "alice", "act": m{"act": m{"sub": "batch"}}},
		"for nobody":              {"sub": nil, "act": m{"sub": "batch"}},
		"for an application":      {"sub": "alice", "act": m{"sub": "batch"}, "app": ""},
	} {
		t.Run(name, func(t *testing.T) {
			token := key.Sign(t, ofClient(claims))
			refused(t, g, get("/api/x", token), gate.MissingClaim)
			if e := g.Explain(direct(get("/api/x", token))); e.Failure == nil || e.Failure.Reason != gate.MissingClaim {
				t.Errorf("explain says %+v", e.Failure)
			}
		})
	}
	// With an application it is one of a session, and good below its path alone.
	token := key.Sign(t, ofClient(m{"app": "/api/"}))
	accepted(t, g, get("/api/x", token))
	refused(t, g, get("/x", token), gate.InvalidAudience)
}

// A client may have exchanged the token of somebody. Its own one ends with the client, and with the session.
func TestATokenThatAClientHasExchanged(t *testing.T) {
	key, known := tokentest.NewKey(t, "ES256", "k1"), &apps{client: "batch"}
	revoked := newRevocations(t)
	g := build(t, key, local, withClients(known), func(c *gate.Config) { c.Revocations = revoked.List() })
	token := key.Sign(t, ofClient(m{"sub": "alice", "sid": "s", "act": m{"sub": "batch"}, "iat": start.Unix()}))
	if v := accepted(t, g, get("/x", token)); v.ID != "alice" || v.Claims.ClientID != "batch" {
		t.Errorf("%+v", v)
	}
	known.client = "other"
	refused(t, g, get("/x", token), gate.InvalidAudience)
	known.client = "batch"
	revoked.revoke(revoke.Target{Issuer: issuerA, Kind: revoke.Session, Value: "s"})
	refused(t, g, get("/x", token), gate.Revoked)
}

// A client may be removed while its tokens are remembered, and may come back.
func TestTokensOfARemovedClientAreRefused(t *testing.T) {
	key, known := tokentest.NewKey(t, "ES256", "k1"), &apps{has: "batch"}
	g := build(t, key, local, withClients(known), func(c *gate.Config) { c.Cache = newCache(t, 1<<20) })
	token := key.Sign(t, ofClient())
	for range 3 {
		known.client = "batch"
		accepted(t, g, get("/", token))
		known.client = "other"
		f := refused(t, g, get("/", token), gate.InvalidAudience)
		if !strings.Contains(f.Cause.Error(), `does not have the client "batch"`) {
			t.Errorf("%v", f.Cause)
		}
		if answer := g.Answer(f); answer.Status != 401 || answer.Code != "invalid_token" {
			t.Errorf("%+v", answer)
		}
		if e := g.Explain(direct(get("/", token))); e.Failure == nil || e.Failure.Reason != gate.InvalidAudience {
			t.Errorf("explain says %+v", e.Failure)
		}
	}
	known.client = "batch"
	if r := get("/", token); !race {
		if n := testing.AllocsPerRun(100, func() { _, _ = g.Check(direct(r)) }); n != 0 {
			t.Errorf("a remembered token costs %v allocations", n)
		}
	}
	// A token of another issuer in the same gate has nothing to do with these clients.
	accepted(t, build(t, key, withClients(&apps{})), get("/", token))
}

func TestExplainSaysThatATokenIsOfAClient(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for client, want := range map[string]gate.Result{"batch": gate.Passed, "other": gate.Failed} {
		g := build(t, key, local, withClients(&apps{client: client}))
		steps := 0
		for _, step := range g.Explain(direct(get("/", key.Sign(t, ofClient())))).Steps {
			if step.Rule != "application" {
				continue
			}
			steps++
			if step.Result != want || len(step.Came) != 1 || step.Came[0] != "client batch" {
				t.Errorf("%s: %+v", client, step)
			}
		}
		if steps != 1 {
			t.Errorf("%s: %d steps", client, steps)
		}
		if app := g.ApplicationOf(key.Sign(t, ofClient())); app != "" {
			t.Errorf("it is of the application %q", app)
		}
	}
}
