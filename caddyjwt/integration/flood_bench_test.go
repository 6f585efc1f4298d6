package integration

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// BenchmarkKeysFlood measures how long good tokens take through a whole Caddy: alone, while 64 clients send 100,000
// texts that are no token, and while they send as many tokens with made-up key ids. What the second costs is the price
// of so many requests, whatever is in them; what the third costs above it is that of looking for keys.
//
//	go test ./caddyjwt/integration -run '^$' -bench KeysFlood -benchtime 1x
//
// The clients share the machine with the gate, so they send at a rate that leaves some of it.
func BenchmarkKeysFlood(b *testing.B) {
	const clients, tokens, rate = 64, 100_000, 1500
	key := tokentest.NewKey(b, "ES256", "flooded")
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for _, load := range []string{"quiet", "rubbish", "unknown"} {
		b.Run(load, func(b *testing.B) {
			as := tokentest.NewAS(b, tokentest.WithKeys(key))
			s := prepare(b)
			s.loadFile(strings.Replace(s.caddyfile(gateForAudience(issuerBlock(as.URL, "keys jwks "+as.JWKSURL()))),
				"level DEBUG", "level ERROR", 1))
			s.accepts(key.Sign(b, issuedBy(as.URL)))
			// Nobody looks at the signature of a token whose key is unknown.
			_, rest, _ := strings.Cut(key.Sign(b, issuedBy(as.URL)), ".")
			rest = "." + rest
			var took []time.Duration
			for b.Loop() {
				done := make(chan struct{})
				var passed atomic.Int64
				go func() {
					defer close(done)
					if load == "quiet" {
						<-time.After(30 * time.Second)
						return
					}
					var wg sync.WaitGroup
					for client := range clients {
						wg.Go(func() {
							const period = time.Second * clients / rate
							<-time.After(period * time.Duration(client) / clients) // not all at the same moment
							tick := time.NewTicker(period)
							defer tick.Stop()
							for i := range tokens / clients {
								<-tick.C
								token := "rubbish"
								if load == "unknown" {
									token = encode(fmt.Sprintf(`{"alg":"ES256","kid":"bogus-%d-%d"}`, client, i)) + rest
								}
								if status, err := s.status(token); err != nil || status != http.StatusUnauthorized {
									passed.Add(1)
								}
							}
						})
					}
					wg.Wait()
				}()
				took = append(took, s.timed(b, 100, func(i int) string {
					return key.Sign(b, issuedBy(as.URL, "jti", fmt.Sprint(i)))
				}, done)...)
				if n := passed.Load(); n != 0 {
					b.Errorf("%d requests were not refused with 401", n)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(as.JWKSFetches()), "fetches")
		})
	}
}

// timed sends good tokens at a steady rate until done, and gives the time that each took.
func (s *site) timed(b *testing.B, rate int, token func(int) string, done <-chan struct{}) (took []time.Duration) {
	b.Helper()
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-done:
			return took
		case <-tick.C:
		}
		text := token(i)
		began := time.Now()
		if status, err := s.status(text); err != nil || status != http.StatusOK {
			b.Errorf("a good token: status %d, %v", status, err)
		}
		took = append(took, time.Since(began))
		s.drain()
	}
}
