package gate_test

import (
	"crypto/elliptic"
	"encoding/base64"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// under has a gate look for revoked tokens, with a cache.
func (r revocations) under(t testing.TB) func(*gate.Config) {
	t.Helper()
	cache := newCache(t, 1<<20)
	return func(c *gate.Config) { c.Revocations, c.MaxLifetime, c.Cache = r.List(), time.Hour, cache }
}

// revokedBy makes the path of a claim one by which the tokens of issuerA can be revoked.
func revokedBy(tb testing.TB, paths ...string) func(*gate.Config) {
	tb.Helper()
	var list []claims.Path
	for _, text := range paths {
		list = append(list, path(tb, text))
	}
	return func(c *gate.Config) { c.Issuers[0].Revocation.Claims = list }
}

// Of two tokens that differ in one respect, the gate refuses exactly the one that is revoked: seen before or not.
func TestExactlyTheRevokedTokenIsRefused(t *testing.T) {
	key, mine := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "HS256", "mine")
	theirs := tokentest.NewKey(t, "HS256", "theirs")
	shop := func(c *gate.Config) {
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", mine), consumer(t, "other", "other-key", theirs)}
	}
	roster := with(newRoster(guest(t, "zoe", "zoe-key", mine), guest(t, "yan", "yan-key", theirs)))
	mapped := func(c *gate.Config) {
		c.Consumers = []gate.Consumer{{Username: "shop"}, {Username: "other"}}
		c.Issuers[0].ConsumerClaim = path(t, "client")
	}
	of := func(kind revoke.Kind, value string) revoke.Target {
		return revoke.Target{Issuer: issuerA, Kind: kind, Value: value}
	}
	ofConsumer := func(name string, kind revoke.Kind, value string) revoke.Target {
		return revoke.Target{Consumer: name, Kind: kind, Value: value}
	}
	claim := func(name, value string) revoke.Target {
		return revoke.Target{Issuer: issuerA, Kind: revoke.Claim, Claim: name, Value: value}
	}
	sign := func(changes ...m) string { return key.Sign(t, says(changes...)) }
	asShop := func(changes ...m) string { return mine.Sign(t, says(append(changes, m{"iss": "shop-key"})...)) }
	asOther := theirs.Sign(t, says(m{"iss": "other-key", "jti": "j"}))
	lenient := func(c *gate.Config) { c.Issuers[0].Leeway = time.Minute }
	plain, other := sign(m{"jti": "j"}), sign(m{"jti": "k", "sub": "bob"})
	nameless := sign(m{"sub": "bob"})
	for name, c := range map[string]struct {
		change    func(*gate.Config)
		target    revoke.Target
		out, good string
	}{
		"jti":                    {nil, of(revoke.ID, "j"), plain, other},
		"sub":                    {nil, of(revoke.Subject, "alice"), plain, other},
		"sid":                    {nil, of(revoke.Session, "7"), sign(m{"sid": 7}), sign(m{"sid": 8})},
		"client":                 {nil, of(revoke.Client, "x"), sign(m{"client_id": "x"}), sign(m{"client_id": "y"})},
		"azp":                    {nil, of(revoke.Client, "x"), sign(m{"azp": "x"}), sign(m{"azp": "y"})},
		"all that are old":       {lenient, of(revoke.All, ""), plain, sign(m{"iat": start.Unix() + 1})},
		"a digest":               {nil, of(revoke.Text, revoke.Digest(nameless)), nameless, sign(m{"sub": "carol"})},
		"a digest beside a jti":  {nil, of(revoke.Text, revoke.Digest(nameless)), nameless, plain},
		"a group":                {revokedBy(t, "groups"), claim("/groups", "a"), sign(m{"groups": []any{"b", "a"}}), plain},
		"a nested claim":         {revokedBy(t, "a.b"), claim("/a/b", "1"), sign(m{"a": m{"b": 1}}), sign(m{"a": m{"b": 2}})},
		"by pointer":             {revokedBy(t, "/a/b"), claim("/a/b", "x"), sign(m{"a": m{"b": "x"}}), sign(m{"a.b": "x"})},
		"a consumer":             {shop, ofConsumer("shop", revoke.All, ""), asShop(), asOther},
		"a consumer's jti":       {shop, ofConsumer("shop", revoke.ID, "j"), asShop(m{"jti": "j"}), asOther},
		"a consumer's digest":    {shop, ofConsumer("shop", revoke.Text, revoke.Digest(asShop())), asShop(), asOther},
		"a consumer, no issuer":  {shop, ofConsumer("shop", revoke.All, ""), asShop(), plain},
		"an issuer, no consumer": {shop, of(revoke.All, ""), plain, asShop()},
		"one of a roster": {
			roster, ofConsumer("zoe", revoke.All, ""), mine.Sign(t, says(m{"iss": "zoe-key"})),
			theirs.Sign(t, says(m{"iss": "yan-key"})),
		},
		"one that the token names": {
			mapped, ofConsumer("shop", revoke.All, ""), sign(m{"client": "shop"}), sign(m{"client": "other"}),
		},
		"its jti": {
			mapped, ofConsumer("shop", revoke.ID, "j"), sign(m{"client": "shop", "jti": "j"}),
			sign(m{"client": "other", "jti": "j"}),
		},
		"its digest": {
			mapped, ofConsumer("shop", revoke.Text, revoke.Digest(sign(m{"client": "shop"}))), "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.out == "" { // signatures differ each time, and the digest is the same
				c.out, c.good = sign(m{"client": "shop"}), sign(m{"client": "shop", "sub": "bob"})
			}
			for seen, times := range map[string]int{"new": 0, "seen before": 2} {
				r := newRevocations(t)
				g := build(t, key, r.under(t), func(config *gate.Config) {
					if c.change != nil {
						c.change(config)
					}
				})
				for range times {
					accepted(t, g, request(c.out))
					accepted(t, g, request(c.good))
				}
				r.revoke(c.target)
				for range 2 {
					f := refused(t, g, request(c.out), gate.Revoked)
					if f.Cause == nil || strings.Contains(f.Cause.Error(), c.out) {
						t.Errorf("%s: cause %v", seen, f.Cause)
					}
					accepted(t, g, request(c.good))
				}
				agrees(t, g, request(c.out))
				agrees(t, g, request(c.good))
			}
		})
	}
}

// Tenants are revoked one by one, or all at once by the name of the issuer.
func TestRevokedTenants(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	tokens := map[string]string{}
	for _, name := range []string{"acme", "globex"} {
		tokens[name] = key.Sign(t, says(ofTenant(name), m{"jti": "j"}))
	}
	acme := ofTenant("acme")["iss"].(string)
	for name, c := range map[string]struct {
		target revoke.Target
		globex bool // is out, too
	}{
		"one":             {revoke.Target{Issuer: acme, Kind: revoke.All}, false},
		"a token of one":  {revoke.Target{Issuer: acme, Kind: revoke.ID, Value: "j"}, false},
		"a person of one": {revoke.Target{Issuer: acme, Kind: revoke.Subject, Value: "alice"}, false},
		"all":             {revoke.Target{Issuer: manyTenants, Kind: revoke.All}, true},
	} {
		r := newRevocations(t)
		g := build(t, key, r.under(t), forTenants(t, "acme", "globex"))
		accepted(t, g, request(tokens["acme"]))
		accepted(t, g, request(tokens["globex"]))
		r.revoke(c.target)
		if f := refused(t, g, request(tokens["acme"]), gate.Revoked); f.Issuer != acme {
			t.Errorf("%s: issuer %q", name, f.Issuer)
		}
		if _, err := g.Check(direct(request(tokens["globex"]))); (err != nil) != c.globex {
			t.Errorf("%s: the other tenant: %v", name, err)
		}
		agrees(t, g, request(tokens["globex"]))
	}
}

// Of a signature (r, s) of ECDSA anybody can make another valid one, (r, n-s). It is the same token.
func TestAnotherSignatureIsNoWayOut(t *testing.T) {
	key, r := tokentest.NewKey(t, "ES256", "k1"), newRevocations(t)
	g := build(t, key, r.under(t))
	token := key.Sign(t, says())
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	other := token[:dot+1] + base64.RawURLEncoding.EncodeToString(signature)
	accepted(t, g, request(token))
	accepted(t, g, request(other)) // or the test shows nothing
	r.revoke(revoke.Target{Issuer: issuerA, Kind: revoke.Text, Value: revoke.Digest(token)})
	refused(t, g, request(token), gate.Revoked)
	refused(t, g, request(other), gate.Revoked)
}

// An opaque token is known by its text, by what its server says, and by the consumer that the answer names.
func TestRevokedOpaqueTokens(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	said := m{"jti": "j", "client_id": "c", "groups": []string{"a"}, "client": "shop"}
	for name, target := range map[string]revoke.Target{
		"its text":       {Issuer: issuerA, Kind: revoke.Text, Value: revoke.Digest("v4.local.one")},
		"jti":            {Issuer: issuerA, Kind: revoke.ID, Value: "j"},
		"sub":            {Issuer: issuerA, Kind: revoke.Subject, Value: "alice"},
		"client":         {Issuer: issuerA, Kind: revoke.Client, Value: "c"},
		"a claim":        {Issuer: issuerA, Kind: revoke.Claim, Claim: "/groups", Value: "a"},
		"consumer":       {Consumer: "shop", Kind: revoke.All},
		"consumer, text": {Consumer: "shop", Kind: revoke.Text, Value: revoke.Digest("v4.local.one")},
	} {
		as, r := newAS(t), newRevocations(t)
		as.says["v4.local.one"] = active(said)
		as.says["v4.local.two"] = active(m{"sub": "bob", "client": "other"})
		g := as.gate(gate.AskOpaque, key, r.under(t), revokedBy(t, "groups"), func(c *gate.Config) {
			c.Consumers = []gate.Consumer{{Username: "shop"}, {Username: "other"}}
			c.Issuers[0].ConsumerClaim = path(t, "client")
		})
		for range 2 {
			accepted(t, g, request("v4.local.one"))
			accepted(t, g, request("v4.local.two"))
		}
		r.revoke(target)
		t.Log(name)
		refused(t, g, request("v4.local.one"), gate.Revoked)
		accepted(t, g, request("v4.local.two"))
		agrees(t, g, request("v4.local.one"))
	}
}

// An expired token in a cookie counts as none only if it is not revoked: neither itself nor its consumer.
func TestRevokedTokenInAnExpiredCookie(t *testing.T) {
	key, r := tokentest.NewKey(t, "ES256", "k1"), newRevocations(t)
	g := build(t, key, r.under(t), forgiving, func(c *gate.Config) {
		c.Consumers = []gate.Consumer{{Username: "shop"}, {Username: "other"}}
		c.Issuers[0].ConsumerClaim = path(t, "client")
		c.Extractor = extractor(t, bearer.DefaultPlace, bearer.Place{Kind: bearer.Cookie, Name: "t"})
	})
	in := func(changes ...m) *http.Request { return withCookies("t=" + key.Sign(t, expired(changes...))) }
	alice, bob := in(m{"client": "other"}), in(m{"sub": "bob", "client": "other"})
	shop := in(m{"sub": "bob", "client": "shop"})
	for _, request := range []*http.Request{alice, bob, shop} {
		countsAsNone(t, g, request)
	}
	r.out("alice")
	r.revoke(revoke.Target{Consumer: "shop", Kind: revoke.All})
	refused(t, g, alice, gate.Revoked)
	refused(t, g, shop, gate.Revoked)
	countsAsNone(t, g, bob)
	refused(t, g, in(m{"sub": "bob", "client": "nobody"}), gate.UnknownConsumer)
}
