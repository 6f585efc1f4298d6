package revoke

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// The anchor is always the newest record that has not expired, or it is said that this one is not known.
func TestAnchors(t *testing.T) {
	start := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	unknown := 0
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		var of anchors
		var all []store.Record
		now := start
		for i := range 300 {
			now = now.Add(time.Duration(random.IntN(20)) * time.Second)
			life := time.Duration(1+random.IntN(1000)) * time.Second
			if seed%2 == 0 { // each record expires before the one before it
				life = time.Duration(100_000-300*i) * time.Second
			}
			r := store.Record{Position: store.Position{Hi: uint64(i) + 1}, Data: fmt.Append(nil, i), Expires: now.Add(life)}
			of.drop(&r, now)
			all = append(all, r)
			later := now.Add(time.Duration(random.IntN(200)) * time.Second)
			want := store.Position{}
			for _, r := range all {
				if later.Add(clockMargin).Before(r.Expires) {
					want = r.Position
				}
			}
			probe := anchors{append([]anchor(nil), of.all...), of.forgotten}
			got, known := probe.newest(later)
			if !known {
				unknown++
			}
			if known && got.at != want {
				t.Fatalf("seed %d, record %d: %v, want %v", seed, i, got.at, want)
			}
			if len(of.all) > maxAnchors {
				t.Fatalf("%d anchors", len(of.all))
			}
		}
		if _, known := of.newest(now.Add(90_000 * time.Second)); seed%2 == 0 && known {
			t.Errorf("seed %d: the newest record was forgotten, and nobody says so", seed)
		}
	}
	if unknown > 200 {
		t.Errorf("the newest record was not known %d times", unknown)
	}
}

func TestAnAnchorHolds(t *testing.T) {
	var of anchors
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	if none, known := of.newest(now); !known || !none.holds(nil) {
		t.Error("an empty log has lost something")
	}
	of.drop(&store.Record{Position: store.Position{Hi: 1}, Data: []byte("a"), Expires: now.Add(time.Hour)}, now)
	got, _ := of.newest(now)
	for data, want := range map[string]bool{"a": true, "b": false, "": false} {
		if got.holds([]byte(data)) != want {
			t.Errorf("%q: want %v", data, want)
		}
	}
	if got.holds(nil) {
		t.Error("a record that is gone holds")
	}
}
