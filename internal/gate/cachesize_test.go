package gate_test

import (
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// minter makes many tokens of a consumer fast.
type minter struct {
	tb     testing.TB
	key    *tokentest.Key
	header string
	filler string
}

// newMinter is for tokens of about this many bytes, but at least 180.
func newMinter(tb testing.TB, size int) *minter {
	b := &minter{tb: tb, key: tokentest.NewKey(tb, "HS256", "minter").WithKID("")}
	b.header = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256"}`)) + "."
	if lack := size - len(b.token(0)); lack > 0 {
		b.filler = strings.Repeat("x", lack*3/4)
	}
	return b
}

func (b *minter) token(n int) string {
	payload := fmt.Sprintf(`{"iss":"minter","iat":%d,"exp":%d,"sub":"user-%d","x":"%s"}`,
		start.Unix(), start.Unix()+300, n, b.filler)
	input := b.header + base64.RawURLEncoding.EncodeToString([]byte(payload))
	return input + "." + base64.RawURLEncoding.EncodeToString(b.key.SignBytes(input))
}

// gate accepts the minter's tokens, and those of issuerA.
func (b *minter) gate(cache *gate.Cache, key *tokentest.Key, changes ...func(*gate.Config)) *gate.Gate {
	return build(b.tb, key, append([]func(*gate.Config){func(c *gate.Config) {
		c.Cache, c.Consumers = cache, []gate.Consumer{consumer(b.tb, "minter", "minter", b.key)}
	}}, changes...)...)
}

// Tokens in use stay in the cache, however many others are seen once. The store works in goroutines of its own and
// forgets reads when they fall behind, so each request waits for that work here: in 400 runs at most one token of 50
// was lost, in 69 of them, and even if losses were independent of each other, six in a run would come about once in 30
// million. A store that admits every token has room for 131 of them, so it loses all 50 between two rounds.
func TestFloodOfOneTimeTokens(t *testing.T) {
	cache, mint := newCache(t, 256<<10), newMinter(t, 0)
	g := mint.gate(cache, tokentest.NewKey(t, "ES256", "k1"))
	ask := func(token string) *gate.Identity {
		identity := accepted(t, g, request(token))
		cache.CleanUp()
		return identity
	}
	hot := make(map[string]*gate.Identity)
	for i := range 50 {
		token := mint.token(i)
		for range 5 {
			hot[token] = ask(token)
		}
	}
	for i := range 20_000 {
		ask(mint.token(1000 + i))
		if i%1000 == 0 {
			for token := range hot {
				hot[token] = ask(token)
			}
		}
	}
	kept := 0
	for token, identity := range hot {
		if ask(token) == identity {
			kept++
		}
	}
	t.Logf("%d of %d hot tokens kept; %d entries, %d bytes accounted", kept, len(hot), cache.Entries(), cache.Weight())
	if kept < 45 {
		t.Errorf("%d of 50 hot tokens survived the flood, want 45", kept)
	}
	if cache.Weight() > 256<<10 {
		t.Errorf("%d bytes in a cache of 256 KiB", cache.Weight())
	}
}

// TestCachedTokenMemory compares what a cached token costs with what the cache accounts for it. If the account were too
// small, the cache would exceed its size.
func TestCachedTokenMemory(t *testing.T) {
	tokens := sample(20_000)
	revocations := newRevocations(t).full(70).List()
	for _, c := range []struct {
		size      int
		revocable bool
	}{{700, false}, {700, true}, {200, false}, {200, true}, {3000, false}} {
		if testing.Short() && c.size != 700 {
			continue
		}
		t.Run(fmt.Sprintf("%d bytes, revocable %v", c.size, c.revocable), func(t *testing.T) {
			cache, mint := newCache(t, 1<<30), newMinter(t, c.size)
			g := mint.gate(cache, tokentest.NewKey(t, "ES256", "k1"), func(config *gate.Config) {
				if config.MaxLifetime = time.Hour; c.revocable {
					config.Revocations = &busy{List: revocations}
				}
			})
			before := heap()
			for i := range tokens {
				accepted(t, g, request(mint.token(i)))
			}
			cache.CleanUp()
			real := int(heap()-before) / tokens
			account := int(cache.Weight()) / tokens
			t.Logf("a token of %d bytes costs %d bytes, accounted %d", len(mint.token(0)), real, account)
			if cache.Entries() != tokens {
				t.Fatalf("%d entries", cache.Entries())
			}
			if real > account {
				t.Errorf("costs %d bytes, but %d are accounted", real, account)
			}
			if c.size == 700 && !c.revocable && real > 2048 {
				t.Errorf("costs %d bytes, want at most 2048", real)
			}
			runtime.KeepAlive(g)
		})
	}
}

// sample is the number of tokens, or a third of it with -short.
func sample(tokens int) int {
	if testing.Short() {
		return tokens / 3
	}
	return tokens
}

func heap() uint64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func TestCacheIsBoundedInBytes(t *testing.T) {
	const size = 4 << 20
	cache, mint := newCache(t, size), newMinter(t, 2000)
	g := mint.gate(cache, tokentest.NewKey(t, "ES256", "k1"))
	before := heap()
	for i := range sample(10_000) { // some 28 MiB, or 9 with -short
		accepted(t, g, request(mint.token(i)))
	}
	cache.CleanUp()
	grown := int64(heap()) - int64(before)
	t.Logf("%d entries, %d bytes accounted, heap grew by %d", cache.Entries(), cache.Weight(), grown)
	if cache.Weight() > size || grown > size*3/2 {
		t.Errorf("a cache of %d bytes accounts for %d and costs %d", size, cache.Weight(), grown)
	}
	runtime.KeepAlive(g)
}
