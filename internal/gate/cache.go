package gate

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"

	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/jose"
)

// DefaultCacheSize is how many bytes of verified tokens are kept when nothing else is said.
const DefaultCacheSize = 32 << 20

// minCacheSize is the smallest useful cache: below it, one token could displace all others.
const minCacheSize = 64 << 10

// entryOverhead is what an entry costs beside its claims: the identity, the key, and the store's own node. Measured by
// TestCachedTokenMemory, rounded up.
const entryOverhead = 256

// Cache keeps verified tokens, so that a token seen before costs a hash and a look-up instead of a signature. It is
// shared by all gates of a process that use the same size, and may outlive any of them:
//
//   - An entry is found by a keyed hash of the token. Every fingerprint of what judged it has a key of its own, so
//     verdicts of other settings are out of reach, and so are collisions aimed at by a stranger. The text is not kept.
//   - An entry is immutable. It says who vouched for the token and what it says. Time, audience and requirements are
//     judged on every hit, and the verifying key must still be in force.
//   - Failures are not kept: they would let a stranger fill the cache.
//
// A token is kept from the second time on that it is seen, and the store admits by frequency (W-TinyLFU): a flood of
// one-time tokens neither displaces those in use nor gives the garbage collector anything to keep.
type Cache struct {
	seen  doorkeeper
	eager bool // for tests: keeps a token the first time
	store *otter.Cache[cacheKey, *entry]
}

// doorkeeper remembers, in a fixed space and without a lock, which tokens were verified of late: the tag of one token
// in each place, the last one that came. To forget one, or to take two for one, costs a signature or a place in the
// store, and never lets anybody in.
type doorkeeper [1 << 15]atomic.Uint32

// knows reports whether the token has been here before, and remembers it.
func (d *doorkeeper) knows(key *cacheKey) bool {
	place := binary.LittleEndian.Uint32(key[:]) % uint32(len(d))
	tag := binary.LittleEndian.Uint32(key[4:])
	return d[place].Swap(tag) == tag
}

type cacheKey = hashing.TokenHash

// ValidateCacheSize checks a size alone.
func ValidateCacheSize(size int64) error {
	if size < minCacheSize {
		return fmt.Errorf("a cache of %d bytes is smaller than %d, the least that is useful; "+
			"\"off\" (-1 in JSON) goes without",
			size, minCacheSize)
	}
	return nil
}

// NewCache makes a cache of at most size bytes. Close it when done.
func NewCache(size int64) (*Cache, error) {
	if err := ValidateCacheSize(size); err != nil {
		return nil, err
	}
	c := new(Cache)
	store, err := otter.New(&otter.Options[cacheKey, *entry]{
		MaximumWeight: uint64(size),
		Weigher:       func(_ cacheKey, e *entry) uint32 { return e.weight() },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[cacheKey, *entry]) time.Duration {
			return e.Value.life
		}),
		StatsRecorder: stats.NewCounter(),
		Logger:        &otter.NoopLogger{},
	})
	if err != nil {
		return nil, errors.Join(errors.New("making the token cache"), err)
	}
	c.store = store
	return c, nil
}

// Close stops the store's goroutines.
func (c *Cache) Close() {
	c.store.InvalidateAll()
	c.store.StopAllGoroutines()
}

// CacheStats is a snapshot of a cache.
type CacheStats struct {
	Hits, Misses uint64 // look-ups of what may be a JWT
	Tokens       int    // kept, about
	Bytes        uint64 // what they count against the size, about
}

// Stats tells what has happened so far.
func (c *Cache) Stats() CacheStats {
	counted := c.store.Stats()
	return CacheStats{counted.Hits, counted.Misses, c.store.EstimatedSize(), c.store.WeightedSize()}
}

// keyed hashes tokens for one fingerprint of settings.
type keyed struct{ tokens *hashing.Tokens }

// hasher makes the hash for settings. A nil cache has none.
func (c *Cache) hasher(settings [32]byte) (keyed, error) {
	if c == nil {
		return keyed{}, nil
	}
	tokens, err := hashing.NewTokens("gate", settings)
	if err != nil {
		return keyed{}, fmt.Errorf("the cache cannot hash tokens in this environment; turn it off: %w", err)
	}
	return keyed{tokens}, nil
}

// hash gives the key of a token; false when there is no point, because there is no cache or the token cannot be a JWT.
func (k keyed) hash(token string) (key cacheKey, ok bool) {
	if k.tokens == nil || !startsAsJWT(token) {
		return key, false
	}
	return k.tokens.Hash(token), true
}

// entry is what the cache remembers of a verified token.
type entry struct {
	identity *Identity
	key      *jose.Key // that verified the token
	party    int       // the index of who vouched
	how      manner
	life     time.Duration
}

// get gives what is remembered of a token; nil when there is nothing.
func (c *Cache) get(key *cacheKey) *entry {
	remembered, _ := c.store.GetIfPresent(*key)
	return remembered
}

// put keeps a verified token, if it is not the first time, until it has expired, by the leeway of whoever saw it first:
// on a route that is more patient, it is verified once more.
func (c *Cache) put(key cacheKey, e entry, leeway time.Duration, now time.Time) {
	if !c.seen.knows(&key) && !c.eager {
		return
	}
	if life := e.identity.Claims.ExpiresAt.Add(leeway).Sub(now); life > 0 {
		kept := e
		kept.life = life
		c.store.Set(key, &kept)
	}
}

// weight is what an entry costs in bytes, twice: the garbage collector lets the heap grow to twice what lives in it,
// and the size of a cache is meant as what it takes from the system.
func (e *entry) weight() uint32 {
	bytes := entryOverhead + int(unsafe.Sizeof(*e)) + int(unsafe.Sizeof(*e.identity)) + e.identity.Claims.Size()
	return uint32(2 * bytes) //nolint:gosec // a token is at most 1 MiB
}

// fingerprintSecret keys the fingerprints of tokens in logs, so that a log cannot be used to test guessed tokens.
var fingerprintSecret = hashing.Key("tokens in logs")

// tokenFingerprint ties log lines about one token together without telling anything of it.
func tokenFingerprint(token string) string {
	buf := buffers.Get().(*[]byte)
	*buf = append(append((*buf)[:0], fingerprintSecret[:]...), token...)
	sum := sha256.Sum256(*buf)
	release(buf)
	return hex.EncodeToString(sum[:6])
}
