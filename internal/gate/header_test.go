package gate_test

import (
	"encoding/json"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// The identity has the header of the token, at first sight and from the cache, for an issuer and a consumer.
func TestHeaderIsKept(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	company := func(c *gate.Config) {
		c.Require.Header = []claims.Condition{{Path: path(t, "co"), Values: []string{"intersystems"}}}
		c.ForwardHeader = []gate.Forward{{Path: path(t, "co"), Header: "X-Company"}}
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)}
	}
	g, keys := cached(t, newCache(t, 1<<20), key, company)
	for _, iss := range []string{issuerA, "shop-key"} {
		token := key.Sign(t, says(m{"iss": iss}), m{"co": "intersystems"})
		var first *gate.Identity
		for range 3 {
			r := request(token)
			id := accepted(t, g, r)
			if first == nil {
				first = id
			} else if id != first {
				t.Fatal("not from the cache")
			}
			if got, _ := id.HeaderMember("co"); got != "intersystems" || id.Header.Text("kid") != "k1" {
				t.Errorf("%s: company %v, kid %q", iss, got, id.Header.Text("kid"))
			}
			if err := g.Annotate(r, id); err != nil || r.Header.Get("X-Company") != "intersystems" {
				t.Errorf("%s: %v, %v", iss, r.Header, err)
			}
		}
		refused(t, g, request(key.Sign(t, says(m{"iss": iss, "co": "intersystems"}), m{"co": "acme"})), gate.ClaimMismatch)
	}
	if keys.finds.Load() == 0 {
		t.Error("no key was looked for")
	}
}

// Explain and Check agree about the header, and Explain shows it.
func TestExplainShowsTheHeader(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, c := range map[string]struct {
		change func(*gate.Config)
		step   string
		came   []string
	}{
		"met": {func(c *gate.Config) {
			c.Require.Header = []claims.Condition{{Path: path(t, "co"), Values: []string{"acme"}}}
		}, "require_header pass", []string{`"acme"`}},
		"not met": {func(c *gate.Config) {
			c.Require.Header = []claims.Condition{{Path: path(t, "prod")}}
		}, "require_header fail", nil},
		"excluded": {func(c *gate.Config) {
			c.Require.Not.Header = []claims.Condition{{Path: path(t, "co"), Values: []string{"acme"}}}
		}, "require_not_header fail", []string{`"acme"`}},
	} {
		t.Run(name, func(t *testing.T) {
			e := agrees(t, build(t, key, c.change), request(key.Sign(t, says(), m{"co": "acme", "x5c": []string{"MII"}})))
			i := slices.Index(results(e), c.step)
			if i < 0 || !slices.Equal(e.Steps[i].Came, c.came) {
				t.Fatalf("no %s with %v in %+v", c.step, c.came, e.Steps)
			}
			format := e.Steps[slices.Index(results(e), "format pass")].Came
			if !slices.Equal(format, []string{"a JWT", `header co "acme"`, `header x5c ["MII"]`}) {
				t.Errorf("the format is %q", format)
			}
		})
	}
}

// The cache counts what it keeps of a header. White space around it is not kept.
func TestCachedHeaderIsCounted(t *testing.T) {
	key := tokentest.NewKey(t, "HS256", "h").WithKID("")
	const tokens = 300
	for name, header := range map[string]string{
		"a chain of certificates": `{"alg":"HS256","x5c":["` + strings.Repeat("M", 8000) + `"]}`,
		"white space":             `{"alg":"HS256"}` + strings.Repeat(" ", 8000),
	} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, 1<<30)
			g := build(t, key, func(c *gate.Config) {
				c.Cache, c.Consumers = cache, []gate.Consumer{consumer(t, "shop", "shop-key", key)}
			})
			requests := make([]*http.Request, tokens)
			for i := range requests {
				requests[i] = request(key.SignRaw(header, asText(t, says(m{"iss": "shop-key", "n": i}))))
			}
			before := heap()
			for _, r := range requests {
				accepted(t, g, r)
			}
			cache.CleanUp()
			real, account := int(heap()-before)/tokens, int(cache.Weight())/tokens
			t.Logf("costs %d bytes, accounted %d", real, account)
			if cache.Entries() != tokens {
				t.Fatalf("%d entries", cache.Entries())
			}
			if long := strings.Contains(header, "x5c"); real > account || long && account < 2*8000 || !long && real > 2500 {
				t.Errorf("costs %d bytes, accounted %d", real, account)
			}
			runtime.KeepAlive(requests)
			runtime.KeepAlive(g)
		})
	}
}

// Neither a hit whose header is required nor one without that allocates.
func TestHitWithAHeaderAllocatesNothing(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	key := tokentest.NewKey(t, "RS256", "k1")
	g, _ := cached(t, newCache(t, 1<<20), key, func(c *gate.Config) {
		c.Require.Header = []claims.Condition{{Path: path(t, "co"), Values: []string{"acme"}}}
		c.Require.Not.Header = []claims.Condition{{Path: path(t, "prod"), Values: []string{"old"}}}
	})
	r := request(key.Sign(t, says(), m{"co": "acme"}))
	for range 3 {
		accepted(t, g, r)
	}
	if n := testing.AllocsPerRun(200, func() { _, _ = g.Check(direct(r)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func asText(t *testing.T, payload m) string {
	t.Helper()
	text, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
