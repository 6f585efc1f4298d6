package pool

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// Requests come and go concurrently while the configuration ends and afterwards. A lease is open as long as somebody
// holds it. Each lease that was opened is closed once.
func TestLeaseIsOpenForItsHolders(t *testing.T) {
	for range 200 {
		var mu sync.Mutex
		closings := make(map[*Lease]*atomic.Int64)
		ls, err := Begin(New(nil), func(l *Lease) (struct{}, error) {
			times := new(atomic.Int64)
			mu.Lock()
			closings[l] = times
			mu.Unlock()
			l.onClose(func() error { times.Add(1); return nil })
			return struct{}{}, nil
		}, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		var requests sync.WaitGroup
		for range 8 {
			requests.Go(func() {
				for range 20 {
					held, err := ls.Hold()
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					times := closings[&held.Lease]
					mu.Unlock()
					if times.Load() != 0 {
						t.Error("a closed lease was given to a request")
					}
					if held.letGo() {
						_ = held.close()
					}
				}
			})
		}
		if err := ls.End(); err != nil {
			t.Error(err)
		}
		requests.Wait()
		for _, times := range closings {
			if n := times.Load(); n != 1 {
				t.Fatalf("a lease was closed %d times", n)
			}
		}
	}
}

// An introspection client keeps the key source that it was made with. If the source went first, another configuration
// could find the client in the pool and make a source of its own, and the client would go on asking the closed one.
func TestLeaseIsClosedInReverse(t *testing.T) {
	var order []string
	first := errors.New("first")
	l := &Lease{release: []func() error{
		func() error { order = append(order, "source"); return first },
		func() error { order = append(order, "client"); return nil },
	}}
	if err := l.close(); !errors.Is(err, first) {
		t.Errorf("error %v", err)
	}
	if len(order) != 2 || order[0] != "client" {
		t.Errorf("closed in the order %v", order)
	}
}

// BenchmarkLease measures what it costs a request to hold a lease.
func BenchmarkLease(b *testing.B) {
	ls, err := Begin(New(nil), func(*Lease) (*int, error) { return new(int), nil }, func(err error) { b.Error(err) })
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			held, err := ls.Hold()
			if err != nil {
				b.Error("the lease is not open")
				return
			}
			held.LetGo()
		}
	})
}
