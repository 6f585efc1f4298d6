package tenantkeys_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tenant"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// BenchmarkTenants reads a list of 10,000 tenants, and then fetches the keys of each: what remains in memory for one.
func BenchmarkTenants(b *testing.B) {
	const n = 10_000
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("9f86d081-884c-4d65-9a2f-%012d", i)
	}
	text := []byte(strings.Join(names, "\n"))
	b.Run("list", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tenant.ParseSet(text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("keys", func(b *testing.B) {
		key := tokentest.NewKey(b, "ES256", "k")
		token := signed(b, key)
		s := newServer(b)
		for _, name := range names {
			s.serve(name, tokentest.JWKS(key))
		}
		var held uint64
		for b.Loop() {
			keys, p := s.open(b, listed(b, names...)), s.pattern(b)
			before := live()
			for _, name := range names {
				if _, err := verify(b, keys, p, name, token); err != nil {
					b.Fatal(err)
				}
			}
			held = live() - before
			runtime.KeepAlive(keys)
		}
		b.ReportMetric(float64(held)/n, "B/tenant")
		b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/tenant")
	})
}

// live is the memory in use, after a collection.
func live() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc + stats.StackInuse
}
