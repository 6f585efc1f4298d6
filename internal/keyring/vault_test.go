package keyring_test

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyring"
)

// operations are all that use the vault while somebody waits.
var operations = map[string]func(context.Context, *keyring.Ring) error{
	"rotate": func(ctx context.Context, r *keyring.Ring) error { return r.Rotate(ctx) },
	"reset":  func(ctx context.Context, r *keyring.Ring) error { return r.Reset(ctx) },
}

func TestAFailureOfTheVaultChangesNothing(t *testing.T) {
	for name, operation := range operations {
		for _, call := range []string{"Lock", "Load", "Store"} {
			synctest.Test(t, func(t *testing.T) {
				shared := newVault()
				storage := shared.node()
				ring := open(t, storage)
				token, text := sign(t, ring), shared.text()
				storage.hook(call, failing)
				err := operation(t.Context(), ring)
				wants(t, err, errAway)
				if err == nil || !strings.Contains(err.Error(), shared.place()) {
					t.Errorf("%s without %s: %v does not say where", name, call, err)
				}
				accepts(t, ring, token)
				if shared.text() != text {
					t.Errorf("%s without %s has changed the document", name, call)
				}
				storage.hook(call, nil)
				must(t, operation(t.Context(), ring))
			})
		}
	}
}

func TestOpenFailsWithTheVault(t *testing.T) {
	for _, call := range []string{"Lock", "Load", "Store"} {
		storage := newVault().node()
		storage.hook(call, failing)
		_, err := keyring.Open(t.Context(), with(storage))
		wants(t, err, errAway)
		storage.hook(call, nil)
		open(t, storage)
	}
}

func TestALockThatIsNotGivenBackHarmsNobodyHere(t *testing.T) {
	storage := newVault().node()
	storage.hook("Unlock", failing)
	accepts(t, open(t, storage), sign(t, open(t, storage)))
}

// The storage has the new keys, but its answer was lost.
func TestAnAnswerThatWasLostIsNoticed(t *testing.T) {
	for name, operation := range operations {
		synctest.Test(t, func(t *testing.T) {
			shared := newVault()
			storage := shared.node()
			ring := open(t, storage)
			before := signs(ring)
			storage.hookAfter("Store", func() error { return errAway })
			wants(t, operation(t.Context(), ring), errAway)
			time.Sleep(time.Second + time.Millisecond)
			synctest.Wait()
			if signs(ring) == before || signs(ring) != signs(open(t, shared.node())) {
				t.Errorf("%s: another key signs here than is in the vault", name)
			}
		})
	}
}

// A node dies while it has the lock. Others go on once the lock is stale.
func TestACrashBetweenLoadAndStoreHarmsNobody(t *testing.T) {
	for _, first := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			shared := newVault()
			var there *keyring.Ring
			if !first {
				there = open(t, shared.node())
			}
			crashes := shared.node()
			locked := ""
			crashes.hook("Store", failing)
			crashes.hook("Unlock", failing)
			if first {
				_, err := keyring.Open(t.Context(), with(crashes))
				wants(t, err, errAway)
			} else {
				wants(t, open(t, crashes).Reset(t.Context()), errAway)
			}
			for locked = range shared.locks {
				time.AfterFunc(10*time.Second, func() { <-shared.lockOf(locked) })
			}
			if first {
				there = open(t, shared.node())
			}
			token := sign(t, there)
			must(t, there.Rotate(t.Context()))
			accepts(t, open(t, shared.node()), token)
		})
	}
}

func TestALockThatNobodyGivesBackEndsTheWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := newVault().node()
		ring := open(t, storage)
		storage.hook("Lock", hanging)
		begun := time.Now()
		other := make(chan error)
		go func() { other <- ring.Rotate(context.Background()) }()
		wants(t, ring.Rotate(context.Background()), context.DeadlineExceeded)
		wants(t, <-other, context.DeadlineExceeded)
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("it waited for %v", took)
		}
	})
}

// A client that leaves must not leave behind a change of which nobody knows whether it has happened.
func TestAChangeThatIsBeingStoredIsNotGivenUp(t *testing.T) {
	storage := newVault().node()
	ring := open(t, storage)
	before := signs(ring)
	ctx, cancel := context.WithCancel(t.Context())
	storage.hook("Store", func(ctx context.Context) error {
		cancel()
		return ctx.Err()
	})
	must(t, ring.Reset(ctx))
	if signs(ring) == before {
		t.Error("it was given up")
	}
	wants(t, ring.Reset(ctx), context.Canceled)
}

// damages are documents that cannot be used, made from a good one.
func damages(good string) map[string]string {
	change := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	return map[string]string{
		"no JSON":          "garbage",
		"empty":            " ",
		"cut off":          good[:len(good)/2],
		"too long":         good + strings.Repeat(" ", 64<<10),
		"twice":            good + good,
		"other version":    change(`"version": 3`, `"version": 4`),
		"no version":       change(`"version": 3,`, ``),
		"version as text":  change(`"version": 3`, `"version": "2"`),
		"further member":   change(`"version": 3`, `"version": 2, "more": true`),
		"ring of a later":  change(`"version": 3`, `"version": 1`),
		"no ring":          regexp.MustCompile(`"ring": "\w+",`).ReplaceAllString(good, ``),
		"empty ring":       regexp.MustCompile(`"ring": "\w+"`).ReplaceAllString(good, `"ring": ""`),
		"other ring":       change(`"ring": "`, `"ring": "x`),
		"wrong kind":       change(`"revision": 1`, `"revision": "1"`),
		"other issuer":     change(issuer, issuer+"/"),
		"two that sign":    change(`"next"`, `"signs"`),
		"other order":      change(`"signs"`, `"next"`),
		"unknown state":    change(`"next"`, `"last"`),
		"no state":         change(`"next"`, `""`),
		"unknown alg":      change(`"ES256"`, `"none"`),
		"secret alg":       change(`"ES256"`, `"HS256"`),
		"other alg":        change(`"ES256"`, `"RS256"`),
		"other key":        change(`"private": "MIG`, `"private": "AIG`),
		"other kid":        change(`"kid": "`, `"kid": "x`),
		"no keys":          `{"version":1,"issuer":"` + issuer + `","epoch":"2026-01-01T00:00:00Z","revision":1,"keys":[]}`,
		"duplicate member": change(`"revision": 1`, `"revision": 1, "revision": 1`),
	}
}

func TestADocumentThatCannotBeReadIsNeverOverwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		var told troubles
		ring := open(t, shared.node(), told.into)
		place, good, token := shared.place(), shared.text(), sign(t, ring)
		var want []error
		for name, text := range damages(good) {
			shared.put(place, text)
			_, err := keyring.Open(t.Context(), with(shared.node()))
			for _, err := range []error{err, ring.Rotate(t.Context()), ring.Reset(t.Context())} {
				if !errors.Is(err, keyring.ErrDocument) || !strings.Contains(err.Error(), place) ||
					!strings.Contains(err.Error(), "backup") {
					t.Errorf("%s: %v", name, err)
				}
			}
			afterALook()
			accepts(t, ring, token)
			if shared.text() != text {
				t.Errorf("%s was overwritten", name)
			}
			shared.put(place, good)
			afterALook()
			want = append(want, keyring.ErrDocument, nil)
		}
		told.are(t, want...)
	})
}

func TestADocumentWithBadFormerKeysIsRefused(t *testing.T) {
	shared := newVault()
	ring := open(t, shared.node(), algorithm(jose.EdDSA))
	for range keyring.MaxFormer {
		must(t, ring.Rotate(t.Context()))
	}
	place, good := shared.place(), shared.text()
	type member = map[string]any
	for name, change := range map[string]func(doc member, former []any) (keys []any){
		"no end": func(_ member, former []any) []any {
			delete(former[0].(member), "until")
			return former
		},
		"state next": func(_ member, former []any) []any {
			former[0].(member)["state"] = "next"
			former[0].(member)["private"] = ring.JWKS()
			return former
		},
		"next again": func(doc member, former []any) []any { return append(former[:3:3], doc["keys"].([]any)[1]) },
		"twice":      func(_ member, former []any) []any { return append(former[:3:3], former[1]) },
		"too many":   func(_ member, former []any) []any { return append(former, former[1]) },
		"other key": func(_ member, former []any) []any {
			former[0].(member)["public"].(member)["x"] = former[1].(member)["public"].(member)["x"]
			return former
		},
		"kid chosen": func(_ member, former []any) []any {
			former[0].(member)["kid"], former[0].(member)["public"].(member)["kid"] = "chosen", "chosen"
			return former
		},
		"alg chosen": func(_ member, former []any) []any {
			delete(former[0].(member)["public"].(member), "alg")
			return former
		},
		"secret": func(_ member, former []any) []any {
			former[0].(member)["public"] = member{"kty": "oct", "k": "AAAA"}
			return former
		},
	} {
		var doc member
		must(t, json.Unmarshal([]byte(good), &doc))
		keys := doc["keys"].([]any)
		doc["keys"] = append(keys[:2:2], change(doc, keys[2:])...)
		text, err := json.Marshal(doc)
		must(t, err)
		shared.put(place, string(text))
		_, err = keyring.Open(t.Context(), with(shared.node(), algorithm(jose.EdDSA)))
		if !errors.Is(err, keyring.ErrDocument) {
			t.Errorf("%s: %v", name, err)
		}
	}
	shared.put(place, good)
	open(t, shared.node(), algorithm(jose.EdDSA))
}
