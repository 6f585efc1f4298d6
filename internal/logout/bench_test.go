package logout_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// BenchmarkReceive has what strangers can cause, beside a good token and the same one again. The time to make the
// request is part of it.
func BenchmarkReceive(b *testing.B) {
	key, stranger := tokentest.NewKey(b, "ES256", "k1"), tokentest.NewKey(b, "ES256", "stranger").WithKID("k1")
	rsa := tokentest.NewKey(b, "RS256", "r")
	forged := stranger.Sign(b, says(), typed)
	for name, body := range map[string]string{
		"garbage/no-token":  "a=b",
		"garbage/no-jwt":    "logout_token=" + strings.Repeat("A", 1000),
		"garbage/64-KiB":    "a=" + strings.Repeat("x", 64<<10-2),
		"garbage/too-large": "a=" + strings.Repeat("x", 64<<10),
		"garbage/expired":   "logout_token=" + stranger.Sign(b, says(m{"exp": 1}), typed),
		"forged/ES256":      "logout_token=" + forged,
		"repeated/ES256":    "logout_token=" + key.Sign(b, says(), typed),
		"repeated/RS256":    "logout_token=" + rsa.Sign(b, says(), typed),
	} {
		b.Run(name, func(b *testing.B) {
			r := open(b, config(b, &state{}, key, rsa))
			if strings.HasPrefix(name, "repeated") {
				if _, err := r.Receive(post(body)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				outcome, err := r.Receive(post(body))
				if strings.HasPrefix(name, "repeated") != (outcome == logout.Repeated) {
					b.Fatal(outcome, err)
				}
			}
		})
	}
	b.Run("good/ES256", func(b *testing.B) {
		var s state
		r := open(b, config(b, &s, key))
		bodies := make([]string, 1000)
		for i := range bodies {
			bodies[i] = "logout_token=" + key.Sign(b, says(m{"jti": fmt.Sprint(i)}), typed)
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%len(bodies) == 0 {
				clear(s.kept)
				s.ended = s.ended[:0]
			}
			if outcome, err := r.Receive(post(bodies[i%len(bodies)])); outcome != logout.Ended {
				b.Fatal(outcome, err)
			}
		}
	})
}
