package lastgood

import (
	"bytes"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/refresh"
)

// Whatever is in the store, reading it does not panic, and gives only what encode has written.
func FuzzDecode(f *testing.F) {
	name := [32]byte{1, 2, 3}
	const address = "https://as.example/jwks"
	good := encode(name, refresh.Answer{Address: address, Got: time.UnixMilli(1), Body: []byte("{}")})
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte(version))
	f.Add(encode(name, refresh.Answer{Address: address, Got: time.UnixMilli(-1 << 62)}))
	f.Fuzz(func(t *testing.T, text []byte) {
		answer, err := decode(text, name, address)
		if err == nil && !bytes.Equal(encode(name, answer), text) {
			t.Errorf("%q is not what encode makes of %+v", text, answer)
		}
	})
}
