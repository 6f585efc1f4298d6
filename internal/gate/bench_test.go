package gate_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// sized is a good token of issuerA of this many bytes, or a few more.
func sized(tb testing.TB, key *tokentest.Key, size int, changes ...m) string {
	tb.Helper()
	set := append([]m{
		{"client_id": "portal", "jti": "5c1a2e0f", "scope": "openid profile orders.read orders.write", "x": ""},
	}, changes...)
	lack := size - len(key.Sign(tb, says(set...)))
	if lack > 0 {
		set = append(set, m{"x": strings.Repeat("x", lack*3/4)})
	}
	return key.Sign(tb, says(set...))
}

// check is the loop of most benchmarks.
func check(b *testing.B, g *gate.Gate, r *http.Request, want gate.Reason) {
	b.Helper()
	if want == "" {
		accepted(b, g, r)
	} else {
		refused(b, g, r, want)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Check(direct(r)); (err == nil) != (want == "") {
			b.Fatal(err)
		}
	}
}

// One token is in use on all processors. "go test -bench HitParallel -cpu 1,2,8" shows that there is no lock.
func BenchmarkCheckHitParallel(b *testing.B) {
	key := tokentest.NewKey(b, "RS256", "k1")
	token := sized(b, key, 850)
	g, _ := cached(b, newCache(b, 32<<20), key)
	accepted(b, g, request(token))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := request(token)
		for pb.Next() {
			if _, err := g.Check(direct(r)); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkCheckHit(b *testing.B) {
	key := tokentest.NewKey(b, "RS256", "k1")
	token := sized(b, key, 850)
	b.Run("tokens=1", func(b *testing.B) {
		g, _ := cached(b, newCache(b, 32<<20), key)
		check(b, g, request(token), "")
	})
	b.Run("tokens=1/clock=real", func(b *testing.B) {
		g, _ := cached(b, newCache(b, 32<<20), key, func(c *gate.Config) { c.Now = nil })
		long := sized(b, key, 850, m{"iat": nil, "exp": 253402300799})
		check(b, g, request(long), "")
	})
	b.Run("tokens=1/audiences=2/scopes=2", func(b *testing.B) {
		g, _ := cached(b, newCache(b, 32<<20), key, func(c *gate.Config) {
			c.Audience, c.Require.Scopes = accept(api), []string{"orders.read", "orders.write"}
		})
		check(b, g, request(token), "")
	})
	b.Run("tokens=100", func(b *testing.B) {
		g, _ := cached(b, newCache(b, 32<<20), key)
		hits(b, g, requests(b, 100, func(i int) string { return sized(b, key, 850, m{"jti": fmt.Sprint(i)}) }))
	})
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("cached=%d/tokens=1", n), func(b *testing.B) {
			g := crowded(b, key, n)
			check(b, g, request(token), "")
		})
		b.Run(fmt.Sprintf("cached=%d/tokens=1000", n), func(b *testing.B) {
			g, mint := crowded(b, key, n), newMinter(b, 0)
			hits(b, g, requests(b, 1000, func(i int) string { return mint.token(i * (n / 1000)) }))
		})
	}
}

func requests(b *testing.B, n int, token func(int) string) []*http.Request {
	b.Helper()
	list := make([]*http.Request, n)
	for i := range list {
		list[i] = request(token(i))
	}
	return list
}

func hits(b *testing.B, g *gate.Gate, list []*http.Request) {
	b.Helper()
	for _, r := range list {
		accepted(b, g, r)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := g.Check(direct(list[i%len(list)])); err != nil {
			b.Fatal(err)
		}
		i += 7
	}
}

// crowds are gates with full caches. Filling one takes a while, so each is made once.
var crowds = map[int]*gate.Gate{}

func crowded(b *testing.B, key *tokentest.Key, n int) *gate.Gate {
	b.Helper()
	if g, ok := crowds[n]; ok {
		return g
	}
	cache, err := gate.NewCache(4 << 30)
	if err != nil {
		b.Fatal(err)
	}
	mint := newMinter(b, 0)
	g := mint.gate(cache, key)
	r := request("x")
	for i := range n {
		r.Header["Authorization"][0] = "Bearer " + mint.token(i)
		for range 2 { // a token is kept when it comes for the second time
			accepted(b, g, r)
		}
	}
	cache.CleanUp()
	if cache.Entries() != n {
		b.Fatalf("%d entries, want %d", cache.Entries(), n)
	}
	crowds[n] = g
	return g
}

func BenchmarkCheckCold(b *testing.B) {
	for _, name := range []string{"HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA", "ES512"} {
		key := tokentest.NewKey(b, name, "k1")
		token := sized(b, key, 850)
		b.Run("alg="+name+"/op=bare", func(b *testing.B) {
			verify := bare(b, key, token)
			b.ReportAllocs()
			for b.Loop() {
				if !verify() {
					b.Fatal("invalid")
				}
			}
		})
		b.Run("alg="+name+"/op=check", func(b *testing.B) { check(b, build(b, key), request(token), "") })
	}
	key := tokentest.NewKey(b, "EdDSA", "k1")
	b.Run("alg=EdDSA/op=check/cache=on", func(b *testing.B) {
		// Every token is different, so each is stored. There are more tokens than the cache holds, so none is found.
		cache := newCache(b, 64<<10)
		g, _ := cached(b, cache, key)
		list := requests(b, 2000, func(i int) string { return sized(b, key, 850, m{"jti": fmt.Sprint(i)}) })
		hits(b, g, list)
	})
}

func BenchmarkCheckRefused(b *testing.B) {
	key := tokentest.NewKey(b, "EdDSA", "k1")
	sign := func(changes ...m) string { return sized(b, key, 850, changes...) }
	good := sign()
	long := strings.Repeat("a", 16<<10)
	for _, c := range []struct {
		name, token string
		want        gate.Reason
	}{
		{"missing", "", gate.MissingToken},
		{"too-long", long + "a", gate.MalformedRequest},
		{"dots", strings.Repeat(".", 15_000), gate.MalformedToken},
		{"opaque", "2YotnFZFEjr1zCsicMWpAA", gate.MalformedToken},
		{"damaged", good + "=", gate.MalformedToken},
		{"alg-none", key.SignRaw(`{"alg":"none"}`, `{}`), gate.UnsupportedAlgorithm},
		{"other-kind", key.Sign(b, says(), m{"typ": "logout+jwt"}), gate.InvalidType},
		{"unknown-issuer", sign(m{"iss": issuerB}), gate.UnknownIssuer},
		{"unknown-key", key.WithKID("other").Sign(b, says()), gate.UnknownKey},
		{"signature", tokentest.FlipSignature(b, good), gate.InvalidSignature},
		{"expired", sign(m{"exp": start.Unix()}), gate.Expired},
		{"audience", sign(m{"aud": "x"}), gate.InvalidAudience},
		{"bound", sign(m{"cnf": m{}}), gate.ProofRequired},
		{"scope", good, gate.InsufficientScope},
	} {
		for _, cache := range []string{"off", "on"} {
			b.Run("reason="+c.name+"/cache="+cache, func(b *testing.B) {
				g := build(b, key, func(cfg *gate.Config) {
					if cache == "on" {
						cfg.Cache = newCache(b, 1<<20)
					}
					if c.want == gate.InsufficientScope {
						cfg.Require.Scopes = []string{"admin"}
					}
				})
				check(b, g, request(c.token), c.want)
			})
		}
	}
}

// Every refusal includes an answer.
func BenchmarkAnswer(b *testing.B) {
	g := build(b, tokentest.NewKey(b, "ES256", "k1"))
	f := &gate.Failure{Reason: gate.Expired}
	b.ReportAllocs()
	for b.Loop() {
		h := make(http.Header, 4)
		g.Answer(f).WriteTo(h)
	}
}

func BenchmarkLookup(b *testing.B) {
	key := tokentest.NewKey(b, "HS256", "s")
	for _, n := range []int{1, 1_000, 100_000} {
		b.Run(fmt.Sprintf("consumers=%d", n), func(b *testing.B) {
			verifier := verifier(b, key)
			g := build(b, key, func(c *gate.Config) {
				c.Issuers = nil
				for i := range n {
					c.Consumers = append(c.Consumers, gate.Consumer{Username: fmt.Sprint("user", i), Credentials: []gate.Credential{
						{Key: fmt.Sprint("key", i), Algorithm: alg(b, "HS256"), Verifier: verifier},
					}})
				}
			})
			check(b, g, request(sized(b, key, 850, m{"iss": fmt.Sprint("key", n/2)})), "")
		})
	}
	for _, n := range []int{1, 10_000} {
		b.Run(fmt.Sprintf("issuers=%d", n), func(b *testing.B) {
			g := build(b, key, func(c *gate.Config) {
				one := c.Issuers[0]
				c.Issuers = nil
				for i := range n {
					one.Name = fmt.Sprint("https://as.example/", i)
					c.Issuers = append(c.Issuers, one)
				}
			})
			check(b, g, request(sized(b, key, 850, m{"iss": fmt.Sprint("https://as.example/", n/2)})), "")
		})
	}
}

func BenchmarkStripAndAnnotate(b *testing.B) {
	key := tokentest.NewKey(b, "ES256", "k1")
	for _, claims := range []int{0, 2} {
		b.Run(fmt.Sprintf("claims=%d", claims), func(b *testing.B) {
			g := build(b, key, forward(b, []string{"sub", "X-User", "scope", "X-Scope"}[:2*claims]...))
			token := sized(b, key, 850)
			id := accepted(b, g, request(token))
			r := request("")
			for _, name := range []string{
				"Accept", "Accept-Encoding", "User-Agent", "Referer", "X-Request-Id", "Accept-Language", "Cache-Control",
			} {
				r.Header.Set(name, "something")
			}
			field := []string{"Bearer " + token}
			b.ReportAllocs()
			for b.Loop() {
				r.Header["Authorization"] = field
				g.Strip(r)
				if err := g.Annotate(r, id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
