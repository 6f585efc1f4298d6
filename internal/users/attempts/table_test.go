package attempts_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/users/attempts"
)

// network is the first address of the /64 with this number, under 2001:db8::/32.
func network(i int) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], 0x20010db8<<32|uint64(i)<<16) // each in a /48 of its own
	b[15] = 1
	return netip.AddrFrom16(b)
}

// A table with room for 100 places is full of failures from one /32. Then the /32 has 64 times the failures of a /64,
// and nobody else has less.
func TestAttackWhoFillsTheTableIsLimitedAsOneNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{Places: 100})
		n := fails(t, g, 10_000, func(i int) (netip.Addr, string) { return network(i), "alice" })
		if n < 640 || n > 640+100 {
			t.Errorf("%d failures", n)
		}
		if limited(t, g.Do(t.Context(), at("2001:db8:ffff::1"), "x", right)) == nil {
			t.Error("another /48 of it is looked at")
		}
		if n := g.Remembered(); n > 100+1 {
			t.Errorf("%d places are remembered", n)
		}
		for _, other := range []string{"2001:db9::1", "192.0.2.1"} {
			if err := g.Do(t.Context(), at(other), "alice", right); err != nil {
				t.Errorf("%s: %v", other, err)
			}
		}
		time.Sleep(time.Minute)
		if err := g.Do(t.Context(), at("2001:db8:ffff::1"), "x", right); err != nil {
			t.Errorf("after a minute: %v", err)
		}
	})
}

func TestAttackManyIPv4AddressesCountAsTheirNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{Places: 100})
		n := fails(t, g, 10_000, func(i int) (netip.Addr, string) {
			return netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), "alice"
		})
		if n < 640 || n > 640+100 {
			t.Errorf("%d failures", n)
		}
		if err := g.Do(t.Context(), at("198.52.0.1"), "alice", right); err != nil {
			t.Error(err)
		}
	})
}

// However long others fill the table, a network waits no longer than an address.
func TestAttackADebtIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{Places: 2_000})
		for i := range 600 { // each has all its failures, and they are still known
			fails(t, g, 20, func(int) (netip.Addr, string) { return network(i), "alice" })
		}
		for i := range 5_000 { // others, who make the table forget them
			address := netip.AddrFrom4([4]byte{byte(i), 51, byte(i >> 8), 1})
			_ = g.Do(t.Context(), address, "alice", wrong)
		}
		l := limited(t, g.Do(t.Context(), network(700), "x", right))
		if l == nil || l.RetryAfter > time.Minute/640+time.Millisecond {
			t.Errorf("%v", l)
		}
	})
}

func TestThePlaceThatIsLikeNewIsForgottenFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{Places: 4})
		fails(t, g, 6, func(i int) (netip.Addr, string) { return at("192.0.2.1"), "alice" })
		_ = g.Do(t.Context(), at("192.0.2.2"), "bob", wrong) // which is like new before the first
		time.Sleep(15 * time.Second)
		_ = g.Do(t.Context(), at("192.0.2.3"), "carol", wrong)
		if n := fails(t, g, 100, from("192.0.2.1")); n > 8 {
			t.Errorf("%d failures are left to an address that has failed 5 times", n)
		}
	})
}

func TestTheTableDoesNotGrowWhenPlacesAreLikeNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, attempts.Config{})
		for i := range 1_000 {
			_ = g.Do(t.Context(), netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), "x", wrong)
			time.Sleep(15 * time.Second)
		}
		if n := g.Remembered(); n > 4 {
			t.Errorf("%d places are remembered", n)
		}
	})
}

func TestNothingIsLeftOfAttemptsThatAreOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHashes(t, guard(t, attempts.Config{Slots: 2}))
		for i := range 500 {
			h.attempt(t.Context(), at(fmt.Sprintf("2001:db8:%x:%x::1", i%7, i%50)), fmt.Sprint(i))
			h.attempt(t.Context(), netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), fmt.Sprint("v4 ", i))
		}
		h.endAll(true)
		if left := h.guard.Left(); left != 0 {
			t.Errorf("%d things are left", left)
		}
	})
}
