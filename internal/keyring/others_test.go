package keyring_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// What the log says about other rings.
const (
	saysOthers   = "level=ERROR msg=\"within the last 5 minutes another node with the same store had other signing keys"
	saysSame     = "level=INFO msg=\"all nodes with the same store have the same signing keys again"
	saysReplaced = "level=INFO msg=\"the signing keys are others than those that were last in use with the store"
	saysUnknown  = "level=WARN msg=\"it cannot be seen whether a node with the same store has other signing keys"
)

// logging is a ring with its log.
type logging struct {
	*keyring.Ring
	log tokentest.Buffer
}

// meets opens a ring with a register.
func meets(t *testing.T, v keyring.Vault, at *register, change ...func(*keyring.Options)) *logging {
	t.Helper()
	l := new(logging)
	l.Ring = open(t, v, append(change, at.into, func(o *keyring.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&l.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})...)
	synctest.Wait()
	return l
}

// says wants these beginnings of lines about other rings in the log.
func (l *logging) says(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	var got []string
	for line := range strings.Lines(l.log.String()) {
		if _, line, _ = strings.Cut(line, " "); !strings.Contains(line, "the signing keys have changed") {
			got = append(got, line)
		}
	}
	same := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		same = same && strings.HasPrefix(got[i], want[i])
	}
	if !same {
		t.Errorf("the log has %q, want %q", got, want)
	}
}

func TestRingsOfOneVaultAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at register
		shared := newVault()
		here, there := meets(t, shared.node(), &at), meets(t, shared.node(), &at)
		must(t, here.Rotate(t.Context()))
		must(t, there.Reset(t.Context()))
		time.Sleep(time.Hour)
		here.says(t)
		there.says(t)
		if _, writes := at.has(); writes < 50 || writes > 62 {
			t.Errorf("two nodes have written %d times in an hour, want once a minute", writes)
		}
	})
}

func TestRingsOfDifferentVaultsNoticeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at register
		here := meets(t, newVault().node(), &at)
		there := meets(t, newVault().node(), &at)
		there.says(t, saysOthers)
		here.says(t) // it has not looked since
		time.Sleep(time.Minute)
		here.says(t, saysOthers)
		for _, part := range []string{here.Identity(), there.Identity(), issuer} {
			if !strings.Contains(here.log.String(), part) {
				t.Errorf("the log lacks %q", part)
			}
		}
		time.Sleep(time.Hour) // it is not said again
		here.says(t, saysOthers)
		there.says(t, saysOthers)
		refuses(t, here, sign(t, there.Ring))

		must(t, there.Close())
		time.Sleep(4 * time.Minute)
		here.says(t, saysOthers)
		time.Sleep(2 * time.Minute)
		here.says(t, saysOthers, saysSame)
		if text, _ := at.has(); strings.Count(text, `"ring"`) != 1 || !strings.Contains(text, here.Identity()) {
			t.Errorf("the register has %s", text)
		}
	})
}

// A reset at one does not reach the other, whose keys may be the ones that have leaked.
func TestAttackAResetDoesNotHideTheKeysOfAnotherRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at register
		here, there := meets(t, newVault().node(), &at), meets(t, newVault().node(), &at)
		time.Sleep(time.Minute)
		here.says(t, saysOthers)
		there.says(t, saysOthers)
		must(t, here.Reset(t.Context()))
		here.says(t, saysOthers, saysOthers)
		there.Doubt() // it has heard of the reset
		there.says(t, saysOthers, saysOthers)
	})
}

// A node that shares the vault follows the reset, and says it, too.
func TestAResetElsewhereIsFollowedByALookAtTheRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at register
		shared := newVault()
		here, follower := meets(t, shared.node(), &at), meets(t, shared.node(), &at)
		meets(t, newVault().node(), &at)
		time.Sleep(time.Minute)
		follower.says(t, saysOthers)
		must(t, here.Reset(t.Context()))
		afterALook()
		follower.says(t, saysOthers, saysOthers)
		must(t, here.Rotate(t.Context()))
		time.Sleep(time.Hour)
		follower.says(t, saysOthers, saysOthers)
	})
}

// The disk of the only node is lost. It must start, and what it says ends by itself.
func TestANewRingAfterALostVaultTakesThePlaceOfTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at register
		must(t, meets(t, newVault().node(), &at).Close())
		soon := meets(t, newVault().node(), &at)
		soon.says(t, saysOthers)
		time.Sleep(6 * time.Minute)
		soon.says(t, saysOthers, saysSame)
		must(t, soon.Close())
		time.Sleep(24 * time.Hour)
		late := meets(t, newVault().node(), &at)
		late.says(t, saysReplaced)
		time.Sleep(time.Hour)
		late.says(t, saysReplaced)
		if text, _ := at.has(); strings.Count(text, `"ring"`) != 1 || !strings.Contains(text, late.Identity()) {
			t.Errorf("the register has %s", text)
		}
	})
}

// A register that one node alone can use has no other node to warn of.
func TestARegisterThatIsNotSharedOnlyShowsALostVault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := register{alone: true}
		shared := newVault()
		first := meets(t, shared.node(), &at)
		time.Sleep(24 * time.Hour)
		first.says(t)
		if _, writes := at.has(); writes != 1 {
			t.Errorf("written %d times", writes)
		}
		must(t, first.Close())
		again := meets(t, shared.node(), &at)
		again.says(t)
		soon := meets(t, newVault().node(), &at)
		soon.says(t, saysReplaced)
		must(t, soon.Close())
		must(t, again.Close())
		other := meets(t, newVault().node(), &at)
		time.Sleep(time.Hour)
		other.says(t, saysReplaced)
		if text, writes := at.has(); writes != 3 || !strings.Contains(text, other.Identity()) {
			t.Errorf("written %d times: %s", writes, text)
		}
	})
}

// Nothing of a register may keep the keys from their work.
func TestARegisterThatFailsStopsNothing(t *testing.T) {
	for name, broken := range map[string]func(*register){
		"away": func(at *register) { at.hook(failing) },
		"hangs": func(at *register) {
			at.hook(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		},
		"no JSON":  func(at *register) { at.text = []byte("garbage") },
		"empty":    func(at *register) { at.text = []byte{} },
		"no ring":  func(at *register) { at.text = []byte(`{"rings":[{"ring":"x\ny","seen":1}]}`) },
		"a list":   func(at *register) { at.text = []byte(`[1]`) },
		"a number": func(at *register) { at.text = []byte(`{"rings":[{"ring":1}]}`) },
	} {
		synctest.Test(t, func(t *testing.T) {
			var at register
			shared := newVault()
			broken(&at)
			text := string(at.text)
			ring := meets(t, shared.node(), &at)
			accepts(t, ring, sign(t, ring.Ring))
			must(t, ring.Rotate(t.Context()))
			time.Sleep(time.Hour)
			ring.says(t, saysUnknown)
			if left, _ := at.has(); left != text {
				t.Errorf("%s: what cannot be read was overwritten with %s", name, left)
			}
			at.mu.Lock()
			at.text = nil
			at.mu.Unlock()
			at.hook(nil)
			time.Sleep(2 * time.Minute)
			ring.says(t, saysUnknown, saysSame)
			looks := make(chan struct{}, 1)
			at.hook(func(ctx context.Context) error { looks <- struct{}{}; <-ctx.Done(); return ctx.Err() })
			<-looks
			must(t, ring.Close()) // while it looks
			ring.says(t, saysUnknown, saysSame)
		})
	}
}

// Two nodes write at once. Neither entry may be lost.
func TestRingsThatWriteAtOnceAreBothInTheRegister(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at register
		var rings []*logging
		at.hook(func(context.Context) error { time.Sleep(time.Millisecond); return nil }) // all read before one writes
		for range 5 {
			rings = append(rings, meets(t, newVault().node(), &at))
		}
		time.Sleep(10 * time.Second)
		text, _ := at.has()
		for _, ring := range rings {
			if !strings.Contains(text, ring.Identity()) {
				t.Errorf("%s is not in %s", ring.Identity(), text)
			}
		}
	})
}

// A clock that was wrong must not leave a ring in the register for years.
func TestAnEntryFromTheFutureIsNotInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at register
		ahead := meets(t, newVault().node(), &at, func(o *keyring.Options) {
			o.Now = func() time.Time { return time.Now().Add(24 * time.Hour) }
		})
		must(t, ahead.Close())
		meets(t, newVault().node(), &at).says(t, saysReplaced)
	})
}

// A node whose storage forgets makes a ring at each start.
func TestAttackManyRingsDoNotMakeTheRegisterGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at register
		for range 30 {
			must(t, meets(t, newVault().node(), &at).Close())
			time.Sleep(time.Second)
		}
		last := meets(t, newVault().node(), &at)
		if text, _ := at.has(); strings.Count(text, `"ring"`) != 16 || !strings.Contains(text, last.Identity()) {
			t.Errorf("the register has %s", text)
		}
	})
}

// A document of version 1 has no identity, so it cannot be told from another.
func TestARingWithoutAnIdentityMeetsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at register
		shared := newVault()
		must(t, open(t, shared.node()).Close())
		shared.put(shared.place(), asVersion1(shared.text()))
		old, other := meets(t, shared.node(), &at), meets(t, newVault().node(), &at)
		time.Sleep(time.Hour)
		old.says(t)
		other.says(t)
		must(t, old.Rotate(t.Context()))
		time.Sleep(2 * time.Minute)
		old.says(t, saysOthers)
		other.says(t, saysOthers)
	})
}
