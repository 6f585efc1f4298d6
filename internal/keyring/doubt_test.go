package keyring_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// unsure wants that nothing verifies, and that nothing is signed.
func unsure(tb testing.TB, ring *keyring.Ring, token string) {
	tb.Helper()
	if ring.Current() != nil {
		tb.Error("there are keys in a doubt")
	}
	wants(tb, verify(ring, token), keyset.ErrUnavailable)
	signed, err := ring.Sign(nil, "at+jwt", []byte("{}"))
	if wants(tb, err, keyring.ErrDoubt); signed != "" {
		tb.Error("signed in a doubt")
	}
}

// Nobody waits for the next look at the vault: a node that hears of a reset sees it at once.
func TestANodeThatIsToldOfAResetTakesNoFormerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		here, there := open(t, shared.node()), open(t, shared.node())
		old := sign(t, here)
		if !here.ResetAt().IsZero() {
			t.Error("reset before that")
		}
		must(t, here.Reset(t.Context()))
		accepts(t, there, old)
		before := time.Now()
		there.Doubt()
		refuses(t, there, old)
		accepts(t, here, sign(t, there))
		if took := time.Since(before); took > 0 {
			t.Errorf("took %v", took)
		}
		if at := there.ResetAt(); !at.Equal(here.ResetAt()) || at.IsZero() {
			t.Errorf("reset at %v, want %v", at, here.ResetAt())
		}
		must(t, here.Rotate(t.Context()))
		must(t, there.CatchUp(t.Context()))
		if signs(here) != signs(there) || !there.ResetAt().Equal(here.ResetAt()) {
			t.Error("the rotation is not known there, or it has forgotten the reset")
		}
		if restarted := open(t, shared.node()); !restarted.ResetAt().Equal(here.ResetAt()) {
			t.Error("a restart has forgotten the reset")
		}
	})
}

// While the vault is down nobody knows whether the keys were reset. With the former ones, a thief could go on.
func TestAttackATokenOfALeakedKeyWhileTheStorageIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		here, storage := open(t, shared.node()), shared.node()
		there := open(t, storage)
		leaked := sign(t, here)
		must(t, here.Reset(t.Context()))
		down := errors.New("down")
		storage.hook("Load", func(context.Context) error { return down })
		there.Doubt()
		for range 3 {
			unsure(t, there, leaked)
			time.Sleep(time.Minute)
		}
		wants(t, there.CatchUp(t.Context()), keyring.ErrDoubt)
		storage.hook("Load", nil)
		time.Sleep(time.Second)
		synctest.Wait()
		refuses(t, there, leaked)
		accepts(t, here, sign(t, there))
	})
}

// A look that was under way when the doubt came may have read what there was before.
func TestALookFromBeforeADoubtDoesNotEndIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		here, storage := open(t, shared.node()), shared.node()
		there := open(t, storage)
		old := sign(t, here)
		read, goOn := make(chan struct{}), make(chan struct{})
		storage.hookAfter("Load", func() error {
			storage.hookAfter("Load", nil)
			close(read)
			<-goOn
			return nil
		})
		<-read // the old document
		must(t, here.Reset(t.Context()))
		there.Doubt()
		there.Doubt()
		verified := make(chan error)
		go func() { verified <- verify(there, old) }()
		synctest.Wait()
		close(goOn)
		wants(t, <-verified, keyset.ErrUnknownKey)
		accepts(t, there, sign(t, here))
	})
}

// All who wait in a doubt share one look, and only so many wait.
func TestOnlySoManyWaitInADoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newVault().node()
		ring := open(t, storage)
		token := sign(t, ring)
		goOn := make(chan struct{})
		storage.hook("Load", func(context.Context) error { <-goOn; return nil })
		ring.Doubt()
		const many = 3000
		outcomes := make(chan error, many)
		for range many {
			go func() { outcomes <- verify(ring, token) }()
		}
		synctest.Wait()
		if n := len(outcomes); n != many-1024 {
			t.Errorf("%d had no place, want %d", n, many-1024)
		}
		loads := storage.count("Load")
		close(goOn)
		synctest.Wait()
		good := 0
		for range many {
			if <-outcomes == nil {
				good++
			}
		}
		if good != 1024 || storage.count("Load") != loads {
			t.Errorf("%d are good after %d looks", good, storage.count("Load")-loads+1)
		}
	})
}

// A client that goes does not wait for the storage, and a ring that rests does not leave anybody waiting.
func TestAWaitInADoubtEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newVault().node()
		ring := open(t, storage)
		storage.hook("Load", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begun := time.Now()
		wants(t, ring.CatchUp(ctx), keyring.ErrDoubt)
		outcome := make(chan error)
		go func() { outcome <- ring.CatchUp(t.Context()) }()
		synctest.Wait()
		ring.Rest()
		wants(t, <-outcome, keyring.ErrClosed)
		if took := time.Since(begun); took > 0 {
			t.Errorf("took %v", took)
		}
		must(t, ring.Close())
		_, err := ring.Sign(nil, "", []byte("{}"))
		wants(t, err, keyring.ErrClosed)
	})
}

func TestADoubtCostsNothingWhileThereIsNone(t *testing.T) {
	ring := open(t, newVault().node())
	if n := testing.AllocsPerRun(100, func() { ring.Current() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
