package attempts_test

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/caddyjwt/gateway/internal/users/attempts"
)

func BenchmarkDo(b *testing.B) {
	for name, address := range map[string]netip.Addr{"IPv4": at("192.0.2.1"), "IPv6": at("2001:db8::1")} {
		b.Run("right/"+name, func(b *testing.B) {
			g := guard(b, attempts.Config{})
			b.ReportAllocs()
			for b.Loop() {
				if err := g.Do(context.Background(), address, "alice", right); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("limited/"+name, func(b *testing.B) {
			g := guard(b, attempts.Config{})
			for i := range 10 {
				_ = g.Do(context.Background(), address, fmt.Sprint(i), wrong)
			}
			b.ReportAllocs()
			for b.Loop() {
				_ = g.Do(context.Background(), address, "alice", right)
			}
		})
	}
}

// BenchmarkTable fails once from each of 100,000 places, half of them addresses and half names.
func BenchmarkTable(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		g := guard(b, attempts.Config{})
		for i := range 50_000 {
			address := netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)})
			_ = g.Do(context.Background(), address, "alice", wrong)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(g.Remembered()), "B/place")
		b.ReportMetric(float64(g.Remembered()), "places")
		runtime.KeepAlive(g)
	}
}
