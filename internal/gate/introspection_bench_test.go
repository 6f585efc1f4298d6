package gate_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A cached answer about an opaque token, and one about a JWT that is also verified here. Compare with
// BenchmarkCheckHit.
func BenchmarkCheckIntrospected(b *testing.B) {
	key := tokentest.NewKey(b, "RS256", "k1")
	b.Run("mode=opaque", func(b *testing.B) {
		as := newAS(b)
		as.says["opaque-1-abcdefghijklmnopqrstuvwxyz0123456789"] = active()
		g := as.gate(gate.AskOpaque, key)
		check(b, g, request("opaque-1-abcdefghijklmnopqrstuvwxyz0123456789"), "")
	})
	b.Run("mode=opaque/answer=long", func(b *testing.B) {
		as := newAS(b)
		as.says["opaque-2"] = active(m{"x": strings.Repeat("x", 20_000)})
		g := as.gate(gate.AskOpaque, key)
		check(b, g, request("opaque-2"), "")
	})
	b.Run("mode=always", func(b *testing.B) {
		as := newAS(b)
		token := sized(b, key, 850)
		as.says[token] = active()
		g := as.gate(gate.AskAlways, key, func(c *gate.Config) { c.Cache = newCache(b, 32<<20) })
		check(b, g, request(token), "")
	})
}

// A cached answer costs at most one allocation per request, however long the answer was.
func TestIntrospectedTokenAllocatesLittle(t *testing.T) {
	key := tokentest.NewKey(t, "RS256", "k1")
	as := newAS(t)
	as.says["opaque-2"] = active(m{"x": strings.Repeat("x", 20_000)})
	g := as.gate(gate.AskOpaque, key)
	r := request("opaque-2")
	accepted(t, g, r)
	if allocs := testing.AllocsPerRun(100, func() {
		if _, err := g.Check(direct(r)); err != nil {
			t.Error(err)
		}
	}); allocs > 1 {
		t.Errorf("%v allocations", allocs)
	}
}

// An answer about a JWT usually repeats its scopes. It costs as much as one without scopes.
func TestAnswerWithTheScopesOfItsTokenAllocatesNoMore(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	key := tokentest.NewKey(t, "RS256", "k1")
	allocations := func(answer m) float64 {
		as := newAS(t)
		token := sized(t, key, 850)
		as.says[token] = answer
		g := as.gate(gate.AskAlways, key, func(c *gate.Config) { c.Cache = newCache(t, 1<<20) })
		r := request(token)
		accepted(t, g, r)
		accepted(t, g, r) // tokens are kept when they come again
		return testing.AllocsPerRun(100, func() {
			if _, err := g.Check(direct(r)); err != nil {
				t.Error(err)
			}
		})
	}
	without, with := allocations(active()), allocations(active(m{"scope": "openid profile orders.read orders.write"}))
	if with > without {
		t.Errorf("%v allocations with scopes, and %v without", with, without)
	}
}
