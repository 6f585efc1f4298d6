package keyring_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/keyring"
)

func TestTokensVerifyUntilTheirEndAfterARotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		here, there := open(t, shared.node()), open(t, shared.node())
		token, former := sign(t, here), signs(here)
		must(t, here.Rotate(t.Context()))
		if got := kids(here, keyring.Former); !slices.Equal(got, []string{former}) {
			t.Fatalf("former keys %v, want %s", got, former)
		}
		time.Sleep(longest)
		for _, ring := range []*keyring.Ring{here, there} {
			accepts(t, ring, token)
			if !published(t, ring, former) {
				t.Error("the former key is not published any more")
			}
		}
		time.Sleep(margin + keyring.DefaultPoll)
		for _, ring := range []*keyring.Ring{here, there} {
			refuses(t, ring, token)
			if published(t, ring, former) || ring.Current().Len() != 2 || len(ring.Keys()) != 2 {
				t.Error("the former key is still there")
			}
		}
	})
}

// The former key must go on time even while the vault is away.
func TestAFormerKeyGoesWithoutTheVault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newVault().node()
		ring := open(t, storage)
		must(t, ring.Rotate(t.Context()))
		storage.hook("Load", failing)
		time.Sleep(longest + margin + 2*keyring.DefaultPoll)
		if len(ring.Keys()) != 2 || ring.Current().Len() != 2 {
			t.Error("the former key is still there")
		}
	})
}

func TestTheNextKeyWasPublishedBeforeItSigns(t *testing.T) {
	ring := open(t, newVault().node())
	for range 3 {
		next := kids(ring, keyring.Next)[0]
		if !published(t, ring, next) || next == signs(ring) {
			t.Error("the next key is not published")
		}
		must(t, ring.Rotate(t.Context()))
		if signs(ring) != next {
			t.Error("another key than the next one signs")
		}
		accepts(t, ring, sign(t, ring))
	}
}

// The private half of a former key could do harm, and serves nobody.
func TestAFormerKeyHasNoPrivateHalf(t *testing.T) {
	shared := newVault()
	ring := open(t, shared.node())
	var secret struct{ Keys []struct{ Private string } }
	must(t, json.Unmarshal([]byte(shared.text()), &secret))
	must(t, ring.Rotate(t.Context()))
	after, signed, signs := shared.text(), secret.Keys[0].Private, secret.Keys[1].Private
	if strings.Contains(after, signed) || !strings.Contains(after, signs) {
		t.Error("the document has the private half of the former key, or not that of the one that signs")
	}
	if got := strings.Count(after, `"private"`); got != 2 {
		t.Errorf("%d private keys, want 2", got)
	}
}

func TestKeysRotateByThemselvesAndOnlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		nodes := []*node{shared.node(), shared.node(), shared.node()}
		var rings []*keyring.Ring
		for _, node := range nodes {
			rings = append(rings, open(t, node, func(o *keyring.Options) {
				o.RotateEvery, o.Poll = 48*time.Hour, time.Minute
			}))
		}
		time.Sleep(30 * time.Minute) // not at the moments of the rotations
		seen := map[string]bool{signs(rings[0]): true}
		var token string
		for range 10 * 24 {
			for i, ring := range rings {
				if token != "" {
					accepts(t, ring, token)
				}
				if i == len(rings)-1 {
					token = sign(t, ring)
				}
			}
			time.Sleep(time.Hour)
			for _, ring := range rings {
				seen[signs(ring)] = true
			}
		}
		if len(seen) != 6 {
			t.Errorf("%d keys have signed in ten days, want 6", len(seen))
		}
		stores := -1 // the first one made the keys
		for _, node := range nodes {
			stores += node.count("Store")
		}
		if stores != len(seen)-1 {
			t.Errorf("%d rotations for %d keys", stores, len(seen))
		}
		if len(rings[0].Keys()) > 3 {
			t.Errorf("former keys stay: %v", rings[0].Keys())
		}
	})
}

// Both nodes have seen that the rotation is due before one of them has the lock.
func TestTwoNodesDoNotRotateTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		nodes := []*node{shared.node(), shared.node()}
		var rings []*keyring.Ring
		for _, node := range nodes {
			rings = append(rings, open(t, node, func(o *keyring.Options) { o.RotateEvery = 2 * time.Hour }))
		}
		next := kids(rings[0], keyring.Next)[0]
		var both sync.WaitGroup
		both.Add(len(nodes))
		for _, node := range nodes {
			node.hook("Lock", func(context.Context) error {
				both.Done()
				both.Wait()
				return nil
			})
		}
		time.Sleep(2*time.Hour + time.Minute)
		for i, ring := range rings {
			if signs(ring) != next || len(ring.Keys()) != 3 || nodes[i].count("Lock") == 0 {
				t.Errorf("rotated twice, or never: %v", ring.Keys())
			}
		}
		if stores := nodes[0].count("Store") + nodes[1].count("Store"); stores != 2 {
			t.Errorf("stored %d times, want once for the first keys and once for the rotation", stores)
		}
		accepts(t, rings[0], sign(t, rings[1]))
		accepts(t, rings[1], sign(t, rings[0]))
	})
}

// By a clock that was wrong, the key would sign for decades.
func TestAClockThatWasWrongDoesNotStopRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		wrong := open(t, shared.node(), func(o *keyring.Options) {
			o.Now = func() time.Time { return time.Now().AddDate(30, 0, 0) }
		})
		signed := signs(wrong)
		must(t, wrong.Close())
		ring := open(t, shared.node())
		afterALook()
		afterALook()
		if signs(ring) == signed {
			t.Error("no rotation")
		}
	})
}

func TestFormerKeysAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := open(t, newVault().node())
		for range keyring.MaxFormer {
			must(t, ring.Rotate(t.Context()))
		}
		wants(t, ring.Rotate(t.Context()), keyring.ErrTooMany)
		accepts(t, ring, sign(t, ring))
		time.Sleep(longest + margin)
		must(t, ring.Rotate(t.Context()))
	})
}

func TestKeysAreListedInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().UTC()
		ring := open(t, newVault().node())
		time.Sleep(time.Minute)
		must(t, ring.Rotate(t.Context()))
		time.Sleep(time.Minute)
		must(t, ring.Rotate(t.Context()))
		var got []string
		for _, key := range ring.Keys() {
			until := "-"
			if !key.Until.IsZero() {
				until = key.Until.Sub(start).String()
			}
			got = append(got, fmt.Sprint(key.Algorithm, " ", key.State, " ", key.Since.Sub(start), " ", until))
		}
		want := []string{"ES256 signs 2m0s -", "ES256 next 2m0s -", "ES256 former 2m0s 1h4m0s", "ES256 former 1m0s 1h3m0s"}
		if !slices.Equal(got, want) {
			t.Errorf("keys %q, want %q", got, want)
		}
		if got := keyring.State(0).String() + keyring.State(9).String(); got != "invalidinvalid" {
			t.Errorf("no states: %s", got)
		}
	})
}

func TestRotationGoesOnAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newVault().node()
		var told troubles
		ring := open(t, storage, told.into, func(o *keyring.Options) { o.RotateEvery = 24 * time.Hour })
		first := signs(ring)
		storage.hook("Store", failing)
		time.Sleep(25 * time.Hour)
		if signs(ring) != first {
			t.Error("a key signs that the vault does not have")
		}
		told.are(t, errAway)
		if tries := storage.count("Store"); tries < 10 || tries > 100 {
			t.Errorf("%d tries in an hour", tries)
		}
		storage.hook("Store", nil)
		time.Sleep(2 * time.Minute)
		if signs(ring) == first {
			t.Error("no rotation")
		}
		told.are(t, errAway, nil)
	})
}

func TestTheRotationOfAnotherNodeEndsTheTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		storage := shared.node()
		var told troubles
		ring := open(t, storage, told.into, func(o *keyring.Options) { o.RotateEvery = 24 * time.Hour })
		storage.hook("Lock", failing)
		time.Sleep(25 * time.Hour)
		told.are(t, errAway)
		other := open(t, shared.node())
		must(t, other.Rotate(t.Context()))
		time.Sleep(2 * time.Minute)
		told.are(t, errAway, nil)
		accepts(t, ring, sign(t, other))
	})
}
