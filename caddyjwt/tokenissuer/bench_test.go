package tokenissuer

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// One token for a client with a secret that has matched before, without the network. The signature alone is
// BenchmarkSign in package keyring.
func BenchmarkClientCredentials(b *testing.B) {
	for _, algorithm := range []string{"ES256", "EdDSA", "RS256"} {
		b.Run(algorithm, func(b *testing.B) {
			s := newServer(b)
			s.runs("https://gate.test", "algorithm "+algorithm,
				"client billing {\nsecret_hash "+hash+"\naudience https://gate.test\nscopes read\n}")
			i := inForce.all()[0]
			give := func() {
				r := httptest.NewRequestWithContext(b.Context(), "POST", "/oauth2/token",
					strings.NewReader("grant_type=client_credentials&scope=read"))
				r.Header.Set("Content-Type", asForm)
				r.SetBasicAuth("billing", "secret")
				w := httptest.NewRecorder()
				i.answer(w, r, i.byPath["/oauth2/token"])
				if w.Code != 200 {
					b.Fatal(w.Code, w.Body)
				}
			}
			give()
			b.ReportAllocs()
			for b.Loop() {
				give()
			}
		})
	}
}
