package gate_test

import (
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// mixed is a gate with two issuers and two consumers, each with a key of its own.
func mixed(tb testing.TB, changes ...func(*gate.Config)) (*gate.Gate, map[string]*tokentest.Key) {
	tb.Helper()
	keys := map[string]*tokentest.Key{
		"A":     tokentest.NewKey(tb, "ES256", "k1"),
		"B":     tokentest.NewKey(tb, "ES256", "b").WithKID("k1"),
		"shop":  tokentest.NewKey(tb, "ES256", "shop").WithKID(""),
		"robot": tokentest.NewKey(tb, "HS256", "robot").WithKID(""),
	}
	c := config(tb, keys["A"], append([]func(*gate.Config){func(c *gate.Config) {
		c.Issuers = append(c.Issuers, issuer(tb, issuerB, keys["B"]))
		c.Consumers = []gate.Consumer{
			consumer(tb, "shop", "shop-key", keys["shop"]), consumer(tb, "robot", "robot-key", keys["robot"]),
		}
	}}, changes...)...)
	return open(tb, c), keys
}

func TestPartyOfAToken(t *testing.T) {
	g, keys := mixed(t)
	for name, c := range map[string]struct {
		key  string
		set  m
		who  string // username or issuer
		want gate.Reason
	}{
		"issuer A":                           {"A", says(), issuerA, ""},
		"issuer B":                           {"B", says(m{"iss": issuerB}), issuerB, ""},
		"B signs in the name of A":           {"B", says(), "", gate.InvalidSignature},
		"A signs in the name of B":           {"A", says(m{"iss": issuerB}), "", gate.InvalidSignature},
		"a consumer by its credential":       {"shop", says(m{"iss": "shop-key"}), "shop", ""},
		"a consumer needs no audience":       {"robot", says(m{"iss": "robot-key", "aud": nil}), "robot", ""},
		"a consumer with another's key":      {"shop", says(m{"iss": "robot-key"}), "", gate.UnsupportedAlgorithm},
		"a consumer signs in the name of A":  {"shop", says(), "", gate.InvalidSignature},
		"A signs in the name of a consumer":  {"A", says(m{"iss": "shop-key"}), "", gate.InvalidSignature},
		"a credential key in another case":   {"shop", says(m{"iss": "Shop-Key"}), "", gate.UnknownIssuer},
		"a username is not a credential key": {"shop", says(m{"iss": "shop"}), "", gate.UnknownIssuer},
		"a credential key in a claim of A":   {"A", says(m{"azp": "shop-key", "client_id": "shop-key"}), issuerA, ""},
		"an expired token of a consumer": {"shop",
			says(m{"iss": "shop-key", "exp": start.Unix() - 5}), "", gate.Expired},
		"a consumer's token without expiry":     {"shop", says(m{"iss": "shop-key", "exp": nil}), "", gate.MissingClaim},
		"a consumer's token bound to a key":     {"shop", says(m{"iss": "shop-key", "cnf": m{}}), "", gate.ProofRequired},
		"a consumer's token with events in it":  {"shop", says(m{"iss": "shop-key", "events": m{}}), "", gate.InvalidType},
		"a consumer's token needs no subject":   {"robot", says(m{"iss": "robot-key", "sub": nil}), "robot", ""},
		"a consumer is its username, not a sub": {"robot", says(m{"iss": "robot-key", "sub": "root"}), "robot", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(keys[c.key].Sign(t, c.set))
			if c.want != "" {
				refused(t, g, r, c.want)
				return
			}
			id := accepted(t, g, r)
			if id.Consumer == nil && id.Issuer != c.who || id.Consumer != nil && (id.ID != c.who || id.Issuer != "") {
				t.Errorf("identity %+v, want %s", id, c.who)
			}
		})
	}
}

func TestKeyClaimInPayloadThenHeader(t *testing.T) {
	byKID := func(c *gate.Config) { c.KeyClaim = "kid" }
	for name, c := range map[string]struct {
		change func(*gate.Config)
		key    string
		set    m
		header m
		want   gate.Reason
	}{
		"iss in the header when the payload has none": {nil, "shop", says(m{"iss": nil}), m{"iss": "shop-key"}, ""},
		"iss in the payload wins": {nil, "robot",
			says(m{"iss": "robot-key"}), m{"iss": "shop-key"}, ""},
		"an unknown iss in the payload hides the header": {nil, "shop",
			says(m{"iss": "nobody"}), m{"iss": "shop-key"}, gate.UnknownIssuer},
		"a header is not an issuer":    {nil, "A", says(m{"iss": nil}), m{"iss": issuerA}, gate.UnknownIssuer},
		"another claim in the payload": {byKID, "shop", says(m{"iss": "x", "kid": "shop-key"}), nil, ""},
		"another claim in the header":  {byKID, "shop", says(m{"iss": "x"}), m{"kid": "shop-key"}, ""},
		"the payload wins over the header": {byKID, "robot",
			says(m{"iss": "x", "kid": "robot-key"}), m{"kid": "shop-key"}, ""},
		"a number in the payload selects nobody": {byKID, "shop",
			says(m{"iss": "x", "kid": 7}), m{"kid": "shop-key"}, gate.UnknownIssuer},
		"null in the payload selects nobody": {byKID, "shop",
			m{"iss": "x", "exp": start.Unix() + 1, "kid": (*int)(nil)}, m{"kid": "shop-key"}, gate.UnknownIssuer},
		"an array in the payload selects nobody": {byKID, "shop",
			says(m{"iss": "x", "kid": []string{"shop-key"}}), nil, gate.UnknownIssuer},
		"an object in the header selects nobody": {func(c *gate.Config) { c.KeyClaim = "who" },
			"shop", says(m{"iss": "x"}), m{"who": m{"a": "shop-key"}}, gate.UnknownIssuer},
		"iss is no longer the key claim": {byKID, "shop", says(m{"iss": "shop-key"}), nil, gate.UnknownIssuer},
		"issuers are found as before":    {byKID, "A", says(), nil, ""},
		"a case-folded name is another claim": {byKID, "shop",
			says(m{"iss": "x", "KID": "shop-key"}), nil, gate.UnknownIssuer},
	} {
		t.Run(name, func(t *testing.T) {
			change := c.change
			if change == nil {
				change = func(*gate.Config) {}
			}
			g, keys := mixed(t, change)
			r := request(keys[c.key].Sign(t, c.set, c.header))
			if c.want != "" {
				refused(t, g, r, c.want)
				return
			}
			accepted(t, g, r)
		})
	}
}

func TestCredentialDecidesTheAlgorithm(t *testing.T) {
	rsa := tokentest.NewKey(t, "RS256", "")
	g := build(t, rsa, func(c *gate.Config) {
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", rsa)}
	})
	set := says(m{"iss": "shop-key"})
	accepted(t, g, request(rsa.Sign(t, set)))
	for _, name := range []string{"RS384", "RS512", "PS256"} {
		refused(t, g, request(rsa.WithAlg(name).Sign(t, set)), gate.UnsupportedAlgorithm)
	}
}

func TestOneConsumerWithSeveralCredentials(t *testing.T) {
	old, recent := tokentest.NewKey(t, "HS256", "old"), tokentest.NewKey(t, "EdDSA", "new")
	shop := consumer(t, "shop", "2025", old)
	shop.Credentials = append(shop.Credentials, consumer(t, "shop", "2026", recent).Credentials...)
	g := build(t, recent, func(c *gate.Config) { c.Consumers = []gate.Consumer{shop} })
	for credential, key := range map[string]*tokentest.Key{"2025": old, "2026": recent} {
		id := accepted(t, g, request(key.Sign(t, says(m{"iss": credential}))))
		if id.ID != "shop" || id.CredentialKey != credential {
			t.Errorf("%s: identity %+v", credential, id)
		}
	}
}
