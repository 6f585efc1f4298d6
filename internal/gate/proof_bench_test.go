package gate_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/proof/replay"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// eachNew remembers a proof under another id each time, because a benchmark sends one proof again and again.
type eachNew struct {
	memory *replay.Memory
	n      atomic.Int64
	ids    [1 << 12]string
}

func newEach() *eachNew {
	e := &eachNew{memory: replay.NewMemory()}
	for i := range e.ids {
		e.ids[i] = "5c1a2e0f-0000-4000-8000-00000000" + strconv.Itoa(1000+i)
	}
	return e
}

func (e *eachNew) Use(ctx context.Context, key [32]byte, _ string, now, until time.Time) error {
	// With 1,000 requests a second, so that the window has 120,000 proofs.
	n := e.n.Add(1)
	passed := time.Duration(n) * time.Millisecond
	for i := range key[:4] {
		key[i] = byte(n % 1000 >> (8 * i)) // of 1,000 clients
	}
	return e.memory.Use(ctx, key, e.ids[n/1000%int64(len(e.ids))], now.Add(passed), until.Add(passed))
}

// BenchmarkProof compares a remembered token that is bound to a key with what a proof of possession costs by itself.
func BenchmarkProof(b *testing.B) {
	key := tokentest.NewKey(b, "ES256", "k1")
	kept := func(c *gate.Config) { c.Cache = newCache(b, 1<<20) }
	check := func(b *testing.B, g *gate.Gate, req gate.Request) {
		b.Helper()
		if _, err := g.Check(req); err != nil {
			b.Fatal(explain(err))
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := g.Check(req); err != nil {
				b.Fatal(explain(err))
			}
		}
	}
	for _, algorithm := range []string{"ES256", "EdDSA", "RS256"} {
		client := prover(b, algorithm)
		token := sized(b, key, 1000, boundTo(client))
		r := proved(b, client, token)
		b.Run(algorithm+"/signature alone", func(b *testing.B) {
			verify := bare(b, client.Key, r.Header.Get("DPoP"))
			b.ReportAllocs()
			for b.Loop() {
				if !verify() {
					b.Fatal("bad signature")
				}
			}
		})
		for name, change := range map[string]func(*possession.Policy){"": func(*possession.Policy) {},
			" and nonce": withNonces} {
			b.Run(algorithm+"/request with proof"+name, func(b *testing.B) {
				g := build(b, key, kept, dpop(b, change, func(p *possession.Policy) {
					p.DPoP.Replays = newEach()
				}))
				send := r
				if name != "" {
					fresh := g.Answer(answered(b, g, r, gate.NonceRequired)).Header.Get("Dpop-Nonce")
					send = proved(b, client, token, m{"nonce": fresh})
				}
				check(b, g, direct(send))
			})
		}
	}
	bearer := sized(b, key, 1000)
	b.Run("bearer", func(b *testing.B) { check(b, build(b, key, kept), direct(request(bearer))) })
	b.Run("bearer where proofs are taken",
		func(b *testing.B) { check(b, build(b, key, kept, dpop(b)), direct(request(bearer))) })
	certificate := &x509.Certificate{Raw: make([]byte, 1200)}
	b.Run("certificate/SHA-256 alone", func(b *testing.B) {
		for b.Loop() {
			_ = sha256.Sum256(certificate.Raw)
		}
	})
	bound := sized(b, key, 1000, m{"cnf": m{"x5t#S256": thumbprintOf(certificate)}})
	b.Run("certificate/request", func(b *testing.B) {
		g := build(b, key, kept, func(c *gate.Config) {
			c.Proof = &possession.Policy{Certificates: possession.FromConnection()}
		})
		check(b, g, direct(shown(request(bound), certificate)))
	})
}
