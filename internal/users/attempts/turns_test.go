package attempts_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/users/attempts"
)

// attackers are 100 addresses with 100 attempts each, all at once.
func attackers(t *testing.T, h *hashes) {
	t.Helper()
	for i := range 10_000 {
		h.attempt(t.Context(), netip.AddrFrom4([4]byte{198, 51, 100, byte(i % 100)}), fmt.Sprint("attacker ", i%100))
	}
	synctest.Wait()
}

// floods keeps up a flood from 100 addresses for a while: each has failures, and always somebody who waits. In between
// come good logins, each from a clean address. It returns how many hashes each had to see end before its own began.
func floods(t *testing.T, h *hashes, logins int) (waits []int) {
	t.Helper()
	attackers(t, h)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a schedule that is the same each time
	for i := range logins {
		time.Sleep(2 * time.Second) // so that they may fail again
		for j := range 100 {
			h.attempt(t.Context(), netip.AddrFrom4([4]byte{198, 51, 100, byte(j)}), fmt.Sprint("attacker ", j))
		}
		synctest.Wait()
		who, wait := fmt.Sprint("good ", i), 0
		for h.attempt(t.Context(), netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), who); !h.has(who); wait++ {
			if !h.endOne(false) {
				t.Fatal("nothing is under way, and the good login waits")
			}
		}
		waits = append(waits, wait)
		for range 1 + random.IntN(8) { // at least one of the others has its turn
			h.endOne(false)
		}
	}
	return waits
}

// 10,000 wrong passwords from 100 addresses are there when a good login comes, and more after each one. It waits for
// the first hash that ends, and for no other one.
func TestAttackAGoodLoginHasItsTurnDuringAFlood(t *testing.T) {
	for _, slots := range []int{1, 2, 8} {
		t.Run(fmt.Sprint("slots=", slots), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHashes(t, guard(t, attempts.Config{Slots: slots}))
				for i, wait := range floods(t, h, 500) {
					if wait != 1 {
						t.Errorf("login %d has waited for %d hashes", i, wait)
					}
				}
				h.endAll(false)
			})
		})
	}
}

// There are always clean addresses that wait, and those with failures get every eighth turn.
func TestOthersHaveEveryEighthTurn(t *testing.T) {
	for _, slots := range []int{1, 2, 8} {
		t.Run(fmt.Sprint("slots=", slots), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHashes(t, guard(t, attempts.Config{Slots: slots}))
				other := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}) }
				for i := range 40 {
					_ = h.guard.Do(t.Context(), other(i), "x", wrong)
				}
				for i := range slots {
					h.attempt(t.Context(), netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), fmt.Sprint("first ", i))
				}
				synctest.Wait()
				for i := range 500 {
					h.attempt(t.Context(), netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), fmt.Sprint("clean ", i))
				}
				for i := range 40 {
					h.attempt(t.Context(), other(i), fmt.Sprint("other ", i))
				}
				h.endAll(true)
				for turn, who := range h.order()[slots : slots+320] {
					if is := strings.HasPrefix(who, "other"); is != (turn%8 == 7) {
						t.Fatalf("turn %d is that of %s", turn, who)
					}
				}
			})
		})
	}
}

// Clean addresses have had many turns, but none of the others waited for them.
func TestTurnsWhileNoOthersWaitDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 1}))
		other := at("198.51.100.1")
		_ = h.guard.Do(t.Context(), other, "x", wrong)
		for i := range 20 {
			h.attempt(t.Context(), netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), fmt.Sprint("clean ", i))
		}
		for range 19 {
			h.endOne(true)
		}
		h.attempt(t.Context(), other, "waits")
		h.attempt(t.Context(), at("192.0.2.200"), "good")
		h.endOne(true)
		if !h.has("good") || h.has("waits") {
			t.Errorf("%q", h.order())
		}
		h.endAll(true)
	})
}

// An address with failures that starts without waiting has had a turn, too.
func TestATurnWithoutWaitingIsATurnOfTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 1}))
		other := at("198.51.100.1")
		_ = h.guard.Do(t.Context(), other, "x", wrong)
		ctx, leaves := context.WithCancel(t.Context())
		h.attempt(t.Context(), at("192.0.2.100"), "first")
		synctest.Wait()
		h.attempt(ctx, other, "leaves")
		for i := range 7 { // as many as it must let pass
			h.attempt(t.Context(), netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), fmt.Sprint("clean ", i))
			h.endOne(true)
		}
		leaves()
		h.endAll(true)
		h.attempt(t.Context(), other, "at once")
		synctest.Wait()
		h.attempt(t.Context(), other, "waits")
		h.attempt(t.Context(), at("192.0.2.200"), "good")
		h.endOne(true)
		if !h.has("good") || h.has("waits") {
			t.Errorf("%q", h.order())
		}
		h.endAll(true)
	})
}
