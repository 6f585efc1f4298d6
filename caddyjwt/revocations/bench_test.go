package revocations

import (
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
	"github.com/caddyjwt/gateway/internal/store/redis/redistest"
)

// BenchmarkLoad is how long a start takes with as many revocations as the benchmark is repeated, what they take in
// memory, and how long it took to write them. Run it with -benchtime 1000000x.
func BenchmarkLoad(b *testing.B) {
	for name, open := range map[string]func(*testing.B) func() store.Store{"file": inFile, "redis": atServer} {
		b.Run("store="+name, func(b *testing.B) {
			b.StopTimer()
			again := open(b)
			began := time.Now()
			fill(b, again())
			b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "writes/s")
			s := again()
			before := heap()
			b.StartTimer()
			ledger, err := revoke.Open(b.Context(), s, revoke.Options{})
			if err != nil || ledger.List().Len() != b.N {
				b.Fatalf("%d entries: %v", ledger.List().Len(), err)
			}
			b.StopTimer()
			b.ReportMetric(b.Elapsed().Seconds(), "s")
			b.ReportMetric(float64(heap()-before)/float64(b.N), "heap-B/entry")
			ledger.Close()
			_ = s.Close()
		})
	}
}

// inFile opens the same file again and again.
func inFile(b *testing.B) func() store.Store {
	b.Helper()
	path := filepath.Join(b.TempDir(), "store.db")
	return func() store.Store {
		s, err := store.OpenFile(path, store.FileOptions{})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
}

// atServer connects to the same server again and again.
func atServer(b *testing.B) func() store.Store {
	b.Helper()
	server := redistest.Start(b)
	return func() store.Store {
		s, err := redis.New(redis.Options{URL: server.URL(), Key: [32]byte{1}})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
}

// fill writes b.N revocations of single tokens by 64 writers, and closes the store.
func fill(b *testing.B, s store.Store) {
	b.Helper()
	ledger, err := revoke.Open(b.Context(), s, revoke.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if _, shared := s.(store.Shared); shared {
		if _, err := ledger.Init(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	const writers = 64
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for n := i; n < b.N; n += writers {
				e := &revoke.Entry{Expires: time.Now().Add(time.Hour), At: time.Now()}
				e.Issuer, e.Kind, e.Value = "https://login.example.com/realms/acme", revoke.ID, fmt.Sprintf("%032x", n)
				if err := ledger.Write(b.Context(), e); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	ledger.Close()
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// heap is how much memory is in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
