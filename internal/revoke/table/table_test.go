package table_test

import (
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/caddyjwt/gateway/internal/revoke/table"
)

// hashOf is like that of a number. Few have the same first half as another one.
func hashOf(n int) table.Hash {
	random := rand.New(rand.NewPCG(uint64(n/2), 7)) //nolint:gosec // the same each time
	h := table.Hash{Hi: max(random.Uint64(), table.MinHi), Lo: random.Uint64()}
	h.Lo += uint64(n % 2)
	return h
}

// A table is like a map after each of many random steps, in which it grows and shrinks.
func TestATableIsLikeAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	tab, want, now := new(table.Table), make(map[table.Hash]table.Item), int64(0)
	for step := range 20_000 {
		h := hashOf(random.IntN(4000))
		before, there := want[h]
		switch random.IntN(4) {
		case 0:
			if tab.Remove(h) != there {
				t.Fatalf("step %d: removed what is not there, or did not", step)
			}
			delete(want, h)
		case 1:
			now += random.Int64N(2)
			gone := 0
			for part := range table.Parts {
				gone += tab.Sweep(part, now)
			}
			for h, e := range want {
				if e.Expires <= now {
					delete(want, h)
					gone--
				}
			}
			if gone != 0 {
				t.Fatalf("step %d: swept %d too many", step, gone)
			}
		default:
			e := table.Item{Hash: h, Cutoff: random.Int64N(9), Expires: now + random.Int64N(2000)}
			if tab.Put(e) == there {
				t.Fatalf("step %d: there before: %v, and it says otherwise", step, there)
			}
			want[h] = table.Item{Hash: h, Cutoff: max(e.Cutoff, before.Cutoff), Expires: max(e.Expires, before.Expires)}
		}
		h = hashOf(random.IntN(4000))
		e, there := want[h]
		if cutoff, expires, is := tab.Find(h); is != there || cutoff != e.Cutoff || expires != e.Expires {
			t.Fatalf("step %d: %d, %d, %v; want %+v, %v", step, cutoff, expires, is, e, there)
		}
		if there && !tab.HasOne([]uint64{hashOf(1_000_000).Hi, h.Hi, hashOf(1_000_002).Hi}) {
			t.Fatalf("step %d: not found among others", step)
		}
		if tab.HasOne([]uint64{hashOf(1_000_000).Hi, hashOf(1_000_002).Hi, hashOf(1_000_004).Hi}) {
			t.Fatalf("step %d: found what is not there", step)
		}
	}
	all := make(map[table.Hash]table.Item)
	for part := range table.Parts {
		for e := range tab.All(part) {
			all[e.Hash] = e
		}
		for range tab.All(part) {
			break
		}
	}
	t.Logf("%d entries at the end", len(want))
	if len(want) < 300 || !maps.Equal(all, want) {
		t.Errorf("%d entries, want %d", len(all), len(want))
	}
}

// Nobody can be missed by a reader while others come and go, and the table is rebuilt.
func TestReadersMissNothing(t *testing.T) {
	tab := new(table.Table)
	kept := hashOf(0)
	tab.Put(table.Item{Hash: kept, Cutoff: 1, Expires: 1 << 40})
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, _, there := tab.Find(kept); !there || !tab.HasOne([]uint64{kept.Hi}) {
					t.Error("missed")
					return
				}
			}
		})
	}
	for round := range 10 {
		for i := range 5000 {
			tab.Put(table.Item{Hash: hashOf(2 + i), Cutoff: 1, Expires: int64(1 + i%2*round)})
		}
		for part := range table.Parts {
			tab.Sweep(part, int64(round))
		}
	}
	close(done)
	readers.Wait()
}

func TestAnEmptyTable(t *testing.T) {
	tab := new(table.Table)
	for part := range table.Parts {
		if tab.Sweep(part, 1) != 0 {
			t.Error("swept something")
		}
		for range tab.All(part) {
			t.Error("there is something")
		}
	}
	if _, _, there := tab.Find(hashOf(1)); there || tab.Remove(hashOf(1)) || tab.HasOne([]uint64{hashOf(1).Hi}) {
		t.Error("found something")
	}
}
