package attempts_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/users/attempts"
)

// strangers are attempts from so many clean addresses, at the same time.
func strangers(t *testing.T, h *hashes, first, n int) {
	t.Helper()
	for i := first; i < first+n; i++ {
		h.attempt(t.Context(), netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), fmt.Sprint("stranger ", i))
	}
	synctest.Wait()
}

// Strangers at clean addresses have all slots, and hundreds of them wait. Whoever comes from an address where somebody
// has signed in lately begins at once.
func TestAttackStrangersDoNotHoldUpWhoIsKnown(t *testing.T) {
	for _, remote := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := newHashes(t, guard(t, attempts.Config{Slots: 2, Remote: 2}))
			h.remote = remote
			known := at("192.0.2.1")
			h.attempt(t.Context(), known, "first")
			h.endOne(true)
			strangers(t, h, 0, 500)
			for i := range 50 {
				who := fmt.Sprint("good ", i)
				if h.attempt(t.Context(), known, who); !h.has(who) {
					t.Fatalf("%s waits", who)
				}
				h.endWho(who, true)
				h.endOne(false)
			}
			// There is one such slot, and each address has it once.
			h.attempt(t.Context(), known, "one")
			h.attempt(t.Context(), known, "two")
			if h.has("one") == h.has("two") {
				t.Errorf("one begins: %v, two begins: %v", h.has("one"), h.has("two"))
			}
			h.attempt(t.Context(), at("192.0.2.2"), "unknown")
			if h.has("unknown") {
				t.Error("a stranger has the slot")
			}
			h.endAll(true)
		})
	}
}

// A failure takes the slot away, until the address is clean again. After a day without a sign-in it is gone.
func TestWhoIsKnownIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 1}))
		known, n := at("192.0.2.1"), 0
		_ = h.guard.Do(t.Context(), known, "alice", right)
		goesFirst := func() bool {
			strangers(t, h, n, 2)
			who := fmt.Sprint("good ", n)
			h.attempt(t.Context(), known, who)
			first := h.has(who)
			n += 2
			h.endAll(true)
			return first
		}
		if !goesFirst() {
			t.Error("who has just signed in waits")
		}
		_ = h.guard.Do(t.Context(), known, "alice", wrong)
		if goesFirst() {
			t.Error("who has just failed does not wait")
		}
		time.Sleep(time.Minute)
		if !goesFirst() {
			t.Error("who has failed a minute ago waits")
		}
		time.Sleep(24*time.Hour + time.Second)
		if goesFirst() {
			t.Error("who has signed in yesterday does not wait")
		}
	})
}

// Many known addresses wait all the time. Every second turn in the slot for all is that of a new address, as long as
// there are some. The slot for known ones has as many turns.
func TestNewAddressesHaveEverySecondTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 1}))
		known := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, byte(2 + i>>8), byte(i)}) }
		for i := range 100 {
			_ = h.guard.Do(t.Context(), known(i), "alice", right)
		}
		strangers(t, h, 0, 2)
		for i := range 100 {
			h.attempt(t.Context(), known(i), fmt.Sprint("known ", i))
			synctest.Wait()
		}
		strangers(t, h, 2, 40)
		h.endAll(true)
		begun := h.order()
		for turn := 4; turn < 120; turn += 4 {
			turns := begun[turn : turn+4]
			if n := strings.Count(strings.Join(turns, " "), "stranger"); n != 1 {
				t.Fatalf("turns %d and those after it are those of %q", turn, turns)
			}
		}
	})
}
