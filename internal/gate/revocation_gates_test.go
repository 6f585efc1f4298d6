package gate_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// off leaves the tokens of issuerA out.
func off(c *gate.Config) { c.Issuers[0].Revocation.Off = true }

// A gate with "revocation off" accepts what another refuses, and no gate believes another that judges by other claims.
// That holds although they share a cache, and the answers of a server.
func TestGatesJudgeForThemselves(t *testing.T) {
	key, cache := tokentest.NewKey(t, "ES256", "k1"), newCache(t, 1<<20)
	as, r := newAS(t), newRevocations(t)
	asking := as.introspection(gate.AskOpaque)
	share := func(c *gate.Config) {
		c.Cache, c.Revocations, c.MaxLifetime, c.Issuers[0].Asking = cache, r.List(), time.Hour, asking
	}
	said := m{"groups": []string{"a"}, "tier": "gold", "a": m{"b": "x"}}
	as.says["opaque"] = active(said)
	jwt := key.Sign(t, says(said))
	gates := map[string]*gate.Gate{
		"none": build(t, key, share), "groups": build(t, key, share, revokedBy(t, "groups")),
		"tier": build(t, key, share, revokedBy(t, "tier")), "off": build(t, key, share, off),
		"both": build(t, key, share, revokedBy(t, "tier", "groups")),
		"not":  build(t, key, share, func(c *gate.Config) { c.Revocations = nil }),
	}
	names := []string{"none", "off", "tier", "not", "groups", "both"} // those that accept come first
	check := func(refusing ...string) {
		t.Helper()
		for range 2 {
			for _, token := range []string{jwt, "opaque"} {
				for _, name := range names {
					_, err := gates[name].Check(direct(request(token)))
					if out := errors.Is(err, gate.Revoked); out != slices.Contains(refusing, name) || err != nil && !out {
						t.Errorf("gate %s, token %.6s: %v", name, token, err)
					}
				}
			}
		}
	}
	check()
	r.revoke(revoke.Target{Issuer: issuerA, Kind: revoke.Claim, Claim: "/groups", Value: "a"})
	check("groups", "both")
	r.revoke(revoke.Target{Issuer: issuerA, Kind: revoke.Claim, Claim: "/tier", Value: "gold"})
	check("groups", "both", "tier")
	r.out("alice")
	check("groups", "both", "tier", "none")
}

// Gates that share a token may have another consumer for it. One of them does not speak for the others.
func TestGatesJudgeConsumersForThemselves(t *testing.T) {
	key, cache, r := tokentest.NewKey(t, "ES256", "k1"), newCache(t, 1<<20), newRevocations(t)
	named := func(claim string) *gate.Gate {
		g, _ := cached(t, cache, key, func(c *gate.Config) {
			c.Revocations, c.MaxLifetime, c.Issuers[0].ConsumerClaim = r.List(), time.Hour, path(t, claim)
			c.Consumers = []gate.Consumer{{Username: "a"}, {Username: "b"}}
		})
		return g
	}
	byX, byY := named("x"), named("y")
	token := request(key.Sign(t, says(m{"x": "a", "y": "b"})))
	for range 2 {
		accepted(t, byX, token)
		accepted(t, byY, token)
	}
	r.revoke(revoke.Target{Consumer: "b", Kind: revoke.Subject, Value: "alice"})
	for range 3 {
		accepted(t, byX, token)
		refused(t, byY, token, gate.Revoked)
	}
	r.revoke(revoke.Target{Consumer: "a", Kind: revoke.All})
	refused(t, byX, token, gate.Revoked)
}

// A gate that gets another list looks anew, whatever generation that has.
func TestAnotherList(t *testing.T) {
	key, cache := tokentest.NewKey(t, "ES256", "k1"), newCache(t, 1<<20)
	token := key.Sign(t, says())
	lists := []revocations{newRevocations(t), newRevocations(t)}
	lists[1].out("alice")
	for range 2 {
		for i, r := range lists {
			g, _ := cached(t, cache, key, func(c *gate.Config) { c.Revocations, c.MaxLifetime = r.List(), time.Hour })
			if _, err := g.Check(direct(request(token))); errors.Is(err, gate.Revoked) != (i == 1) {
				t.Errorf("list %d: %v", i, err)
			}
		}
	}
}

func TestRevocationNeedsABoundOfLives(t *testing.T) {
	key, r := tokentest.NewKey(t, "ES256", "k1"), newRevocations(t)
	shop := func(c *gate.Config) { c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)} }
	second := func(life time.Duration) func(*gate.Config) {
		return func(c *gate.Config) {
			c.Issuers = append(c.Issuers, issuer(t, issuerB, key))
			c.Issuers[0].MaxLifetime, c.Issuers[1].MaxLifetime = time.Hour, life
		}
	}
	whole := func(c *gate.Config) { c.MaxLifetime = time.Hour }
	without := func(c *gate.Config) { c.Revocations = nil }
	ofIssuer := func(c *gate.Config) { c.Issuers[0].MaxLifetime = time.Hour }
	for name, c := range map[string]struct {
		changes []func(*gate.Config)
		field   string
	}{
		"none":                     {nil, "Issuers[0].MaxLifetime"},
		"that of the gate":         {[]func(*gate.Config){whole}, ""},
		"that of the issuer":       {[]func(*gate.Config){ofIssuer}, ""},
		"of one issuer alone":      {[]func(*gate.Config){second(0)}, "Issuers[1].MaxLifetime"},
		"of both issuers":          {[]func(*gate.Config){second(time.Hour)}, ""},
		"revocation is off":        {[]func(*gate.Config){off}, ""},
		"no store":                 {[]func(*gate.Config){without}, ""},
		"consumers":                {[]func(*gate.Config){off, shop}, "MaxLifetime"},
		"of the issuer alone":      {[]func(*gate.Config){ofIssuer, shop}, "MaxLifetime"},
		"consumers of a roster":    {[]func(*gate.Config){off, with(newRoster())}, "MaxLifetime"},
		"consumers, with the gate": {[]func(*gate.Config){whole, shop}, ""},
	} {
		config := config(t, key, append([]func(*gate.Config){
			func(c *gate.Config) { c.Revocations = r.List() },
		}, c.changes...)...)
		_, err := gate.New(config)
		wrong, is := errors.AsType[*setting.Error](err)
		if is != (c.field != "") || is && (wrong.Field != c.field || !strings.Contains(err.Error(), "max_lifetime")) {
			t.Errorf("%s: %v, want one about %q", name, err, c.field)
		}
	}
}

func TestOwnersOfAGate(t *testing.T) {
	key, r := tokentest.NewKey(t, "ES256", "k1"), newRevocations(t)
	g := build(t, key, func(c *gate.Config) {
		c.Revocations, c.MaxLifetime, c.Leeway = r.List(), 2*time.Hour, time.Second
		c.Issuers[0].MaxLifetime, c.Issuers[0].Leeway = time.Hour, time.Minute
		c.Issuers = append(c.Issuers, issuer(t, issuerB, key), issuer(t, "https://third.example", key))
		c.Issuers[1].Revocation.Off = true
		c.Issuers[2].Leeway, c.Issuers[2].ConsumerClaim = 2*time.Minute, path(t, "client")
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)}
		c.Roster = newRoster(guest(t, "zoe", "zoe-key", key))
	}, revokedBy(t, "groups"))
	owners := g.Owners()
	if len(owners) != 3 {
		t.Fatalf("%d owners: %+v", len(owners), owners)
	}
	a, third, consumers := owners[0], owners[1], owners[2]
	if a.Issuer != issuerA || a.MaxLifetime != time.Hour || a.Leeway != time.Minute || a.IsTenant != nil ||
		fmt.Sprint(a.Claims) != "[/groups]" {
		t.Errorf("%+v", a)
	}
	if third.Issuer != "https://third.example" || third.MaxLifetime != 2*time.Hour || third.Claims != nil {
		t.Errorf("%+v", third)
	}
	// A consumer may be named by a token of the third issuer.
	if consumers.Issuer != "" || consumers.MaxLifetime != 2*time.Hour || consumers.Leeway != 2*time.Minute ||
		!consumers.IsConsumer("shop") || !consumers.IsConsumer("zoe") || consumers.IsConsumer(issuerA) ||
		consumers.IsConsumer("shop-key") {
		t.Errorf("%+v", consumers)
	}
	tenants := build(t, key, forTenants(t, "acme"), r.under(t)).Owners()
	if len(tenants) != 1 || tenants[0].Issuer != manyTenants || !tenants[0].IsTenant(ofTenant("acme")["iss"].(string)) ||
		tenants[0].IsTenant(issuerA) {
		t.Errorf("%+v", tenants)
	}
	if none := build(t, key).Owners(); len(none) != 0 {
		t.Errorf("without a store: %+v", none)
	}
}

// The verdict has what a watch needs, only if somebody watches. The token in it is the one that the gate has judged.
func TestWatchedVerdict(t *testing.T) {
	key, mine := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "HS256", "mine")
	as, r := newAS(t), newRevocations(t)
	as.says["opaque"] = active(m{"jti": "j", "client": "shop"})
	watched := func(c *gate.Config) { c.Watched = true }
	shops := func(c *gate.Config) {
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", mine)}
		c.Issuers[0].ConsumerClaim = path(t, "client")
	}
	with := as.gate(gate.AskOpaque, key, r.under(t), watched, shops)
	without := as.gate(gate.AskOpaque, key, r.under(t), shops)
	none := as.gate(gate.AskOpaque, key, r.under(t), watched, shops, off)
	tokens := map[string]revoke.Token{
		key.Sign(t, says(m{"client": "shop", "jti": "j"})): {Issuer: issuerA, Consumer: "shop"},
		key.Sign(t, says(m{"client": "shop"})):             {Issuer: issuerA, Consumer: "shop", Digest: "itself"},
		mine.Sign(t, says(m{"iss": "shop-key"})):           {Consumer: "shop", Digest: "itself"},
		"opaque":                                           {Issuer: issuerA, Consumer: "shop", Digest: "itself"},
	}
	for token, want := range tokens {
		verdict, err := with.Check(direct(request(token)))
		if err != nil || verdict.Revocable == nil {
			t.Fatalf("%.8s: %+v, %v", token, verdict, err)
		}
		if want.Digest != "" {
			want.Digest = revoke.Digest(token)
		}
		got := verdict.Revocable
		if got.Issuer != want.Issuer || got.Consumer != want.Consumer || got.Digest != want.Digest || got.Raw != "" ||
			got.Set == nil {
			t.Errorf("%.8s: %+v", token, got)
		}
		ended := make(chan struct{})
		stop := r.List().Watch(*got, func() { close(ended) })
		r.revoke(revoke.Target{Consumer: "shop", Kind: revoke.Text, Value: revoke.Digest(token)})
		if want.Digest == "" {
			r.revoke(revoke.Target{Consumer: "shop", Kind: revoke.ID, Value: "j"})
		}
		<-ended
		stop()
		refused(t, with, request(token), gate.Revoked)
		if want.Digest == "" { // the opaque token has the same jti
			lift := revoke.Entry{
				Target: revoke.Target{Consumer: "shop", Kind: revoke.ID, Value: "j"}, Lifted: true, Expires: start,
			}
			if err := r.Write(t.Context(), &lift); err != nil {
				t.Fatal(err)
			}
		}
	}
	good := key.Sign(t, says(m{"client": "shop", "sub": "bob"}))
	for name, g := range map[string]*gate.Gate{"not watched": without, "not revocable": none} {
		if verdict, err := g.Check(direct(request(good))); err != nil || verdict.Revocable != nil {
			t.Errorf("%s: %+v, %v", name, verdict, err)
		}
	}
}

// The cache knows how many of its tokens an entry would refuse.
func TestCacheCountsWhatAnEntryRefuses(t *testing.T) {
	key, cache, r := tokentest.NewKey(t, "ES256", "k1"), newCache(t, 1<<20), newRevocations(t)
	mine := tokentest.NewKey(t, "HS256", "mine")
	share := func(c *gate.Config) { c.Cache, c.Revocations, c.MaxLifetime = cache, r.List(), time.Hour }
	g := build(t, key, share, func(c *gate.Config) {
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", mine)}
	})
	tenants := build(t, key, share, forTenants(t, "acme"))
	for i := range 3 {
		accepted(t, g, request(key.Sign(t, says(m{"jti": fmt.Sprint(i), "groups": []any{"a", i}}))))
		accepted(t, tenants, request(key.Sign(t, says(ofTenant("acme"), m{"jti": fmt.Sprint(i)}))))
	}
	accepted(t, g, request(mine.Sign(t, says(m{"iss": "shop-key"}))))
	for name, c := range map[string]struct {
		target revoke.Target
		want   int
	}{
		"a subject": {revoke.Target{Issuer: issuerA, Kind: revoke.Subject, Value: "alice"}, 3},
		"a token":   {revoke.Target{Issuer: issuerA, Kind: revoke.ID, Value: "1"}, 1},
		"a claim":   {revoke.Target{Issuer: issuerA, Kind: revoke.Claim, Claim: "/groups", Value: "2"}, 1},
		"a tenant":  {revoke.Target{Issuer: ofTenant("acme")["iss"].(string), Kind: revoke.All}, 3},
		"tenants":   {revoke.Target{Issuer: manyTenants, Kind: revoke.All}, 3},
		"consumer":  {revoke.Target{Consumer: "shop", Kind: revoke.All}, 1},
		"nobody":    {revoke.Target{Issuer: issuerB, Kind: revoke.All}, 0},
	} {
		entry := &revoke.Entry{Target: c.target, NotAfter: start}
		if n := cache.Revoked(entry); n != c.want {
			t.Errorf("%s: %d, want %d", name, n, c.want)
		}
	}
}

// No token may count as good in a generation in which it was revoked, however many requests are under way.
func TestNoRevokedTokenPasses(t *testing.T) {
	n := 400
	if testing.Short() {
		n = 100
	}
	key, r := tokentest.NewKey(t, "HS256", "k1"), newRevocations(t)
	as := newAS(t)
	for i := range n {
		as.says[fmt.Sprint("opaque", i)] = active(m{"sub": fmt.Sprint(i)})
	}
	asking := as.introspection(gate.AskOpaque)
	g := build(t, key, r.under(t), func(c *gate.Config) { c.Issuers[0].Asking = asking })
	tokens := make([]string, 2*n)
	for i := range n {
		tokens[2*i] = key.Sign(t, says(m{"sub": fmt.Sprint(i)}))
		tokens[2*i+1] = fmt.Sprint("opaque", i)
	}
	for _, token := range tokens {
		accepted(t, g, request(token))
	}
	var revokedUntil atomic.Int64 // all tokens before this one are revoked
	var stop atomic.Bool
	var others sync.WaitGroup
	for worker := range 4 {
		others.Go(func() {
			for i := worker; !stop.Load(); i = (i + 7) % len(tokens) {
				before := revokedUntil.Load()
				_, err := g.Check(direct(request(tokens[i])))
				if err == nil && int64(i) < before {
					t.Errorf("token %d passes, and all until %d are revoked", i, before)
					return
				}
				if err != nil && !errors.Is(err, gate.Revoked) {
					t.Errorf("token %d: %v", i, err)
					return
				}
			}
		})
	}
	for i := range n {
		r.out(fmt.Sprint(i))
		refused(t, g, request(tokens[2*i]), gate.Revoked)
		refused(t, g, request(tokens[2*i+1]), gate.Revoked)
		revokedUntil.Store(int64(2*i + 2))
	}
	stop.Store(true)
	others.Wait()
}
