package keyring_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/keyset"
)

func TestNothingFromBeforeAResetVerifies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		here, there := open(t, shared.node()), open(t, shared.node())
		tokens := []string{sign(t, here)}
		must(t, here.Rotate(t.Context()))
		tokens = append(tokens, sign(t, here))
		afterALook()
		accepts(t, there, tokens[0])
		old := there.Current().Keys()

		must(t, here.Reset(t.Context()))
		if here.Current().Len() != 2 || len(kids(here, keyring.Former)) > 0 {
			t.Error("former keys are left")
		}
		for _, token := range tokens {
			refuses(t, here, token)
		}
		accepts(t, here, sign(t, here))
		afterALook()
		for _, token := range tokens {
			refuses(t, there, token)
		}
		for _, key := range old {
			if there.Current().Has(key) || published(t, there, key.ID) {
				t.Error("an old key is still there")
			}
		}
		accepts(t, here, sign(t, there))
	})
}

func TestATokenOfANewKeyMakesOldOnesGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		here, there := open(t, shared.node()), open(t, shared.node())
		old := sign(t, here)
		time.Sleep(2 * time.Second)
		must(t, here.Reset(t.Context()))
		accepts(t, there, old) // it has not looked
		before := time.Now()
		accepts(t, there, sign(t, here))
		refuses(t, there, old)
		if took := time.Since(before); took > 0 {
			t.Errorf("took %v", took)
		}
	})
}

// An eventually consistent storage, or a backup, brings an old document back.
func TestAttackAnOldDocumentBringsNoKeysBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		var told troubles
		ring := open(t, shared.node(), told.into)
		place, text, leaked := shared.place(), shared.text(), sign(t, ring)
		must(t, ring.Reset(t.Context()))
		newer := shared.text()
		shared.put(place, text)
		time.Sleep(time.Minute)
		refuses(t, ring, leaked)
		accepts(t, ring, sign(t, ring))
		told.are(t, keyring.ErrOlder)
		wants(t, ring.Rotate(t.Context()), keyring.ErrOlder)
		if shared.text() != text {
			t.Error("the old document was overwritten")
		}
		shared.put(place, newer)
		afterALook()
		told.are(t, keyring.ErrOlder, nil)

		must(t, ring.Rotate(t.Context()))
		shared.put(place, newer) // of the same epoch
		wants(t, ring.Rotate(t.Context()), keyring.ErrOlder)
		must(t, ring.Reset(t.Context()))
		must(t, ring.Rotate(t.Context()))
	})
}

// By the clock of the node that resets, the keys that it throws away come from the future.
func TestAResetCountsWhateverTheClockSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		ahead := open(t, shared.node(), func(o *keyring.Options) {
			o.Now = func() time.Time { return time.Now().Add(time.Hour) }
		})
		old := sign(t, ahead)
		must(t, open(t, shared.node()).Reset(t.Context()))
		afterALook()
		refuses(t, ahead, old)
	})
}

// A look at the vault has read the old document, and ends only after the reset.
func TestALookThatBeganBeforeAResetBringsNothingBack(t *testing.T) {
	for name, reset := range map[string]func(*keyring.Ring, context.Context) error{
		"reset": (*keyring.Ring).Reset, "rotate": (*keyring.Ring).Rotate,
	} {
		synctest.Test(t, func(t *testing.T) {
			storage := newVault().node()
			var told troubles
			ring := open(t, storage, told.into)
			before := signs(ring)
			read, goOn := make(chan struct{}), make(chan struct{})
			storage.hookAfter("Load", func() error {
				storage.hookAfter("Load", nil)
				close(read)
				<-goOn
				return nil
			})
			<-read
			must(t, reset(ring, t.Context()))
			close(goOn)
			synctest.Wait()
			if signs(ring) == before {
				t.Errorf("%s: the old document is in force again", name)
			}
			told.are(t)
		})
	}
}

func TestWithoutTheDocumentTheRingGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		var told troubles
		ring := open(t, shared.node(), told.into)
		place, token := shared.place(), sign(t, ring)
		shared.put(place, "")
		time.Sleep(time.Minute)
		accepts(t, ring, token)
		told.are(t, keyring.ErrMissing)
		wants(t, ring.Rotate(t.Context()), keyring.ErrMissing)
		if shared.text() != "" {
			t.Error("what was deleted, perhaps on purpose, has come back")
		}

		restarted := open(t, shared.node()) // makes new keys
		afterALook()
		refuses(t, ring, token)
		accepts(t, ring, sign(t, restarted))
		told.are(t, keyring.ErrMissing, nil)

		shared.put(place, "")
		must(t, ring.Reset(t.Context()))
		afterALook()
		accepts(t, restarted, sign(t, ring))
	})
}

func TestCloseWhileTheKeysChangeLeavesNone(t *testing.T) {
	storage := newVault().node()
	ring := open(t, storage)
	storage.hook("Store", func(context.Context) error { return ring.Close() })
	wants(t, ring.Reset(t.Context()), keyring.ErrClosed)
	if ring.Current() != nil {
		t.Error("there are keys after Close")
	}
}

func TestAfterCloseThereIsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		ring := open(t, shared.node())
		token, text := sign(t, ring), shared.text()
		must(t, ring.Close())
		must(t, ring.Close())
		if ring.Current() != nil || ring.Keys() != nil || string(ring.JWKS()) != `{"keys":[]}` {
			t.Error("there are keys after Close")
		}
		wants(t, verify(ring, token), keyset.ErrUnavailable)
		_, err := ring.Sign(nil, "", []byte("{}"))
		wants(t, err, keyring.ErrClosed)
		wants(t, ring.Rotate(t.Context()), keyring.ErrClosed)
		wants(t, ring.Reset(t.Context()), keyring.ErrClosed)
		if shared.text() != text {
			t.Error("the document was changed after Close")
		}
	})
}
