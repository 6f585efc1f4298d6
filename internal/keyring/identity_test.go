package keyring_test

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyring"
)

func TestTheIdentityOfARingOutlivesItsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		here, there := open(t, shared.node()), open(t, shared.node())
		want := here.Identity()
		if !regexp.MustCompile(`^[A-Z2-7]{26}$`).MatchString(want) {
			t.Fatalf("identity %q", want)
		}
		for name, change := range map[string]func() error{
			"rotate": func() error { return here.Rotate(t.Context()) },
			"reset":  func() error { return there.Reset(t.Context()) },
			"algorithm": func() error {
				other, err := keyring.Open(t.Context(), with(shared.node(), algorithm(jose.EdDSA)))
				if err != nil {
					return err
				}
				return other.Close()
			},
		} {
			must(t, change())
			afterALook()
			restarted := open(t, shared.node())
			for _, ring := range []*keyring.Ring{here, there, restarted} {
				if got := ring.Identity(); got != want {
					t.Errorf("%s: identity %q, want %q", name, got, want)
				}
			}
			must(t, restarted.Close())
		}
		if other := open(t, newVault().node()).Identity(); other == want {
			t.Error("two rings have the same identity")
		}
		must(t, here.Close())
		if got := here.Identity(); got != "" {
			t.Errorf("after Close: %q", got)
		}
	})
}

// The node that goes on without its document writes it again when it is reset: it is still the same ring. If another
// node has made a new one, that is the ring.
func TestAResetWithoutTheDocumentKeepsTheIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newVault()
		ring := open(t, shared.node())
		want, place := ring.Identity(), shared.place()
		shared.put(place, "")
		must(t, ring.Reset(t.Context()))
		if got := ring.Identity(); got != want || !strings.Contains(shared.text(), want) {
			t.Errorf("identity %q, want %q", got, want)
		}
		shared.put(place, "")
		other := open(t, shared.node())
		must(t, ring.Reset(t.Context()))
		if got := ring.Identity(); got == want || got != other.Identity() {
			t.Errorf("identity %q, want %q", got, other.Identity())
		}
	})
}

// asVersion1 is a document as it was before rings had identities.
func asVersion1(text string) string {
	text = regexp.MustCompile(`\s*"ring": "\w+",`).ReplaceAllString(text, "")
	return strings.Replace(text, `"version": 3`, `"version": 1`, 1)
}

func TestADocumentOfVersion1GetsAnIdentityWithItsNextChange(t *testing.T) {
	for name, change := range operations {
		synctest.Test(t, func(t *testing.T) {
			shared := newVault()
			must(t, open(t, shared.node()).Close())
			old := asVersion1(shared.text())
			if strings.Contains(old, "ring") {
				t.Fatal(old)
			}
			shared.put(shared.place(), old)
			ring, other := open(t, shared.node()), open(t, shared.node())
			token := sign(t, ring)
			accepts(t, other, token)
			if got := ring.Identity(); got != "" || shared.text() != old {
				t.Errorf("%s: identity %q before", name, got)
			}
			must(t, change(t.Context(), ring))
			afterALook()
			if got := ring.Identity(); got == "" || got != other.Identity() || !strings.Contains(shared.text(), got) {
				t.Errorf("%s: identities %q and %q", name, got, other.Identity())
			}
			if name == "rotate" {
				accepts(t, other, token)
			}
		})
	}
}
