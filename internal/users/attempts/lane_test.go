package attempts_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"

	"github.com/caddyjwt/gateway/internal/users/attempts"
)

// both are the lanes of one guard.
func both(t *testing.T, c attempts.Config) (local, remote *hashes) {
	g := guard(t, c)
	local, remote = newHashes(t, g), newHashes(t, g)
	remote.remote = true
	return local, remote
}

// The server does not answer, 1,000 addresses wait for it, and hashes go on as if it was not there.
func TestAttackASlowServerDoesNotHoldUpHashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local, remote := both(t, attempts.Config{Slots: 1, Remote: 4})
		for i := range 1000 {
			remote.attempt(t.Context(), netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), fmt.Sprint("remote ", i))
		}
		synctest.Wait()
		if n := len(remote.order()); n != 4 {
			t.Fatalf("%d ask the server at once", n)
		}
		for i := range 100 {
			who := fmt.Sprint("local ", i)
			local.attempt(t.Context(), netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), who)
			if !local.has(who) {
				t.Fatalf("%s waits for the server", who)
			}
			local.endOne(true)
		}
		remote.endAll(true)
		if left := local.guard.Left(); left != 0 {
			t.Errorf("%d things are left", left)
		}
	})
}

func TestHashesDoNotHoldUpWhoAsksAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local, remote := both(t, attempts.Config{Slots: 1})
		attackers(t, local)
		remote.attempt(t.Context(), at("192.0.2.1"), "remote")
		if !remote.has("remote") {
			t.Error("it waits for a hash")
		}
		remote.endAll(true)
		local.endAll(false)
	})
}

// A good login has its turn at a slow server as it has at the hashes.
func TestAttackAGoodLoginHasItsTurnAtAServerDuringAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, remote := both(t, attempts.Config{Slots: 1, Remote: 2})
		for i, wait := range floods(t, remote, 100) {
			if wait != 1 {
				t.Errorf("login %d has waited for %d others", i, wait)
			}
		}
		remote.endAll(false)
	})
}

// Whoever tries in both lanes at once has no more failures than in one.
func TestAttackTwoLanesHaveTheFailuresOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local, remote := both(t, attempts.Config{Slots: 100, Remote: 100})
		for i := range 20 {
			local.attempt(t.Context(), at("192.0.2.1"), fmt.Sprint("local ", i))
			remote.attempt(t.Context(), at("192.0.2.1"), fmt.Sprint("remote ", i))
		}
		if n := len(local.order()) + len(remote.order()); n != 10 {
			t.Errorf("%d run at once", n)
		}
		for local.endOne(false) || remote.endOne(false) {
			continue
		}
		if n := len(local.order()) + len(remote.order()); n != 10 {
			t.Errorf("%d failures", n)
		}
		if l := limited(t, local.guard.DoRemote(t.Context(), at("192.0.2.1"), "x", right)); l == nil {
			t.Error("the other lane is open")
		}
	})
}

// An attempt waits for one of its address in the other lane, and starts when that has ended.
func TestTheEndInOneLaneStartsTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local, remote := both(t, attempts.Config{Burst: 2, Slots: 100})
		local.attempt(t.Context(), at("192.0.2.1"), "a")
		local.attempt(t.Context(), at("192.0.2.1"), "b")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		remote.attempt(ctx, at("192.0.2.1"), "gone")
		synctest.Wait()
		cancel()
		remote.attempt(t.Context(), at("192.0.2.1"), "c")
		if remote.has("c") || remote.has("gone") {
			t.Fatal("three run, and two may fail")
		}
		local.endOne(true)
		if !remote.has("c") {
			t.Error("it still waits")
		}
		remote.endAll(true)
		local.endAll(true)
		if left := local.guard.Left(); left != 0 {
			t.Errorf("%d things are left", left)
		}
	})
}
