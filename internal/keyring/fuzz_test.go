package keyring_test

import (
	"testing"

	"github.com/caddyjwt/gateway/internal/keyring"
)

// Whatever is in the vault, reading it does not panic, and what can be read can be written and read again.
func FuzzDocument(f *testing.F) {
	shared := newVault()
	ring := open(f, shared.node())
	must(f, ring.Rotate(f.Context()))
	good := shared.text()
	f.Add(good)
	for _, text := range damages(good) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		again, err := keyring.Recode([]byte(text), issuer)
		if err != nil {
			return
		}
		if twice, err := keyring.Recode(again, issuer); err != nil || string(twice) != string(again) {
			t.Errorf("%v: %s became %s", err, again, twice)
		}
	})
}
