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
	"github.com/caddyjwt/gateway/internal/sealed"
)

// DefaultCacheSize is the default size of the cache of verified tokens, in bytes.
const DefaultCacheSize = 32 << 20

// minCacheSize is the smallest useful cache, in bytes. In a smaller one, one token could displace all others.
const minCacheSize = 64 << 10

// entryOverhead is how many bytes an entry costs beside its claims and its header: the identity, the key, and the
// store's own node. It is what TestCachedTokenMemory measures, rounded up.
const entryOverhead = 256

// Cache keeps verified tokens, so that a token seen before costs a hash and a look-up instead of a signature. All gates
// of a process that use the same size share one cache, which may outlive any of them:
//
//   - An entry is found by a keyed hash of the token, whose text is not kept. The hash key depends on the fingerprint
//     of the settings under which the token was verified. So a gate with other settings cannot find the entry, and a
//     stranger cannot construct collisions.
//   - An entry is immutable. It has the party that vouched for the token and the token's claims. Time, audience and
//     requirements are checked on every hit, and the verifying key must still be in force.
//   - Failures are not kept: strangers could fill the cache with them.
//
// A token is kept when it is seen for the second time, and the store admits by frequency (W-TinyLFU). So a flood of
// one-time tokens neither displaces those in use nor leaves anything for the garbage collector to keep.
type Cache struct {
	seen  doorkeeper
	eager bool // for tests: keeps a token when it is seen for the first time
	store *otter.Cache[cacheKey, *entry]
}

// doorkeeper remembers which tokens were verified recently, in a fixed space and without a lock. Each slot holds the
// tag of the last token that fell into it. Forgetting a token, or mistaking one for another, costs a signature or an
// entry in the store. It never lets anybody in.
type doorkeeper [1 << 15]atomic.Uint32

// hasSeen reports whether the token has been here before, and remembers it.
func (d *doorkeeper) hasSeen(key *cacheKey) bool {
	slot := binary.LittleEndian.Uint32(key[:]) % uint32(len(d))
	tag := binary.LittleEndian.Uint32(key[4:])
	return d[slot].Swap(tag) == tag
}

type cacheKey = hashing.TokenHash

// ValidateCacheSize refuses a size, in bytes, that is too small to be useful.
func ValidateCacheSize(size int64) error {
	if size < minCacheSize {
		return fmt.Errorf("a cache of %d bytes is smaller than %d, the least that is useful; "+
			"\"off\" (-1 in JSON) turns it off",
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

// Flush forgets all tokens. Each is verified again when it comes next.
func (c *Cache) Flush() { c.store.InvalidateAll() }

// CacheStats is a snapshot of a cache. Tokens and Bytes are estimates.
type CacheStats struct {
	Hits, Misses uint64 // look-ups of tokens that may be JWTs
	Tokens       int    // kept at the moment
	Bytes        uint64 // how much of the size they use
}

// Stats returns what has been counted since the cache was made.
func (c *Cache) Stats() CacheStats {
	counted := c.store.Stats()
	return CacheStats{counted.Hits, counted.Misses, c.store.EstimatedSize(), c.store.WeightedSize()}
}

// tokenHasher makes the cache keys of tokens for one fingerprint of settings. The zero value is for a gate without a
// cache.
type tokenHasher struct{ tokens *hashing.Tokens }

// hasher makes the tokenHasher for a fingerprint. The cache may be nil.
func (c *Cache) hasher(fingerprint [32]byte) (tokenHasher, error) {
	if c == nil {
		return tokenHasher{}, nil
	}
	tokens, err := hashing.NewTokens("gate", fingerprint)
	if err != nil {
		return tokenHasher{}, fmt.Errorf("the cache cannot hash tokens in this environment; turn it off: %w", err)
	}
	return tokenHasher{tokens}, nil
}

// key returns the cache key of a token. It is not ok if there is no cache or if the token cannot be a JWT.
func (h tokenHasher) key(token string) (key cacheKey, ok bool) {
	if h.tokens == nil || !startsAsJWT(token) {
		return key, false
	}
	return h.tokens.Hash(token), true
}

// entry is what the cache keeps of a verified token.
type entry struct {
	identity *Identity
	key      *jose.Key   // verified the token
	opened   *sealed.Key // opened it; nil if it was not encrypted
	party    int         // index of the party that vouched for it, or unlisted
	member   *party      // what the key claim selected in the roster: see parties.selected
	traits   traits
	// tokenHash is proof.HashOf a token that is bound to a key for DPoP; empty for others.
	tokenHash string
	memory    int // bytes that the judgement of the token may take: see revoke.Memory
	life      time.Duration
}

// get returns the entry of a token, or nil.
func (c *Cache) get(key *cacheKey) *entry {
	e, _ := c.store.GetIfPresent(*key)
	return e
}

// put keeps a token that a party vouches for until it expires, unless it is seen for the first time. The leeway is that
// of the gate that stores it. A gate with a longer one has to verify the token again in the time between.
func (c *Cache) put(key cacheKey, e entry, by *party, now time.Time) {
	if !c.seen.hasSeen(&key) && !c.eager {
		return
	}
	if life := e.identity.Claims.ExpiresAt.Add(by.leeway).Sub(now); life > 0 {
		kept := e
		kept.life, kept.memory = life, by.memory()
		c.store.Set(key, &kept)
	}
}

// weight is twice the number of bytes that an entry takes. The size of a cache is the memory that it takes from the
// system, and the garbage collector lets the heap grow to twice its live size.
func (e *entry) weight() uint32 {
	bytes := entryOverhead + int(unsafe.Sizeof(*e)) + int(unsafe.Sizeof(*e.identity)) + e.identity.Claims.Size() +
		e.identity.Header.Size() + e.memory + len(e.traits.inside) + len(e.tokenHash)
	if e.member != nil {
		bytes += int(unsafe.Sizeof(*e.member)) + len(e.member.name)
	}
	return uint32(2 * bytes) //nolint:gosec // a token is at most 1 MiB
}

// fingerprintSecret keys the fingerprints of tokens in logs, so that nobody can test guessed tokens against a log.
var fingerprintSecret = hashing.Key("tokens in logs")

// tokenFingerprint identifies a token across log lines and reveals nothing about it.
func tokenFingerprint(token string) string {
	buf := buffers.Get().(*[]byte)
	*buf = append(append((*buf)[:0], fingerprintSecret[:]...), token...)
	sum := sha256.Sum256(*buf)
	release(buf)
	return hex.EncodeToString(sum[:6])
}
