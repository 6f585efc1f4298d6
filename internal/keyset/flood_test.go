package keyset_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestFlood(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "one")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	source := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()})
	if _, err := verify(t, source, key.Sign(t, claims())); err != nil {
		t.Fatal(err)
	}
	before, memory, began := runtime.NumGoroutine(), heap(), time.Now()
	var wg sync.WaitGroup
	var most atomic.Int64
	for client := range 64 {
		wg.Go(func() {
			for i := range 100_000 / 64 {
				kid := fmt.Sprintf("bogus %d %d", client, i)
				if _, err := source.Find(t.Context(), jose.ES256, kid); !unknown(err) {
					t.Errorf("%s: %v", kid, err)
				}
				if _, err := source.Find(t.Context(), jose.ES256, "one"); err != nil {
					t.Error(err)
				}
				if i%100 == 0 {
					most.Store(max(most.Load(), int64(runtime.NumGoroutine())))
				}
			}
		})
	}
	wg.Wait()
	if n, most := as.JWKSFetches(), mostFetches(time.Since(began)); n > most {
		t.Errorf("%d fetches, want at most %d", n, most)
	}
	if n := most.Load(); n > int64(before)+64+16 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
	if grown := heap() - memory; grown > 2<<20 { // 2048 questions are remembered, of the 100,000
		t.Errorf("%d bytes of memory more than before", grown)
	}
	runtime.KeepAlive(source)
}

// Two servers behind one address have different keys, so each fetch brings new ones. Made-up key ids must not cause one
// fetch after the other.
func TestFloodWhileTheKeysFlap(t *testing.T) {
	sets := []string{
		tokentest.JWKS(tokentest.NewKey(t, "ES256", "one")),
		tokentest.JWKS(tokentest.NewKey(t, "ES256", "two")),
	}
	as := tokentest.NewAS(t)
	var asked atomic.Int64
	as.HandleJWKS(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, sets[asked.Add(1)%2])
	})
	source, began := remote(t, keyset.RemoteOptions{URL: as.JWKSURL()}), time.Now()
	for i := range 100 {
		kid := fmt.Sprint("bogus ", i)
		if _, err := source.Find(t.Context(), jose.ES256, kid); !unknown(err) {
			t.Errorf("%s: %v", kid, err)
		}
	}
	if n, most := int(asked.Load()), 1+mostFetches(time.Since(began)); n > most {
		t.Errorf("%d fetches, want at most %d: one more after keys that were new", n, most)
	}
}

// unknown reports whether a key is not there, or not there yet.
func unknown(err error) bool {
	return errors.Is(err, keyset.ErrUnknownKey) || errors.Is(err, keyset.ErrPending)
}

// mostFetches is how many fetches invented ids may cause in this time, including the first one: three and one at once,
// then one every ten seconds and one every five seconds.
func mostFetches(while time.Duration) int {
	return 1 + 3 + 1 + int(while/(10*time.Second)) + int(while/(5*time.Second))
}

// heap is how much memory is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestFloodWhileTheServerIsSlow(t *testing.T) {
	const wait = 2 * time.Second
	inBubble(t, keyset.Timing{Wait: wait}, func(t *testing.T, s *server, source *keyset.Remote, _ *observed) {
		if err := find(t, source, "one"); err != nil {
			t.Fatal(err)
		}
		s.set(func(s *server) { s.latency = time.Hour })
		var wg sync.WaitGroup
		for i := range 3000 {
			wg.Go(func() {
				if err := find(t, source, fmt.Sprint("bogus ", i)); !errors.Is(err, keyset.ErrUnavailable) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		if err := find(t, source, "one"); err != nil || time.Since(start) > 0 {
			t.Errorf("a good token: %v after %v", err, time.Since(start))
		}
		if n, denied := s.fetches(), source.Stats().Denied; n != 2 || denied != 3000-1024 {
			t.Errorf("%d fetches, and %d did not wait", n, denied)
		}
		wg.Wait()
		if waited := time.Since(start); waited > wait {
			t.Errorf("the others waited for %v", waited)
		}
	})
}

// BenchmarkFlood looks good keys up while others ask for keys that are not there.
func BenchmarkFlood(b *testing.B) {
	for _, flood := range []int{0, 64} {
		b.Run(fmt.Sprintf("%d clients with unknown keys", flood), func(b *testing.B) {
			as := tokentest.NewAS(b, tokentest.WithKeys(tokentest.NewKey(b, "ES256", "one")))
			source := remote(b, keyset.RemoteOptions{URL: as.JWKSURL()})
			if _, err := source.Find(b.Context(), jose.ES256, "one"); err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			for client := range flood {
				wg.Go(func() {
					for i := 0; ctx.Err() == nil; i++ {
						_, _ = source.Find(ctx, jose.ES256, fmt.Sprint(client, i))
						time.Sleep(time.Millisecond)
					}
				})
			}
			var took []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				_, _ = source.Find(ctx, jose.ES256, "one")
				took = append(took, time.Since(start))
			}
			b.StopTimer()
			cancel()
			wg.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}
