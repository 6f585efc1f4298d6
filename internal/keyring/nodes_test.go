package keyring_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/keyset"
)

var errAway = errors.New("the storage is away")

func failing(context.Context) error { return errAway }

// hanging is a storage that does not answer.
func hanging(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestATokenOfAnotherNodeVerifiesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		here, there := open(t, shared.node()), open(t, shared.node())
		for range 3 { // after the second, the key that signs was published after the last look
			must(t, here.Rotate(t.Context()))
		}
		var waiting sync.WaitGroup
		begun := time.Now()
		for range 100 {
			waiting.Go(func() { accepts(t, there, sign(t, here)) })
		}
		waiting.Wait()
		if took := time.Since(begun); took > time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestAttackAFloodOfUnknownKeysCostsOneLookInASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newVault().node()
		ring := open(t, storage)
		looks := storage.count("Load")
		const seconds = 60
		var flood sync.WaitGroup
		for i := range 50 * seconds {
			flood.Go(func() {
				_, err := ring.Find(context.Background(), jose.ES256, fmt.Sprint("invented ", i))
				wants(t, err, keyset.ErrUnknownKey)
			})
			time.Sleep(time.Second / 50)
		}
		begun := time.Now()
		accepts(t, ring, sign(t, ring))
		if took := time.Since(begun); took > 0 {
			t.Errorf("a good token waited for %v", took)
		}
		flood.Wait()
		if looks = storage.count("Load") - looks; looks < seconds-2 || looks > seconds+2 {
			t.Errorf("%d looks in %d seconds", looks, seconds)
		}
	})
}

func TestAttackOnlySoManyTokensWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newVault().node()
		ring := open(t, storage)
		storage.hook("Load", hanging)
		var flood sync.WaitGroup
		for range 1024 {
			flood.Go(func() { ring.Find(context.Background(), jose.ES256, "invented") })
		}
		synctest.Wait()
		begun := time.Now()
		_, err := ring.Find(t.Context(), jose.ES256, "one more")
		wants(t, err, keyset.ErrUnavailable)
		wants(t, err, keyset.ErrPending)
		if took := time.Since(begun); took > 0 {
			t.Errorf("it waited for %v", took)
		}
		flood.Wait()
		storage.hook("Load", nil)
		time.Sleep(10 * time.Second)
		_, err = ring.Find(t.Context(), jose.ES256, "one more")
		wants(t, err, keyset.ErrUnknownKey)
	})
}

func TestSomeUnknownKeysNeedNoLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newVault().node()
		ring := open(t, storage)
		retired, now := signs(ring), ""
		for range 40 { // more ids than are remembered
			must(t, ring.Reset(t.Context()))
			retired, now = now, signs(ring)
		}
		looks := storage.count("Load")
		for _, unknown := range []struct {
			alg jose.Algorithm
			kid string
		}{{jose.ES256, retired}, {jose.RS256, now}, {jose.EdDSA, ""}} {
			_, err := ring.Find(t.Context(), unknown.alg, unknown.kid)
			wants(t, err, keyset.ErrUnknownKey)
		}
		if storage.count("Load") != looks {
			t.Error("there was a look at the vault")
		}
		if keys, err := ring.Find(t.Context(), jose.ES256, ""); err != nil || len(keys) != 2 {
			t.Errorf("%d keys for a token without a kid: %v", len(keys), err)
		}
	})
}

func TestFindWaitsForTwoSecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newVault().node()
		ring := open(t, storage)
		storage.hook("Load", hanging)
		begun := time.Now()
		_, err := ring.Find(t.Context(), jose.ES256, "unknown")
		wants(t, err, keyset.ErrUnavailable)
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("it waited for %v", took)
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Millisecond, errors.New("the client has left"))
		defer cancel()
		begun = time.Now()
		_, err = ring.Find(ctx, jose.ES256, "unknown")
		wants(t, err, keyset.ErrUnavailable)
		wants(t, err, context.Cause(ctx))
		if took := time.Since(begun); took != time.Millisecond {
			t.Errorf("it waited for %v", took)
		}
	})
}

func TestCloseEndsTheWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newVault().node()
		ring := open(t, storage)
		storage.hook("Load", hanging)
		var waiting sync.WaitGroup
		for range 2 { // the first waits for a look that has begun, the second for the next
			waiting.Go(func() {
				_, err := ring.Find(context.Background(), jose.ES256, "unknown")
				wants(t, err, keyset.ErrUnavailable)
				wants(t, err, keyring.ErrClosed)
			})
			time.Sleep(time.Second / 2)
		}
		begun := time.Now()
		must(t, ring.Close())
		waiting.Wait()
		if took := time.Since(begun); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}

func TestWithoutTheVaultTheRingGoesOnWithWhatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		storage := shared.node()
		var told troubles
		here, there := open(t, storage, told.into), open(t, shared.node())
		token := sign(t, there)
		storage.hook("Load", failing)
		afterALook()
		began := time.Now()
		must(t, there.Rotate(t.Context()))
		must(t, there.Rotate(t.Context()))
		err := verify(here, sign(t, there))
		wants(t, err, keyset.ErrUnavailable)
		wants(t, err, errAway)
		if u, is := errors.AsType[*keyset.UnavailableError](err); !is || u.RetryAfter < time.Second ||
			began.Sub(u.FailingSince) > keyring.DefaultPoll {
			t.Errorf("unavailable: %+v", u)
		}
		time.Sleep(24 * time.Hour)
		accepts(t, here, token)
		accepts(t, here, sign(t, here))
		told.are(t, errAway)

		storage.hook("Load", nil)
		afterALook()
		told.are(t, errAway, nil)
		accepts(t, here, sign(t, there))
		accepts(t, there, sign(t, here))
	})
}
