package gate_test

import (
	"fmt"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A token is kept when it is seen for the second time: it is verified twice, and then not again.
func TestTokenIsKeptFromTheSecondTimeOn(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	cache := realCache(t, 1<<20)
	g, keys := cached(t, cache, key)
	token := key.Sign(t, says())
	for range 5 {
		accepted(t, g, request(token))
	}
	if n := keys.finds.Load(); n != 2 {
		t.Errorf("verified %d times, want twice", n)
	}
}

// Tokens that are seen once leave only a tag behind.
func TestOneTimeTokensAreNotKept(t *testing.T) {
	key := tokentest.NewKey(t, "HS256", "k1")
	cache := realCache(t, 1<<20)
	g, _ := cached(t, cache, key)
	for i := range 1000 {
		accepted(t, g, request(key.Sign(t, says(m{"jti": fmt.Sprint(i)}))))
	}
	cache.CleanUp()
	if n := cache.Entries(); n != 0 {
		t.Errorf("%d entries of tokens that came once", n)
	}
}
