package gate_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// busy is a list to which something is written before each request, so that every token is looked up.
type busy struct {
	*revoke.List
	writes atomic.Uint64
}

func (b *busy) Generation(time.Time) (uint64, error) { return 1<<40 + b.writes.Add(1), nil }

// full writes entries of all kinds, of issuers and of consumers. They revoke none of the tokens of the benchmarks.
func (r revocations) full(n int) revocations {
	r.t.Helper()
	var writers sync.WaitGroup
	const many = 64
	for writer := range many {
		writers.Go(func() {
			for i := writer; i < n; i += many {
				e := &revoke.Entry{NotAfter: start, Expires: start.Add(time.Hour), At: start}
				e.Kind, e.Issuer, e.Value = revoke.All+revoke.Kind(i%7), issuerA, fmt.Sprintf("%032x", i)
				switch {
				case e.Kind == revoke.All:
					e.Issuer, e.Value = issuerA+"/"+e.Value, ""
				case i%2 == 0:
					e.Issuer, e.Consumer = "", fmt.Sprint("consumer ", i%1000)
				}
				switch {
				case e.Kind.IsToken():
					e.NotAfter = time.Time{}
				case e.Kind == revoke.Claim:
					e.Claim = "/groups"
				}
				if err := r.Write(r.t.Context(), e); err != nil {
					r.t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	return r
}

// fullLists have a million entries or none. Filling one takes a while, so each is made once.
var fullLists = map[int]*revoke.List{}

func fullList(b *testing.B, n int) *revoke.List {
	b.Helper()
	if fullLists[n] == nil {
		fullLists[n] = newRevocations(b).full(n).List()
	}
	return fullLists[n]
}

// What revocation adds to a token that was seen before: with "list=none" it is not judged, with "write=none" nothing
// was written since it was judged last, and with "write=each" something was.
func BenchmarkCheckHitRevocation(b *testing.B) {
	key := tokentest.NewKey(b, "RS256", "k1")
	list := []*revoke.List{fullList(b, 0), fullList(b, 1_000_000)}
	groups := m{"sid": "9c1a2e0f-1c1f-4f0e-9a57-0a4f8a3f2b33", "azp": "portal", "groups": []string{"staff", "admins"}}
	shared := newCache(b, 1<<30)
	run := func(name string, with gate.Revocations, changes ...func(*gate.Config)) {
		bounded := func(c *gate.Config) { c.MaxLifetime, c.Revocations = time.Hour, with }
		changes = append([]func(*gate.Config){bounded, revokedBy(b, "groups")}, changes...)
		b.Run(name, func(b *testing.B) {
			g, _ := cached(b, shared, key, changes...)
			hits(b, g, requests(b, 1000, func(i int) string {
				return sized(b, key, 850, groups, m{"jti": fmt.Sprint(i), "sub": fmt.Sprint("subject ", i), "client": "shop"})
			}))
		})
	}
	shops := func(c *gate.Config) {
		c.Consumers, c.Issuers[0].ConsumerClaim = []gate.Consumer{{Username: "shop"}}, path(b, "client")
	}
	run("list=none", nil)
	run("list=0/write=none", list[0])
	run("list=1000000/write=none", list[1])
	run("list=0/write=each", &busy{List: list[0]})
	run("list=1000000/write=each", &busy{List: list[1]})
	run("list=none/consumer", nil, shops)
	run("list=1000000/write=none/consumer", list[1], shops)
	run("list=1000000/write=each/consumer", &busy{List: list[1]}, shops)
}

// Looking for a revoked token allocates nothing, also if the token is opaque or has no jti: its digest is remembered.
func TestRevocationAllocatesNothing(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	key, r := tokentest.NewKey(t, "RS256", "k1"), newRevocations(t).full(700)
	as := newAS(t)
	as.says["opaque-2"] = active()
	asking := as.introspection(gate.AskOpaque)
	allocations := func(with gate.Revocations, token string) float64 {
		g, _ := cached(t, newCache(t, 1<<20), key, revokedBy(t, "groups"), func(c *gate.Config) {
			c.Revocations, c.MaxLifetime, c.Issuers[0].Asking = with, time.Hour, asking
		})
		request := request(token)
		accepted(t, g, request)
		return testing.AllocsPerRun(200, func() { _, _ = g.Check(direct(request)) })
	}
	all := m{"sid": "s", "azp": "a", "appid": 1, "cid": []string{"c"}, "groups": []any{"a", 1, m{"value": "b"}}}
	for name, token := range map[string]string{
		"a jti": sized(t, key, 850, all), "no jti": sized(t, key, 850, all, m{"jti": nil}), "opaque": "opaque-2",
	} {
		none := allocations(nil, token)
		if n := allocations(r.List(), token); n != none {
			t.Errorf("%s: %v allocations while nothing is written, want %v", name, n, none)
		}
		if n := allocations(&busy{List: r.List()}, token); n != none {
			t.Errorf("%s: %v allocations after a write, want %v", name, n, none)
		}
	}
}
