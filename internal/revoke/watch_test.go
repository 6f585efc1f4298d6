package revoke_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
)

// counter counts the calls of end.
type counter struct{ atomic.Int64 }

func (c *counter) end() { c.Add(1) }

// ended requires the end to have been called so often, once everything has come to rest.
func (c *counter) ended(t *testing.T, want int64) {
	t.Helper()
	synctest.Wait()
	if n := c.Load(); n != want {
		t.Fatalf("ended %d times, want %d", n, want)
	}
}

// nobodyLeft requires that the list refers to no watcher.
func nobodyLeft(t *testing.T, l *revoke.List) {
	t.Helper()
	if targets, watchers := l.Watched(); targets != 0 || watchers != 0 {
		t.Errorf("%d watchers of %d targets are left", watchers, targets)
	}
}

// Any target that hits the token ends it, exactly once.
func TestWatchedTokenEndsOnce(t *testing.T) {
	for _, target := range []revoke.Target{
		{Issuer: issuerA, Kind: revoke.All}, {Issuer: "https://*", Kind: revoke.All}, {Consumer: "shop", Kind: revoke.All},
		{Issuer: issuerA, Kind: revoke.ID, Value: "j"}, {Issuer: issuerA, Kind: revoke.Session, Value: "session"},
		{Issuer: issuerA, Kind: revoke.Text, Value: revoke.Digest("opaque")},
		{Issuer: issuerA, Kind: revoke.Claim, Claim: "/groups", Value: "scim"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var count counter
			l := revoke.NewList()
			stop := l.Watch(everything(t), count.end)
			if n := l.Watching(out(target)); n != 1 {
				t.Errorf("watching %d", n)
			}
			l.Apply(out(subject("another")))
			l.Apply(until(revoke.Target{Issuer: issuerA, Kind: revoke.Subject, Value: "s"}, start.Add(-time.Second)))
			count.ended(t, 0)
			l.Apply(out(target))
			count.ended(t, 1)
			if n := l.Watching(out(target)); n != 0 {
				t.Errorf("watching %d that have ended", n)
			}
			l.Apply(out(target))
			l.Apply(until(subject("s"), start.Add(time.Hour)))
			count.ended(t, 1)
			stop()
			stop()
			nobodyLeft(t, l)
		})
	}
}

func TestWatchOfARevokedTokenEndsAtOnce(t *testing.T) {
	l := revoke.NewList()
	l.Apply(out(subject("s")))
	var count counter
	stop := l.Watch(issued(t, m{"sub": "s"}), count.end)
	if count.Load() != 1 {
		t.Error("it goes on")
	}
	synctest.Test(t, func(t *testing.T) {
		l.Apply(until(subject("s"), start.Add(time.Hour)))
		count.ended(t, 1)
	})
	stop()
	nobodyLeft(t, l)
}

func TestNothingEndsAfterStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := revoke.NewList()
		var count, other counter
		stop := l.Watch(issued(t, m{"sub": "s"}), count.end)
		stopOther := l.Watch(issued(t, m{"sub": "s"}), other.end)
		stop()
		l.Apply(out(subject("s")))
		count.ended(t, 0)
		other.ended(t, 1)
		stopOther()
		nobodyLeft(t, l)
	})
}

// An entry ends everything that nobody has stopped, exactly once, whoever stops in the same moment.
func TestStopsWhileAnEntryComes(t *testing.T) {
	rounds := 300
	if testing.Short() {
		rounds = 50
	}
	l := revoke.NewList()
	for round := range rounds {
		const each = 20
		name := fmt.Sprint(round)
		var calls [2 * each]atomic.Int64
		var stops [2 * each]func()
		var ends, all sync.WaitGroup
		ends.Add(each)
		for i := range stops {
			stops[i] = l.Watch(issued(t, m{"sub": name, "sid": "one"}), func() {
				if calls[i].Add(1) == 1 && i%2 == 0 {
					ends.Done()
				}
			})
		}
		all.Go(func() { l.Apply(out(subject(name))) })
		for i := 1; i < len(stops); i += 2 {
			all.Go(stops[i])
		}
		all.Wait()
		ends.Wait() // each of those that nobody has stopped
		for i := range stops {
			stops[i]()
			if n := calls[i].Load(); n > 1 {
				t.Errorf("ended %d times", n)
			}
		}
	}
	nobodyLeft(t, l)
}

// A watch that begins while its token is revoked sees the entry, or the entry sees it.
func TestAWatchThatBeginsMeanwhile(t *testing.T) {
	l := revoke.NewList()
	for round := range 300 {
		name := fmt.Sprint(round)
		ended := make(chan struct{})
		var stop func()
		var both sync.WaitGroup
		token := issued(t, m{"sub": name})
		both.Go(func() { stop = l.Watch(token, func() { close(ended) }) })
		both.Go(func() { l.Apply(out(subject(name))) })
		both.Wait()
		<-ended
		stop()
	}
	nobodyLeft(t, l)
}

// A claim may have the same value twice. Watchers that stop must not take others with them.
func TestWatchersWithValuesThatAreThereTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := revoke.NewList()
		token := issued(t, m{"groups": []string{"a", "a", "a"}, "azp": "x", "cid": "x"})
		token.Terms = terms(t, "groups")
		var counts [8]counter
		var stops [8]func()
		for i := range counts {
			stops[i] = l.Watch(token, counts[i].end)
		}
		for i := range 7 {
			stops[i]()
		}
		l.Apply(out(revoke.Target{Issuer: issuerA, Kind: revoke.Claim, Claim: "/groups", Value: "a"}))
		counts[7].ended(t, 1)
		counts[0].ended(t, 0)
		stops[7]()
		nobodyLeft(t, l)
	})
}

// The end of one connection may take long. It holds up neither those of others nor writes.
func TestEndsDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 10_000
		l := revoke.NewList()
		release := make(chan struct{})
		var count counter
		var stops []func()
		for range many {
			stops = append(stops, l.Watch(issued(t, m{}), func() {
				count.end()
				<-release
			}))
		}
		all := out(revoke.Target{Issuer: issuerA, Kind: revoke.All})
		if n := l.Watching(all); n != many {
			t.Errorf("watching %d", n)
		}
		l.Apply(until(all.Target, start.Add(-time.Hour))) // from before they were issued
		count.ended(t, 0)
		l.Apply(all)
		l.Apply(out(subject("another"))) // returns although nothing has ended
		count.ended(t, many)
		for i, stop := range stops {
			if stop(); i%100 == 0 {
				l.Apply(out(subject(fmt.Sprint(i))))
			}
		}
		nobodyLeft(t, l)
		close(release)
	})
}

// The slice of watchers is made anew as they go, so that it does not grow with those that have gone.
func TestWatchersDoNotPileUp(t *testing.T) {
	l := revoke.NewList()
	token := issued(t, m{"sub": "s"})
	var stops []func()
	for i := range 100_000 {
		stops = append(stops, l.Watch(token, func() {}))
		if len(stops) > 10 { // the oldest goes
			stops[0]()
			stops = stops[1:]
		}
		if _, watchers := l.Watched(); i%1000 == 0 && watchers > 2*25 { // of two targets
			t.Fatalf("%d watchers after %d", watchers, i)
		}
	}
	for _, stop := range stops {
		stop()
	}
	nobodyLeft(t, l)
}
