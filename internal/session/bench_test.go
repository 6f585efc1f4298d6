package session_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/session"
	"github.com/caddyjwt/gateway/internal/store"
)

// quick are sessions whose signer and revocations cost nothing.
func quick(tb testing.TB, in store.Store) *session.Sessions {
	tb.Helper()
	clock := newClock()
	return open(tb, session.Options{
		Store: in, Issuer: issuer, Revocations: none{},
		Sign: func(context.Context, *session.Access) (string, error) { return "access", nil },
		Now:  func() time.Time { clock.advance(time.Second / 100); return clock.now() },
	})
}

// none are revocations of nothing.
type none struct{}

func (none) IsRevoked(context.Context, session.Query) (bool, error)  { return false, nil }
func (none) Cut(context.Context, string, time.Time, time.Time) error { return nil }

func stores(b *testing.B) map[string]store.Store {
	return map[string]store.Store{"memory": store.NewMemory(), "file": openFile(b)}
}

// BenchmarkBegin has logins of one user each, and of one service that logs in all the time.
func BenchmarkBegin(b *testing.B) {
	for _, users := range []int{1 << 30, 1} {
		for name, in := range stores(b) {
			b.Run(fmt.Sprintf("%s/users=%d", name, users), func(b *testing.B) {
				s, i := quick(b, in), 0
				for b.Loop() {
					i++
					if _, err := s.Begin(b.Context(), terms(), &session.Login{Subject: fmt.Sprint(i % users)}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkRefresh(b *testing.B) {
	for _, agreed := range []*session.Terms{terms(), terms(grace)} {
		for name, in := range stores(b) {
			b.Run(fmt.Sprintf("%s/grace=%v", name, agreed.Grace), func(b *testing.B) {
				s := quick(b, in)
				p, err := s.Begin(b.Context(), agreed, alice)
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if p, err = s.Refresh(b.Context(), agreed, p.Refresh, session.Proof{}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkRefreshInParallel has as many sessions as goroutines.
func BenchmarkRefreshInParallel(b *testing.B) {
	for name, in := range stores(b) {
		b.Run(name, func(b *testing.B) {
			s, users := quick(b, in), atomic.Int64{}
			b.SetParallelism(racers / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				p, err := s.Begin(b.Context(), terms(), &session.Login{Subject: fmt.Sprint("user ", users.Add(1))})
				for pb.Next() {
					if err == nil {
						p, err = s.Refresh(b.Context(), terms(), p.Refresh, session.Proof{})
					}
				}
				if err != nil {
					b.Error(err)
				}
			})
		})
	}
}

// BenchmarkMemory has a million sessions, each of another user.
func BenchmarkMemory(b *testing.B) {
	const sessions = 1_000_000
	for b.Loop() {
		in := store.NewMemory()
		s, before := quick(b, in), heap()
		for i := range sessions {
			login := &session.Login{Subject: fmt.Sprint("user ", i), ClientID: "app", Group: "staff"}
			if _, err := s.Begin(b.Context(), terms(), login); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(heap()-before)/sessions, "B/session")
		runtime.KeepAlive(in)
	}
}

// heap is how many bytes are in use.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
