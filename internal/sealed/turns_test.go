package sealed_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/caddyjwt/gateway/internal/sealed"
)

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// queue has the turns taken by others, and collects what becomes of those that come after them.
type queue struct {
	*sealed.Turns
	mu    sync.Mutex
	order []string
	errs  map[string]error
}

func newQueue(slots int) *queue {
	q := &queue{Turns: sealed.NewTurnsOf(slots), errs: make(map[string]error)}
	for range slots {
		if q.Begin(context.Background(), addr("192.0.2.1")) != nil {
			panic("no turn")
		}
	}
	return q
}

// join lets a decryption wait. In a bubble of synctest, it waits before the next one comes.
func (q *queue) join(ctx context.Context, name, client string) {
	go func() {
		err := q.Begin(ctx, addr(client))
		q.mu.Lock()
		defer q.mu.Unlock()
		q.errs[name] = err
		if err == nil {
			q.order = append(q.order, name)
		}
	}()
	synctest.Wait()
}

func (q *queue) next() {
	q.End()
	synctest.Wait()
}

func TestTurnsGoAddressByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		ctx := t.Context()
		for _, name := range []string{"a1", "a2", "a3"} {
			q.join(ctx, name, "192.0.2.10")
		}
		q.join(ctx, "b1", "192.0.2.20")
		q.join(ctx, "c1", "2001:db8::1")
		q.join(ctx, "c2", "2001:db8:0:7::2") // the same /48
		q.join(ctx, "a4", "::ffff:192.0.2.10")
		for range 7 {
			q.next()
		}
		want := []string{"a1", "b1", "c1", "a2", "c2", "a3", "a4"}
		if len(q.order) != len(want) {
			t.Fatal(q.order)
		}
		for i, name := range want {
			if q.order[i] != name {
				t.Fatal(q.order)
			}
		}
		q.next()
		if waiting, free := q.Waiting(); waiting != 0 || free != 1 {
			t.Errorf("%d wait, %d free", waiting, free)
		}
	})
}

// Who sends more than there is room for loses places to those who come later.
func TestTurnsOfAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(2)
		for i := range 2 * sealed.MaxWaiting {
			q.join(t.Context(), string(rune('A'+i)), "192.0.2.10")
		}
		if waiting, _ := q.Waiting(); waiting != 2*sealed.MaxWaiting || len(q.errs) != 0 {
			t.Fatalf("%d wait, %d are done", waiting, len(q.errs))
		}
		q.join(t.Context(), "one more of them", "192.0.2.10")
		if !errors.Is(q.errs["one more of them"], sealed.ErrBusy) {
			t.Errorf("%v", q.errs)
		}
		q.join(t.Context(), "somebody else", "192.0.2.20")
		if err, done := q.errs["somebody else"]; done {
			t.Errorf("sent away: %v", err)
		}
		if waiting, _ := q.Waiting(); waiting != 2*sealed.MaxWaiting || len(q.errs) != 2 {
			t.Errorf("%d wait, %d are done", waiting, len(q.errs))
		}
		q.next()
		q.next()
		if err, done := q.errs["somebody else"]; !done || err != nil {
			t.Errorf("not among the first two: %v", q.order)
		}
		for range 2 * sealed.MaxWaiting {
			q.next()
		}
		if waiting, free := q.Waiting(); waiting != 0 || free != 2 {
			t.Errorf("%d wait, %d free", waiting, free)
		}
	})
}

// A flood from many addresses takes all places. It sends nobody away who waits already.
func TestTurnsOfAFloodFromManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		q.join(t.Context(), "good", "192.0.2.20")
		for i := range 2 * sealed.MaxWaiting {
			q.join(t.Context(), string(rune('A'+i)), netip.AddrFrom4([4]byte{203, 0, byte(i), 1}).String())
		}
		if err, done := q.errs["good"]; done || len(q.errs) != sealed.MaxWaiting+1 {
			t.Errorf("%v, %d sent away", err, len(q.errs))
		}
		q.next()
		if err, done := q.errs["good"]; !done || err != nil {
			t.Errorf("%v, %v", done, err)
		}
	})
}

func TestTurnsOfThoseWhoLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		ctx, cancel := context.WithCancel(t.Context())
		q.join(ctx, "gone", "192.0.2.10")
		q.join(t.Context(), "here", "192.0.2.10")
		cancel()
		synctest.Wait()
		if !errors.Is(q.errs["gone"], context.Canceled) {
			t.Errorf("%v", q.errs["gone"])
		}
		q.next()
		if err, done := q.errs["here"]; !done || err != nil {
			t.Errorf("%v %v", done, err)
		}
		q.next()
		if waiting, free := q.Waiting(); waiting != 0 || free != 1 {
			t.Errorf("%d wait, %d free", waiting, free)
		}
	})
}

// However turns and departures meet, no slot is lost.
func TestTurnsUnderLoad(t *testing.T) {
	turns := sealed.NewTurnsOf(2)
	var running, most int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for j := range 200 {
				ctx, cancel := context.WithCancel(context.Background())
				if (i+j)%3 == 0 {
					go cancel()
				}
				if turns.Begin(ctx, addr("192.0.2.1")) == nil {
					mu.Lock()
					running++
					most = max(most, running)
					mu.Unlock()
					mu.Lock()
					running--
					mu.Unlock()
					turns.End()
				}
				cancel()
			}
		})
	}
	all.Wait()
	if waiting, free := turns.Waiting(); waiting != 0 || free != 2 || most > 2 {
		t.Errorf("%d wait, %d free, %d at once", waiting, free, most)
	}
}
