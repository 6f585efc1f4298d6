package revoke_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/store"
)

// together runs a test with two nodes that share a server and are in sync.
func together(t *testing.T, run func(t *testing.T, s *server, a, b *node)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		a, b := s.join(t, revoke.Options{}), s.join(t, revoke.Options{})
		defer a.Close()
		defer b.Close()
		if made, err := a.Init(t.Context()); !made || err != nil {
			t.Fatalf("made %v: %v", made, err)
		}
		time.Sleep(2 * time.Second)
		if a.known() != nil || b.known() != nil {
			t.Fatalf("in sync: %v, %v", a.known(), b.known())
		}
		run(t, s, a, b)
	})
}

func TestARevocationReachesAllNodes(t *testing.T) {
	together(t, func(t *testing.T, _ *server, a, b *node) {
		for i := range 20 {
			sub := fmt.Sprint("s", i)
			write(t, a.Ledger, lasting(subject(sub), time.Hour))
			if !a.refuses(t, sub) {
				t.Error("it is acknowledged, and not in force")
			}
			synctest.Wait() // no time goes by
			if !b.refuses(t, sub) {
				t.Error("the other node does not know it")
			}
		}
		lift := lifting(subject("s3"), time.Hour)
		write(t, b.Ledger, lift)
		synctest.Wait()
		if a.refuses(t, "s3") || b.refuses(t, "s3") {
			t.Error("it was taken back, and is in force")
		}
	})
}

func TestANodeThatStartsWithoutItsServer(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, _ *node) {
		write(t, a.Ledger, lasting(subject("s"), time.Hour))
		c := &node{link: &link{server: s}}
		c.link.cut.Store(true)
		c.open(t, revoke.Options{})
		defer c.Close()
		if err := c.known(); !errors.Is(err, revoke.ErrUnsynced) {
			t.Errorf("error %v", err)
		}
		if state := c.Sync(); !state.Shared || !state.At.IsZero() || !errors.Is(state.Trouble, errCut) {
			t.Errorf("%+v", state)
		}
		if err := c.Write(t.Context(), lasting(subject("t"), time.Hour)); !errors.Is(err, revoke.ErrWrite) {
			t.Errorf("error %v", err)
		}
		c.link.cut.Store(false)
		time.Sleep(1500 * time.Millisecond)
		if c.known() != nil || !c.refuses(t, "s") || c.Sync().Trouble != nil {
			t.Errorf("after it is back: %v, %+v", c.known(), c.Sync())
		}
	})
}

func TestTrustEndsWithoutContact(t *testing.T) {
	together(t, func(t *testing.T, _ *server, a, b *node) {
		b.link.cut.Store(true)
		cut := time.Now()
		write(t, a.Ledger, lasting(subject("s"), time.Hour))
		for b.known() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		if after := time.Since(cut); after < 8500*time.Millisecond || after > 10*time.Second {
			t.Errorf("the list was trusted for %v", after)
		}
		if !errors.Is(b.known(), revoke.ErrUnsynced) || b.refuses(t, "s") || a.known() != nil {
			t.Errorf("%v, %v", b.known(), a.known())
		}
		b.link.cut.Store(false)
		time.Sleep(1100 * time.Millisecond)
		if b.known() != nil || !b.refuses(t, "s") {
			t.Errorf("after the contact is back: %v", b.known())
		}
	})
}

// A server that was emptied looks like a new one. It is not trusted until somebody says that it is the right one, and
// then it gets back what the nodes know.
func TestAServerThatWasEmptied(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		const many = 2500
		for i := range many {
			write(t, a.Ledger, lasting(subject(fmt.Sprint("s", i)), time.Hour))
		}
		synctest.Wait()
		s.empty()
		time.Sleep(12 * time.Second)
		for _, n := range []*node{a, b} {
			if !errors.Is(n.known(), revoke.ErrUnsynced) || !errors.Is(n.Sync().Trouble, revoke.ErrNoEpoch) ||
				n.List().Len() != many {
				t.Errorf("%v, %+v, %d entries", n.known(), n.Sync(), n.List().Len())
			}
		}
		write(t, b.Ledger, lasting(subject("meanwhile"), time.Hour)) // durable, and in force
		if s.records(t) != 1 {
			t.Errorf("%d records in a server that was not initialised", s.records(t))
		}
		if made, err := a.Init(t.Context()); !made || err != nil {
			t.Fatal(made, err)
		}
		time.Sleep(5 * time.Second)
		if n := s.records(t); n != 4 { // both nodes have all, and one has written it
			t.Errorf("%d records", n)
		}
		c := s.join(t, revoke.Options{})
		defer c.Close()
		for _, n := range []*node{a, b, c} {
			if n.known() != nil || n.List().Len() != many+1 || !n.refuses(t, "s7") || !n.refuses(t, "meanwhile") ||
				n.refuses(t, "nobody") {
				t.Errorf("%v, %d entries", n.known(), n.List().Len())
			}
		}
		if got := entries(t, c.Ledger); len(got) != 1 || got[0].Value != "meanwhile" {
			t.Errorf("by name there are %+v", got)
		}
		lift := lifting(subject("s7"), time.Hour)
		write(t, c.Ledger, lift)
		synctest.Wait()
		if a.refuses(t, "s7") || !a.refuses(t, "s8") {
			t.Error("what is known only by its hash cannot be taken back")
		}
	})
}

// Entries for consumers count also where only their hashes are known.
func TestConsumersOfAServerThatWasEmptied(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, _ *node) {
		shop := revoke.Target{Consumer: "shop", Kind: revoke.Subject, Value: "s"}
		write(t, a.Ledger, lasting(shop, time.Hour))
		s.empty()
		time.Sleep(2 * time.Second)
		if _, err := a.Init(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		c := s.join(t, revoke.Options{})
		defer c.Close()
		for consumer, want := range map[string]bool{"shop": true, "other": false} {
			token := revoke.Token{Consumer: consumer, Set: claimsOf(t, m{"sub": "s", "iat": 1})}
			if revoked(c.List(), token) != want || revoked(a.List(), token) != want {
				t.Errorf("%s: want %v", consumer, want)
			}
		}
	})
}

// A copy that was behind takes over. What it lost comes from the nodes, also if there are new records at the positions
// of those that are lost.
func TestAServerThatWentBack(t *testing.T) {
	for _, written := range []int{0, 1, 5} {
		t.Run(fmt.Sprint(written, " written after"), func(t *testing.T) {
			together(t, func(t *testing.T, s *server, a, b *node) {
				for i := range 5 {
					write(t, a.Ledger, lasting(subject(fmt.Sprint("s", i)), time.Hour))
				}
				synctest.Wait()
				b.link.cut.Store(true)
				write(t, a.Ledger, lasting(subject("only a"), time.Hour))
				s.goBack(t, 3)
				b.link.cut.Store(false)
				for i := range written {
					write(t, a.Ledger, lasting(subject(fmt.Sprint("new", i)), time.Hour))
					if !a.refuses(t, fmt.Sprint("new", i)) {
						t.Error("it is acknowledged, and not in force")
					}
				}
				time.Sleep(5 * time.Second)
				c := s.join(t, revoke.Options{})
				defer c.Close()
				for name, n := range map[string]*node{"a": a, "b": b, "c": c} {
					if n.known() != nil || n.List().Len() != 6+written || !n.refuses(t, "s4") || !n.refuses(t, "only a") {
						t.Errorf("%s: %v, %d entries", name, n.known(), n.List().Len())
					}
				}
			})
		})
	}
}

// Reading the log again does not bring back for a moment what was taken back: a response would end.
func TestReadingAgainBringsNothingBack(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		write(t, a.Ledger, lasting(subject("s"), time.Hour))
		lift := lifting(subject("s"), time.Hour)
		write(t, a.Ledger, lift, lasting(subject("t"), time.Hour))
		synctest.Wait()
		ended := make(chan bool, 1)
		stop := b.List().Watch(issued(t, m{"sub": "s", "iat": 1}), func() { ended <- true })
		defer stop()
		b.link.cut.Store(true)
		write(t, a.Ledger, lasting(subject("s2"), time.Hour))
		s.goBack(t, 3)
		b.link.cut.Store(false)
		s.goBack(t, 2) // without "t", which b has read
		time.Sleep(5 * time.Second)
		select {
		case <-ended:
			t.Error("a response with a good token has ended")
		default:
		}
		if b.refuses(t, "s") || !b.refuses(t, "t") || !a.refuses(t, "t") {
			t.Error("wrong entries are in force")
		}
	})
}

// What was revoked again after it was taken back stays so when the log loses the newer record, also if that lasts as
// long as the first one.
func TestARevocationAfterALiftIsNotLost(t *testing.T) {
	for _, life := range []time.Duration{time.Hour, 2 * time.Hour} {
		together(t, func(t *testing.T, s *server, a, b *node) {
			write(t, a.Ledger, lasting(subject("s"), time.Hour), lifting(subject("s"), time.Hour), lasting(subject("s"), life))
			synctest.Wait()
			s.goBack(t, 2)
			time.Sleep(5 * time.Second)
			c := s.join(t, revoke.Options{})
			defer c.Close()
			for _, n := range []*node{a, b, c} {
				n.want(t, true, "s")
			}
		})
	}
}

// What was taken back while a node was away is taken back there, too.
func TestALiftIsNotWrittenBack(t *testing.T) {
	together(t, func(t *testing.T, s *server, a, b *node) {
		write(t, a.Ledger, lasting(subject("s"), time.Hour), lasting(subject("t"), time.Hour))
		synctest.Wait()
		b.link.cut.Store(true)
		time.Sleep(3 * time.Second)
		s.goBack(t, 1) // without "t"
		lift := lifting(subject("s"), time.Hour)
		write(t, a.Ledger, lift)
		b.link.cut.Store(false)
		time.Sleep(5 * time.Second)
		for _, n := range []*node{a, b} {
			if n.refuses(t, "s") || !n.refuses(t, "t") {
				t.Errorf("s refused: %v, t refused: %v", n.refuses(t, "s"), n.refuses(t, "t"))
			}
		}
	})
}

func TestARecordThatNobodyCanReadIsNoLackOfContact(t *testing.T) {
	together(t, func(t *testing.T, _ *server, a, _ *node) {
		for _, record := range []string{"nonsense", `{"v":1,"held":""}`, `{"v":1,"held":"AAAA"}`, `{"v":2,"held":"AAAA"}`} {
			if _, err := a.link.Append(t.Context(), logName, []byte(record), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			if err := a.known(); !errors.Is(err, revoke.ErrUnknown) || errors.Is(err, revoke.ErrUnsynced) {
				t.Errorf("%q: %v", record, err)
			}
		}
		if err := a.Write(t.Context(), lasting(subject("s"), time.Hour)); !errors.Is(err, revoke.ErrRecord) {
			t.Errorf("a write behind it: %v", err)
		}
	})
}

// A clock that is set back, or a machine that slept, does not make trust longer.
func TestTrustGoesByBothClocks(t *testing.T) {
	list := revoke.NewList()
	now := time.Now()
	list.Trust(now.Add(10 * time.Second))
	slept := now.Round(0).Add(time.Hour) // the monotonic clock stood still
	if _, err := list.Generation(slept); err == nil {
		t.Error("after an hour of sleep the list is trusted")
	}
	later := now.Add(11 * time.Second)
	if _, err := list.Generation(later); err == nil {
		t.Error("after 11 s the list is trusted")
	}
	if _, err := list.Generation(now.Add(9 * time.Second)); err != nil {
		t.Error(err)
	}
}

func TestOnlySharedStoresAreInitialised(t *testing.T) {
	l := newLedger(t, newStore(t), revoke.Options{})
	if _, err := l.Init(t.Context()); !errors.Is(err, revoke.ErrNotShared) {
		t.Errorf("error %v", err)
	}
	if state := l.Sync(); state.Shared || state.Trouble != nil || !state.At.Equal(start) {
		t.Errorf("%+v", state)
	}
}

var _ store.Shared = (*link)(nil)
