package keyring_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/opaque"
)

var sealedClaims = []byte(`{"sub":"alice"}`)

// sealed is an opaque token of a ring.
func sealed(t *testing.T, ring *keyring.Ring) string {
	t.Helper()
	token, err := ring.Seal(sealedClaims)
	must(t, err)
	return token
}

// opens wants a ring to read an opaque token.
func opens(t *testing.T, ring *keyring.Ring, token string) {
	t.Helper()
	if got, err := ring.Unseal(t.Context(), token); err != nil || !bytes.Equal(got, sealedClaims) {
		t.Errorf("%s, %v", got, err)
	}
}

// keepsShut wants a ring not to read one.
func keepsShut(t *testing.T, ring *keyring.Ring, token string, want error) {
	t.Helper()
	if got, err := ring.Unseal(t.Context(), token); got != nil || !errors.Is(err, want) {
		t.Errorf("%s, %v; want %v", got, err, want)
	}
}

// A token opens on each node, for as long as JWTs of its key verify, and no longer.
func TestOpaqueTokensLiveWithTheirKeys(t *testing.T) {
	for _, alg := range allAlgorithms() {
		synctest.Test(t, func(t *testing.T) {
			shared := newVault()
			here, there := open(t, shared.node(), algorithm(alg)), open(t, shared.node(), algorithm(alg))
			one := sealed(t, here)
			opens(t, here, one)
			opens(t, there, one)
			must(t, here.Rotate(t.Context()))
			two := sealed(t, here)
			opens(t, here, one)
			opens(t, there, two) // its key was the next one
			afterALook()
			opens(t, there, one)
			later := open(t, shared.node(), algorithm(alg)) // it has never had the private key
			opens(t, later, one)
			must(t, here.Rotate(t.Context()))
			opens(t, here, one)
			opens(t, later, sealed(t, here))
			must(t, here.Reset(t.Context()))
			for _, old := range []string{one, two} {
				keepsShut(t, here, old, keyset.ErrUnknownKey)
			}
			opens(t, there, sealed(t, here)) // an unknown key: it looks
			for _, old := range []string{one, two} {
				keepsShut(t, there, old, keyset.ErrUnknownKey)
			}
		})
	}
}

// A document from before opaque tokens has former keys that open none.
func TestDocumentsWithoutSealing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		ring := open(t, shared.node())
		one, jwt := sealed(t, ring), sign(t, ring)
		must(t, ring.Rotate(t.Context()))
		text := shared.text()
		if !strings.Contains(text, `"sealing": "`) || !strings.Contains(text, `"version": 3`) {
			t.Fatal("no sealing is written")
		}
		begin := strings.Index(text, `"sealing"`)
		end := begin + strings.IndexByte(text[begin:], '\n')
		before := strings.TrimRight(text[:begin], " \t\n")
		shared.put(shared.place(), strings.Replace(strings.TrimSuffix(before, ",")+text[end:], `"version": 3`,
			`"version": 2`, 1))
		old := open(t, shared.node())
		keepsShut(t, old, one, keyset.ErrUnknownKey)
		accepts(t, old, jwt)
		opens(t, old, sealed(t, old))
	})
}

// In a doubt nobody knows which keys count: a token is neither good nor bad.
func TestOpaqueTokensInADoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newVault().node()
		ring := open(t, node)
		token := sealed(t, ring)
		node.hook("Load", func(context.Context) error { return errAway })
		ring.Doubt()
		keepsShut(t, ring, token, keyset.ErrUnavailable)
		if _, err := ring.Seal(sealedClaims); !errors.Is(err, keyring.ErrDoubt) {
			t.Errorf("%v", err)
		}
		node.hook("Load", nil)
		time.Sleep(2 * time.Second)
		opens(t, ring, token)
		keepsShut(t, ring, "x", opaque.ErrMalformed)
		must(t, ring.Close())
		keepsShut(t, ring, token, keyset.ErrUnavailable)
		if _, err := ring.Seal(sealedClaims); !errors.Is(err, keyring.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}

// Tokens of keys that strangers have invented cost what JWTs with such keys cost: one look in a second.
func TestAttackOpaqueTokensOfInventedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := newVault().node()
		ring, other := open(t, node), open(t, newVault().node())
		token, begun := sealed(t, other), time.Now()
		before := node.count("Load")
		for range 200 {
			keepsShut(t, ring, token, keyset.ErrUnknownKey)
		}
		if looks := node.count("Load") - before; looks > 2+int(time.Since(begun)/time.Second) {
			t.Errorf("%d looks in %v", looks, time.Since(begun))
		}
		opens(t, ring, sealed(t, ring))
		for range 100 {
			if token := sealed(t, ring); token[len(token)-1] != 'A' {
				keepsShut(t, ring, token[:len(token)-2]+"AA", opaque.ErrForged)
			}
		}
	})
}

func TestWhatCannotBeSealed(t *testing.T) {
	ring := open(t, newVault().node())
	for _, payload := range [][]byte{nil, {}, make([]byte, keyring.MaxPayload+1)} {
		if token, err := ring.Seal(payload); !errors.Is(err, keyring.ErrPayload) || token != "" {
			t.Errorf("%d bytes: %v", len(payload), err)
		}
	}
}
