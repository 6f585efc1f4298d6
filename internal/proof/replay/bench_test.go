package replay_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/proof/replay"
)

// ids are as long as the UUIDs that clients send.
type ids []byte

func newIDs() ids { return []byte("00000000-0000-4000-8000-000000000000") }

func (i ids) of(n uint64) string {
	const digits = "0123456789abcdef"
	for at := range 16 {
		i[len(i)-1-at] = digits[n>>(4*at)&15]
	}
	return string(i)
}

func binaryKey(n uint64) (key [32]byte) {
	binary.LittleEndian.PutUint64(key[:], n)
	return key
}

// BenchmarkMemory has proofs come evenly, so that the given number of them is in the window of a minute.
func BenchmarkMemory(b *testing.B) {
	for _, window := range []int{10_000, 1_000_000} {
		for _, keys := range []uint64{1000, 1 << 40} {
			b.Run(fmt.Sprintf("proofs=%d/keys=%d", window, min(keys, uint64(window))), func(b *testing.B) {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				m, text, n := replay.NewMemory(), newIDs(), uint64(0)
				at := func(n uint64) time.Time { return start.Add(time.Duration(n) * time.Minute / time.Duration(window)) }
				one := func() {
					now := at(n)
					if err := m.Use(b.Context(), binaryKey(n%keys), text.of(n), now, now.Add(time.Minute)); err != nil {
						b.Fatal(n, err)
					}
					n++
				}
				for range 2 * window {
					one()
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				var worst, sweeping time.Duration
				sweeps := 0
				for b.Loop() {
					begun := time.Now()
					one()
					took := time.Since(begun)
					worst = max(worst, took)
					if at(n-1).Unix()/replay.Shortest != at(n-2).Unix()/replay.Shortest {
						sweeping += took
						sweeps++
					}
				}
				b.ReportMetric(float64(sweeping.Microseconds())/float64(max(sweeps, 1)), "µs/sweep")
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(window), "B/proof")
				proofs, bytes := m.Stats()
				b.ReportMetric(float64(bytes)/float64(proofs), "B/remembered")
				b.ReportMetric(float64(worst.Microseconds()), "µs-worst")
				runtime.KeepAlive(m)
			})
		}
	}
}

// BenchmarkMemoryParallel is for -cpu 1,2,8.
func BenchmarkMemoryParallel(b *testing.B) {
	for _, keys := range []uint64{1, 1000} {
		b.Run(fmt.Sprint("keys=", keys), func(b *testing.B) {
			m := replay.NewMemory()
			var callers, number atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				caller, text := callers.Add(1), newIDs()
				for i := uint64(0); pb.Next(); i++ {
					// A window of 100,000 proofs.
					now := start.Add(time.Duration(number.Add(1)) * time.Minute / 100_000)
					if err := m.Use(b.Context(), binaryKey(i%keys), text.of(caller<<40|i), now, now.Add(time.Minute)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
