package gate_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// cached is a gate with a cache, and its source of keys. The source counts how many tokens did not come from the cache.
func cached(
	tb testing.TB, cache *gate.Cache, key *tokentest.Key, changes ...func(*gate.Config),
) (*gate.Gate, *fakeKeys) {
	tb.Helper()
	keys := newKeys(tb, key)
	g := build(tb, key, append([]func(*gate.Config){func(c *gate.Config) {
		c.Issuers[0].Keys, c.Cache = keys, cache
	}}, changes...)...)
	return g, keys
}

func TestHitGivesTheSameIdentity(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g, keys := cached(t, newCache(t, 1<<20), key)
	token := key.Sign(t, says())
	first := accepted(t, g, request(token))
	for range 3 {
		if again := accepted(t, g, request(token)); again != first {
			t.Fatalf("identity %p, want %p", again, first)
		}
	}
	if n := keys.finds.Load(); n != 1 {
		t.Errorf("verified %d times, want once", n)
	}
	if other := accepted(t, g, request(key.Sign(t, says()))); other == first { // ES256 signs differently each time
		t.Error("two tokens share an entry")
	}
}

func TestTokensOfAWithdrawnKeyAreRefused(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	other := tokentest.NewKey(t, "ES256", "k2")
	g, keys := cached(t, newCache(t, 1<<20), key)
	token := key.Sign(t, says())
	accepted(t, g, request(token))

	keys.set(t, other)
	refused(t, g, request(token), gate.UnknownKey)
	keys.set(t, other.WithKID("k1")) // another key under the same id
	refused(t, g, request(token), gate.InvalidSignature)
	keys.set(t, key.WithKID("k9")) // the same key under another id
	refused(t, g, request(token), gate.UnknownKey)
	keys.gone()
	refused(t, g, request(token), gate.KeysUnavailable)
	keys.set(t, other, key)
	accepted(t, g, request(token))
}

func TestCachedTokenExpiresToTheNanosecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := tokentest.NewKey(t, "ES256", "k1")
		g, _ := cached(t, newCache(t, 1<<20), key, func(c *gate.Config) { c.Now = nil })
		now := time.Now()
		token := key.Sign(t, says(m{"iat": now.Unix(), "exp": now.Unix() + 60}))
		accepted(t, g, request(token))
		time.Sleep(time.Until(now.Add(60*time.Second - 1)))
		accepted(t, g, request(token))
		time.Sleep(1)
		refused(t, g, request(token), gate.Expired)
	})
}

func TestEntriesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := tokentest.NewKey(t, "ES256", "k1")
		cache := newCache(t, 1<<20)
		g, keys := cached(t, cache, key, func(c *gate.Config) { c.Now = nil })
		now := time.Now().Unix()
		short := key.Sign(t, says(m{"iat": now, "exp": now + 60}))
		endless := key.Sign(t, says(m{"iat": now, "exp": 253402300799}))
		accepted(t, g, request(short))
		accepted(t, g, request(endless))
		time.Sleep(60*time.Second + gate.MaxLeeway + 5*time.Second)
		cache.CleanUp()
		if n := cache.Entries(); n != 1 {
			t.Errorf("%d entries, want the endless one alone", n)
		}
		accepted(t, g, request(endless))
		if n := keys.finds.Load(); n != 2 {
			t.Errorf("verified %d times, want 2", n)
		}
	})
}

// Gates share entries if they differ only in settings that are applied to every request.
func TestSettingsOfGatesThatShareEntries(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says(m{"scope": "read"}))
	for name, c := range map[string]struct {
		change func(*gate.Config)
		want   gate.Reason
	}{
		"nothing":   {func(*gate.Config) {}, ""},
		"the realm": {func(c *gate.Config) { c.Realm = "other" }, ""},
		"another audience": {func(c *gate.Config) { c.Audience = accept("https://else.example") },
			gate.InvalidAudience},
		"the issuer's audience": {func(c *gate.Config) { c.Issuers[0].Audience = accept("https://else.example") },
			gate.InvalidAudience},
		"a scope that is there": {func(c *gate.Config) { c.Require.Scopes = []string{"read"} }, ""},
		"a scope that is not":   {func(c *gate.Config) { c.Require.Scopes = []string{"write"} }, gate.InsufficientScope},
		"the lifetime":          {func(c *gate.Config) { c.MaxLifetime = time.Second }, gate.LifetimeTooLong},
		"the issuer's lifetime": {func(c *gate.Config) { c.Issuers[0].MaxLifetime = time.Second }, gate.LifetimeTooLong},
		"the leeway":            {func(c *gate.Config) { c.Issuers[0].Leeway = time.Minute }, ""},
		"the time": {func(c *gate.Config) { c.Now = func() time.Time { return start.Add(300 * time.Second) } },
			gate.Expired},
		"where the token may be": {func(c *gate.Config) { c.ForwardToken = true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, 1<<20)
			g1, _ := cached(t, cache, key)
			accepted(t, g1, request(token))
			g2, keys := cached(t, cache, key, c.change)
			if c.want == "" {
				accepted(t, g2, request(token))
			} else {
				refused(t, g2, request(token), c.want)
			}
			if n := keys.finds.Load(); n != 0 {
				t.Errorf("verified %d times, want never", n)
			}
			accepted(t, g1, request(token)) // the other gate is not touched
		})
	}
}

// Gates do not see each other's entries if they differ in a setting that decides whose token it is, or whether it is
// good.
func TestSettingsOfGatesThatDoNotShareEntries(t *testing.T) {
	key, secret := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "HS256", "s")
	base := func(c *gate.Config) {
		shop := consumer(t, "shop", "shop-key", secret)
		shop.ID, shop.CustomID, shop.Groups = "1", "c", []string{"a", "b"}
		c.Consumers = []gate.Consumer{shop}
		c.Issuers = append(c.Issuers, issuer(t, issuerB, key))
	}
	shop := func(change func(*gate.Consumer)) func(*gate.Config) {
		return func(c *gate.Config) { change(&c.Consumers[0]) }
	}
	tokens := []string{key.Sign(t, says()), secret.Sign(t, says(m{"iss": "shop-key"}))}
	for name, change := range map[string]func(*gate.Config){
		"one more algorithm": func(c *gate.Config) {
			c.Issuers[0].Algorithms = c.Issuers[0].Algorithms.With(jose.RS256)
		},
		"other keys":              func(c *gate.Config) { c.Issuers[0].KeysID[31] = 9 },
		"a type":                  func(c *gate.Config) { c.Issuers[0].Types = []string{"jwt"} },
		"the profile":             func(c *gate.Config) { c.Issuers[1].AccessTokenProfile = true },
		"a required claim":        func(c *gate.Config) { c.Issuers[0].RequiredClaims = []claims.Path{path(t, "sub")} },
		"an audience that is any": anyAudience,
		"one issuer less":         func(c *gate.Config) { c.Issuers = c.Issuers[:1] },
		"issuers in reverse":      func(c *gate.Config) { c.Issuers[0], c.Issuers[1] = c.Issuers[1], c.Issuers[0] },
		"the key claim":           func(c *gate.Config) { c.KeyClaim = "kid" },
		"one more consumer": func(c *gate.Config) {
			c.Consumers = append(c.Consumers, consumer(t, "new", "new", secret))
		},
		"a consumer's name":      shop(func(c *gate.Consumer) { c.Username = "store" }),
		"a consumer's id":        shop(func(c *gate.Consumer) { c.ID = "2" }),
		"a consumer's custom id": shop(func(c *gate.Consumer) { c.CustomID = "d" }),
		"a consumer's groups":    shop(func(c *gate.Consumer) { c.Groups = []string{"ab"} }),
		"a consumer's secret": shop(func(c *gate.Consumer) {
			c.Credentials[0].Verifier = verifier(t, tokentest.NewKey(t, "HS256", "s2"))
		}),
		"a consumer's credential": shop(func(c *gate.Consumer) { c.Credentials[0].Key = "else" }),
	} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, 1<<20)
			g1, _ := cached(t, cache, key, base)
			g2, _ := cached(t, cache, key, base, change)
			for _, token := range tokens {
				first := accepted(t, g1, request(token))
				verdict, err := g2.Check(direct(request(token)))
				if err == nil && verdict.Identity == first {
					t.Error("the entry was reached")
				}
				if again := accepted(t, g1, request(token)); again != first {
					t.Error("the entry was replaced")
				}
			}
		})
	}
}

// A gate without keys has other settings than one with keys. If a caller gives both the same KeysID, that must not
// cause a panic.
func TestCachedTokenOfAnIssuerThatLostItsKeys(t *testing.T) {
	key, cache := tokentest.NewKey(t, "ES256", "k1"), newCache(t, 1<<20)
	token := key.Sign(t, says())
	g1, _ := cached(t, cache, key)
	accepted(t, g1, request(token))
	as := newAS(t)
	g2, _ := cached(t, cache, key, func(c *gate.Config) {
		c.Issuers[0].Keys, c.Issuers[0].Asking = nil, as.introspection(gate.AskOpaque)
	})
	defer func() {
		if trouble := recover(); trouble != nil {
			t.Errorf("panic: %v", trouble)
		}
	}()
	refused(t, g2, request(token), gate.Inactive)
}

func TestTokensThatAreNotCached(t *testing.T) {
	key, cache := tokentest.NewKey(t, "ES256", "k1"), newCache(t, 1<<20)
	g, _ := cached(t, cache, key)
	for _, token := range []string{
		"opaque", "e", "e30.e30.e30", tokentest.FlipSignature(t, key.Sign(t, says())), key.Sign(t, says(m{"iss": issuerB})),
		key.Sign(t, says(m{"exp": start.Add(-time.Hour).Unix()})), key.Sign(t, says(m{"exp": nil})),
	} {
		if _, err := g.Check(direct(request(token))); err == nil {
			t.Fatal("passed")
		}
	}
	accepted(t, g, request(key.SignRaw(` {"alg":"ES256"}`, `{"iss":"`+issuerA+`","aud":"`+api+`","exp":1795435999}`)))
	cache.CleanUp()
	if n := cache.Entries(); n != 0 {
		t.Errorf("%d entries, want none", n)
	}
}

// A token that is bound to a key is verified once and cached, so that further requests need only a proof of possession.
// Each request without a proof is refused, in whatever way the token says that it is bound.
func TestBoundTokenIsCachedAndRefusedEachTime(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	thumbprint := strings.Repeat("x", 43)
	for name, bound := range map[string]m{
		"to a public key":        {"cnf": m{"jkt": thumbprint}},
		"to a certificate":       {"cnf": m{"x5t#S256": thumbprint}},
		"to both":                {"cnf": m{"jkt": thumbprint, "x5t#S256": thumbprint}},
		"in a way that is new":   {"cnf": m{"jkt": thumbprint, "osc": m{}}},
		"to nothing":             {"cnf": m{}},
		"by its type, not cnf":   {"token_type": "DPoP"},
		"by its type and by cnf": {"token_type": "DPoP", "cnf": m{"jkt": thumbprint}},
	} {
		cache := newCache(t, 1<<20)
		g, keys := cached(t, cache, key)
		token := key.Sign(t, says(bound))
		for range 3 {
			refused(t, g, request(token), gate.ProofRequired)
		}
		cache.CleanUp()
		if asked, kept := keys.finds.Load(), cache.Entries(); asked != 1 || kept != 1 {
			t.Errorf("bound %s: verified %d times, %d entries; want 1 and 1", name, asked, kept)
		}
		expired := key.Sign(t, says(bound, m{"exp": start.Add(-time.Hour).Unix()}))
		refused(t, g, request(expired), gate.Expired)
	}
}

// No server is asked about a bound token without a proof of possession.
func TestBoundTokenIsNotAskedAbout(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := newAS(t)
	g := as.gate(gate.AskAlways, key)
	refused(t, g, request(key.Sign(t, says(m{"cnf": m{}}))), gate.ProofRequired)
	if n := as.asked(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

func TestConcurrentUse(t *testing.T) {
	key, other := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "k2")
	cache := newCache(t, 64<<10)
	g1, keys1 := cached(t, cache, key)
	g2, keys2 := cached(t, cache, key, func(c *gate.Config) { c.Audience = accept("x") })
	var tokens []string
	for i := range 200 {
		tokens = append(tokens, key.Sign(t, says(m{"sub": fmt.Sprint("user", i)})))
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 400 {
				n := (i*7 + worker*31) % len(tokens)
				verdict, err := g1.Check(direct(request(tokens[n])))
				if err == nil && verdict.Identity.ID != fmt.Sprint("user", n) {
					t.Errorf("token %d gave %v", n, verdict.Identity)
				}
				if err != nil && gate.FailureOf(err).Reason != gate.UnknownKey {
					t.Errorf("refused: %v", err)
				}
				if _, err := g2.Check(direct(request(tokens[n]))); err == nil {
					t.Error("another route's audience passed")
				}
			}
		})
	}
	for range 20 {
		keys1.set(t, other)
		keys2.set(t, other)
		keys1.set(t, key, other)
		keys2.set(t, key, other)
	}
	wg.Wait()
	accepted(t, g1, request(tokens[0]))
}
