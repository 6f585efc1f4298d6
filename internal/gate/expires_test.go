package gate_test

import (
	"cmp"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A verdict says from when on the same request would be refused: not a moment earlier, and not a moment later.
func TestVerdictSaysWhenTheTokenExpires(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	signed := func(changes ...m) string { return key.Sign(t, says(changes...)) }
	in := func(d time.Duration) int64 { return start.Add(d).Unix() }
	shop := func(end time.Time) func(*gate.Config) {
		return func(c *gate.Config) {
			c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", key)}
			c.Consumers[0].Credentials[0].NotAfter = end
		}
	}
	for name, test := range map[string]struct {
		mode   gate.AskMode
		token  string
		answer m
		change func(*gate.Config)
		want   time.Duration // after start; 0 for never
	}{
		"a JWT": {token: signed(), want: 5 * time.Minute},
		"with a fraction of a second": {
			token: signed(m{"exp": float64(start.Unix()) + 0.5}), want: time.Second / 2,
		},
		"with leeway": {
			token: signed(), want: 5*time.Minute + 7*time.Second,
			change: func(c *gate.Config) { c.Issuers[0].Leeway, c.Leeway = 7*time.Second, time.Second },
		},
		"with max_lifetime": {
			token: signed(), want: 5 * time.Minute,
			change: func(c *gate.Config) { c.MaxLifetime = 10 * time.Minute },
		},
		"of a consumer": {
			token: signed(m{"iss": "shop-key"}), change: shop(time.Time{}), want: 5 * time.Minute,
		},
		"of a consumer whose certificate expires first": {
			token: signed(m{"iss": "shop-key"}), change: shop(start.Add(time.Minute)), want: time.Minute,
		},
		"of a consumer whose certificate expires later": {
			token: signed(m{"iss": "shop-key"}), change: shop(start.Add(time.Hour)), want: 5 * time.Minute,
		},
		"of a consumer with leeway, which a certificate has not": {
			token: signed(m{"iss": "shop-key"}), want: 5*time.Minute + time.Second,
			change: func(c *gate.Config) { shop(start.Add(5*time.Minute + 2*time.Second))(c); c.Leeway = time.Second },
		},
		"an opaque token": {token: "t", answer: active(), want: 5 * time.Minute},
		"an opaque token with leeway": {
			token: "t", answer: active(), want: 5*time.Minute + 7*time.Second,
			change: func(c *gate.Config) { c.Issuers[0].Leeway = 7 * time.Second },
		},
		"an opaque token that never expires": {token: "t", answer: active(m{"exp": nil})},
		"a JWT whose answer expires first": {
			mode: gate.AskAlways, token: signed(), answer: active(m{"exp": in(time.Minute)}), want: time.Minute,
		},
		"a JWT whose answer expires later": {
			mode: gate.AskAlways, token: signed(), answer: active(m{"exp": in(time.Hour)}), want: 5 * time.Minute,
		},
		"a JWT whose answer does not say": {
			mode: gate.AskAlways, token: signed(), answer: m{"active": true}, want: 5 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			as := newAS(t)
			as.says[test.token] = test.answer
			changes := []func(*gate.Config){func(c *gate.Config) { c.Cache = newCache(t, 1<<20) }}
			if test.change != nil {
				changes = append(changes, test.change)
			}
			g := as.gate(cmp.Or(test.mode, gate.AskOpaque), key, changes...)
			var want time.Time
			if test.want != 0 {
				want = start.Add(test.want)
			}
			for _, remembered := range []bool{false, true} {
				verdict, err := g.Check(direct(request(test.token)))
				if err != nil || !verdict.Expires.Equal(want) {
					t.Fatalf("remembered %v: expires %v, %v; want %v", remembered, verdict.Expires, err, want)
				}
			}
			if want.IsZero() {
				return
			}
			as.clock.set(want.Add(-1))
			accepted(t, g, request(test.token))
			as.clock.set(want)
			if verdict, err := g.Check(direct(request(test.token))); err == nil {
				t.Errorf("still accepted at that moment: %+v", verdict)
			}
		})
	}
}

func TestVerdictWithoutATokenNeverExpires(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	shop := consumer(t, "shop", "shop-key", key)
	for name, change := range map[string]func(*gate.Config){
		"optional":  func(c *gate.Config) { c.Optional = true },
		"anonymous": func(c *gate.Config) { c.Consumers, c.Anonymous = []gate.Consumer{shop}, "shop" },
		"public":    func(c *gate.Config) { c.Public = []string{"/orders"} },
	} {
		t.Run(name, func(t *testing.T) {
			verdict, err := build(t, key, change).Check(direct(request("")))
			if err != nil || !verdict.Expires.IsZero() {
				t.Errorf("expires %v, %v", verdict.Expires, err)
			}
		})
	}
}
