package revoke_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/revoke"
)

// model is what a list has to know, written as plainly as possible.
type model map[revoke.Target]*revoke.Entry

func (m model) apply(e *revoke.Entry) {
	if e.Lifted {
		delete(m, e.Target)
		return
	}
	kept := *e
	if before := m[e.Target]; before != nil {
		if before.NotAfter.After(e.NotAfter) {
			kept.NotAfter = before.NotAfter
		}
		if before.Expires.After(e.Expires) {
			kept.Expires = before.Expires
		}
	}
	m[e.Target] = &kept
}

func (m model) sweep(now time.Time) {
	for target, e := range m {
		if !now.Before(e.Expires) {
			delete(m, target)
		}
	}
}

// A list is the same as the model after each of many random steps, in which it grows, shrinks and is rebuilt.
func TestListIsLikeAMap(t *testing.T) {
	steps := 60_000
	if testing.Short() {
		steps = 10_000
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same steps each time
	list, want, now := revoke.NewList(), model{}, start
	target := func() revoke.Target {
		return subject(fmt.Sprint(random.IntN(3_000)))
	}
	compare := func(of revoke.Target) {
		t.Helper()
		entry := want[of]
		if list.Has(of) != (entry != nil) {
			t.Fatalf("%v: there %v, want %v", of, list.Has(of), entry != nil)
		}
		for _, iat := range []time.Time{start, now.Truncate(time.Second), now.Add(time.Hour).Truncate(time.Second)} {
			is := revoked(list, issued(t, m{"sub": of.Value, "iat": iat.Unix()}))
			if should := entry != nil && !iat.After(entry.NotAfter); is != should {
				t.Fatalf("%v, issued at %v: revoked %v, want %v by %+v", of, iat, is, should, entry)
			}
		}
	}
	for step := range steps {
		of := target()
		switch n := random.IntN(100); {
		case n < 60:
			e := until(of, now.Add(-time.Duration(random.IntN(3600))*time.Second))
			e.Expires = now.Add(time.Duration(random.IntN(3600)) * time.Second)
			list.Apply(e)
			want.apply(e)
		case n < 75:
			list.Apply(back(of))
			want.apply(back(of))
		case n == 99 && step%50 == 0:
			now = now.Add(time.Duration(random.IntN(4000)) * time.Second)
			list.Sweep(now)
			want.sweep(now)
		}
		if list.Len() != len(want) {
			t.Fatalf("%d entries, want %d", list.Len(), len(want))
		}
		compare(of)
		compare(target())
	}
	for i := range 3_000 {
		compare(subject(fmt.Sprint(i)))
	}
}

// Readers see an entry from the moment on in which apply returns, whatever else happens to the table.
func TestNoEntryIsEverMissed(t *testing.T) {
	const subjects = 4000
	rounds := 60
	if testing.Short() {
		rounds = 8
	}
	list := revoke.NewList()
	var changes [subjects]atomic.Int64 // odd while it must be found
	tokens := make([]revoke.Token, subjects)
	for i := range tokens {
		tokens[i] = issued(t, m{"sub": fmt.Sprint(i)})
	}
	var stop atomic.Bool
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for !stop.Load() {
				i := rand.IntN(subjects) //nolint:gosec // any will do
				before := changes[i].Load()
				if is := revoked(list, tokens[i]); !is && before%2 == 1 && changes[i].Load() == before {
					t.Errorf("%d is missed", i)
					return
				}
			}
		})
	}
	long := start.Add(24 * time.Hour)
	for round := range rounds {
		from := round % 4 * (subjects / 4)
		for i := from; i < from+subjects/4; i++ { // these stay for a whole round of rounds
			e := out(subject(fmt.Sprint(i)))
			e.Expires = long
			list.Apply(e)
			changes[i].Add(1)
			list.Apply(out(subject(fmt.Sprint("passing ", round, i)))) // these come and go, so that there are rebuilds
		}
		list.Sweep(start.Add(2 * time.Hour))
		next := (from + subjects/4) % subjects
		for i := next; i < next+subjects/4; i++ {
			if changes[i].Load()%2 == 1 {
				changes[i].Add(1)
			}
			list.Apply(back(subject(fmt.Sprint(i))))
		}
	}
	stop.Store(true)
	readers.Wait()
	if n := list.Len(); n != 3*subjects/4 {
		t.Errorf("%d entries, want %d", n, 3*subjects/4)
	}
}

// A million entries take at most 100 bytes each, however the list came to have them.
func TestMemoryOfEntries(t *testing.T) {
	if testing.Short() || race {
		t.Skip("takes long")
	}
	const n = 1_000_000
	used := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := used()
	list := revoke.NewList()
	check := func(how string, want int) {
		t.Helper()
		each := float64(used()-before) / float64(want)
		t.Logf("%s: %.1f bytes an entry", how, each)
		if each > 100 || list.Len() != want {
			t.Errorf("%s: %.1f bytes an entry of %d, want at most 100", how, each, list.Len())
		}
	}
	crowd(list, n)
	check("grown", n)
	gone := start.Add(-time.Hour)
	for i := range n { // as many that have expired, and go
		e := until(subject(fmt.Sprint(i)), gone)
		e.Expires = gone
		list.Apply(e)
	}
	list.Sweep(start)
	check("shrunk", n)
	for i := range n / 2 {
		list.Apply(out(subject(fmt.Sprint(i))))
	}
	check("grown again", n+n/2)
	list.Sweep(start.Add(2 * time.Hour))
	if left := used() - min(before, used()); left > 1<<20 || list.Len() != 0 {
		t.Errorf("an empty list of %d entries keeps %d bytes", list.Len(), left)
	}
}
