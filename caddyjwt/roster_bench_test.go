package caddyjwt

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/roster"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// BenchmarkConsumersOfAFile checks 64 tokens, one after the other, of one consumer of a file, and of any of a hundred
// thousand. The consumers share a key, since it is their number that counts here.
func BenchmarkConsumersOfAFile(b *testing.B) {
	key := tokentest.NewKey(b, "ES256", "")
	var h Handler
	if err := json.Unmarshal([]byte(`{"audience": ["x"], "consumers_from": {"file": "-"}}`), &h); err != nil {
		b.Fatal(err)
	}
	built, err := h.compile(words.NewSettings())
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 100_000} {
		file, err := roster.Open(crowdOf(b, n, key), nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = file.Close() })
		var requests []*http.Request
		now := time.Now().Unix()
		for i := range 64 {
			token := key.Sign(b, map[string]any{
				"iss": fmt.Sprintf("key-%d", rand.IntN(n)), "aud": "x", "jti": fmt.Sprint(i), "iat": now, "exp": now + 3600,
			})
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			requests = append(requests, r)
		}
		for _, kind := range []string{"new", "seen"} {
			b.Run(fmt.Sprintf("%s/%d", kind, n), func(b *testing.B) {
				config := built.config
				config.Roster = file
				if kind == "seen" {
					if config.Cache, err = gate.NewCache(32 << 20); err != nil {
						b.Fatal(err)
					}
					defer config.Cache.Close()
				}
				g, err := gate.New(config)
				if err != nil {
					b.Fatal(err)
				}
				check := func(i int) {
					r := requests[i%len(requests)]
					if _, err := g.Check(gate.Request{HTTP: r, Facts: gate.Direct(r)}); err != nil {
						b.Fatal(err)
					}
				}
				for i := range 3 * len(requests) {
					check(i)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					check(i)
					i++
				}
			})
		}
	}
}

// crowdOf is the path of a file with n consumers that have the same key.
func crowdOf(b *testing.B, n int, key *tokentest.Key) string {
	b.Helper()
	text := []byte("[")
	for i := range n {
		if i > 0 {
			text = append(text, ",\n"...)
		}
		text = fmt.Appendf(text, `{"username": "user-%d", "credentials": [{"key": "key-%d", "algorithm": "ES256",
			"public_key": %q}]}`, i, i, key.PublicPEM())
	}
	path := filepath.Join(b.TempDir(), "consumers.json")
	if err := os.WriteFile(path, append(text, ']'), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}
