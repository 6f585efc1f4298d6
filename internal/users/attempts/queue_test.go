package attempts_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddyjwt/gateway/internal/users/attempts"
)

// After the flood each address has had its failures, and not one more.
func TestAttackAFloodGetsNoMoreHashesThanFailuresAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 8}))
		for range 5 {
			for i := range 2_000 {
				h.attempt(t.Context(), netip.AddrFrom4([4]byte{198, 51, 100, byte(i % 100)}), fmt.Sprint(i%100, " ", i))
			}
			h.endAll(false)
		}
		counts := make(map[string]int)
		for _, who := range h.order() {
			counts[strings.Fields(who)[0]]++
		}
		for who, n := range counts {
			if n > 10 {
				t.Errorf("address %s has had %d hashes", who, n)
			}
		}
		if len(counts) != 100 {
			t.Errorf("%d addresses had a turn", len(counts))
		}
	})
}

func TestAddressesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 1}))
		h.attempt(t.Context(), at("192.0.2.9"), "first")
		synctest.Wait()
		for i := range 4 {
			h.attempt(t.Context(), at("192.0.2.1"), fmt.Sprint("a", i))
			synctest.Wait()
		}
		for i := range 3 {
			h.attempt(t.Context(), at("192.0.2.2"), fmt.Sprint("b", i))
			synctest.Wait()
		}
		h.endAll(true) // the last one of an address without failures is alone, and goes first
		if got := strings.Join(h.order(), " "); got != "first a0 b0 a1 b1 b2 a2 a3" {
			t.Error(got)
		}
	})
}

// A whole office signs in at nine: more than the failures of its address are under way, but nobody fails.
func TestGoodLoginsBehindOneAddressWaitAndPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 64}))
		for i := range 18 {
			h.attempt(t.Context(), at("192.0.2.1"), fmt.Sprint("user ", i))
		}
		if n := len(h.order()); n != 10 {
			t.Errorf("%d hashes at once, and all could fail", n)
		}
		h.endAll(true)
		if n := len(h.order()); n != 18 || len(h.refused) != 0 {
			t.Errorf("%d hashes, refused %v", n, h.refused)
		}
	})
}

func TestFailuresRefuseThoseWhoWaitAtTheSameAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 64}))
		for i := range 18 {
			h.attempt(t.Context(), at("192.0.2.1"), fmt.Sprint("user ", i))
		}
		h.endAll(false)
		if n := len(h.order()); n != 10 || len(h.refused) != 8 {
			t.Errorf("%d hashes, refused %v", n, h.refused)
		}
	})
}

func TestFewWaitAtOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 1}))
		for i := range 20 {
			h.attempt(t.Context(), at("192.0.2.1"), fmt.Sprint(i))
		}
		synctest.Wait()
		if len(h.refused) != 11 {
			t.Errorf("%d are refused, and 8 wait", len(h.refused))
		}
		for i := range 200 {
			h.attempt(t.Context(), at(fmt.Sprintf("2001:db8:0:%x::1", i)), fmt.Sprint("site ", i))
		}
		synctest.Wait()
		if len(h.refused) != 11+200-64 {
			t.Errorf("%d are refused, and 64 of a site wait", len(h.refused))
		}
		h.endAll(true)
	})
}

// The queue is full of attempts from addresses with more than one. A clean one still finds a place.
func TestAttackAFullQueueHasRoomForACleanAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 1}))
		for i := range 1 + 128*8 {
			h.attempt(t.Context(), netip.AddrFrom4([4]byte{198, 51, 100, byte(max(0, i-1) / 8)}), fmt.Sprint(i))
			synctest.Wait()
		}
		if n := len(h.refused); n != 0 {
			t.Fatalf("%d are refused", n)
		}
		h.attempt(t.Context(), at("192.0.2.1"), "good")
		synctest.Wait()
		if h.refused["good"] != 0 || len(h.refused) != 1 {
			t.Errorf("refused are %v", h.refused)
		}
		h.attempt(t.Context(), at("192.0.2.1"), "a second one")
		synctest.Wait()
		if h.refused["a second one"] != 1 {
			t.Error("an address with two attempts takes the place of another")
		}
		h.endOne(false)
		if !h.has("good") {
			t.Error("it waits")
		}
		h.endAll(true)
	})
}

// When all are clean, nobody has to go for another.
func TestAFullQueueOfCleanAddressesRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 1}))
		for i := range 1100 {
			h.attempt(t.Context(), netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), fmt.Sprint(i))
			synctest.Wait()
		}
		if n := len(h.refused); n != 1100-1025 || h.refused["1099"] != 1 {
			t.Errorf("%d are refused", n)
		}
		h.endAll(true)
		if n := len(h.order()); n != 1025 {
			t.Errorf("%d hashes", n)
		}
	})
}

func TestAnAddressWithFailuresGetsOnAmongCleanOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 1}))
		h.attempt(t.Context(), at("192.0.2.1"), "mistyped")
		h.endOne(false)
		h.attempt(t.Context(), at("192.0.2.2"), "first")
		synctest.Wait()
		h.attempt(t.Context(), at("192.0.2.1"), "again")
		for i := range 100 {
			h.attempt(t.Context(), netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), fmt.Sprint("clean ", i))
		}
		synctest.Wait()
		h.endAll(true)
		if i := slices.Index(h.order(), "again"); i < 3 || i > 10 {
			t.Errorf("its turn is number %d", i)
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 1}))
		h.attempt(t.Context(), at("192.0.2.1"), "first")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		h.attempt(ctx, at("192.0.2.2"), "gone")
		h.attempt(t.Context(), at("192.0.2.3"), "stays")
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !errors.Is(h.ended["gone"], context.Canceled) {
			t.Errorf("%v", h.ended["gone"])
		}
		h.endAll(true)
		if got := strings.Join(h.order(), " "); got != "first stays" {
			t.Error(got)
		}
		if n := fails(t, h.guard, 100, from("192.0.2.2")); n != 10 {
			t.Errorf("an attempt without a hash has cost %d", 10-n)
		}
	})
}

// A turn that comes just when the context ends goes to the next.
func TestATurnThatMeetsTheEndOfItsContextIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 1}))
		leaveFirst := h.guard.Arrive(at("192.0.2.1"), "first")
		leaveSecond := h.guard.Arrive(at("192.0.2.2"), "second")
		h.attempt(t.Context(), at("192.0.2.3"), "third")
		synctest.Wait()
		leaveFirst()
		if h.has("third") {
			t.Fatal("two have a turn")
		}
		leaveSecond() // it has its turn, and does not know yet
		if !h.has("third") {
			t.Error("the turn is lost")
		}
		h.endAll(true)
		if left := h.guard.Left(); left != 0 {
			t.Errorf("%d things are left", left)
		}
	})
}
