package gate

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"github.com/maypok86/otter/v2"
)

// DefaultCacheSize is how many bytes of verified tokens are kept when nothing else is said.
const DefaultCacheSize = 32 << 20

// minCacheSize is the smallest useful cache: below it, one token could displace all others.
const minCacheSize = 64 << 10

// entryOverhead is what an entry costs beside its claims: the identity, the key, and the store's own node. Measured by
// TestCachedTokenMemory, rounded up.
const entryOverhead = 512

// Cache keeps verified tokens, so that a token seen before costs a hash and a look-up instead of a signature. It is
// shared by all gates of a process that use the same size, and may outlive any of them:
//
//   - The key is a keyed hash over the token and the fingerprint of everything that judged it; the text is not kept.
//     Verdicts of other settings are out of reach, and so are collisions aimed at by a stranger.
//   - An entry is immutable. It says who vouched for the token and what it says. Time, audience and requirements are
//     judged on every hit, and the verifying key must still be in force.
//   - Failures are not kept: they would let a stranger fill the cache.
//
// The store admits by frequency (W-TinyLFU), so that a flood of one-time tokens does not displace those in use.
type Cache struct {
	secret [32]byte
	store  *otter.Cache[cacheKey, *Identity]
}

type cacheKey [sha256.Size]byte

// NewCache makes a cache of at most size bytes. Close it when done.
func NewCache(size int64) (*Cache, error) {
	if size < minCacheSize {
		return nil, fmt.Errorf("a cache of %d bytes is smaller than %d: use \"off\" for none", size, minCacheSize)
	}
	c := new(Cache)
	if _, err := rand.Read(c.secret[:]); err != nil {
		return nil, err
	}
	store, err := otter.New(&otter.Options[cacheKey, *Identity]{
		MaximumWeight:    uint64(size),
		Weigher:          func(_ cacheKey, id *Identity) uint32 { return id.weight() },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[cacheKey, *Identity]) time.Duration { return e.Value.life }),
		Logger:           &otter.NoopLogger{},
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

// keyBuffers hold the hash input of tokens that are too long for the stack.
var keyBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 8<<10); return &b }}

// key hashes a token for look-up; false when there is no point, because there is no cache or the token cannot be a
// JWT: a JOSE header is a JSON object, whose first byte makes the token start with an "e".
func (c *Cache) key(settings *[32]byte, token string) (cacheKey, bool) {
	if c == nil || token[0] != 'e' {
		return cacheKey{}, false
	}
	// The parts before the token have a fixed length, so that no two inputs run together; and since no hash ever
	// leaves the process, a prefixed secret is as good as HMAC and hashes the token once.
	var stack [2 * 1024]byte
	buf := stack[:0]
	if len(token) > len(stack)-len(c.secret)-len(settings) {
		pooled := keyBuffers.Get().(*[]byte)
		defer keyBuffers.Put(pooled)
		buf = (*pooled)[:0]
		defer func() { *pooled = buf }()
	}
	buf = append(buf, c.secret[:]...)
	buf = append(buf, settings[:]...)
	buf = append(buf, token...)
	return sha256.Sum256(buf), true
}

func (c *Cache) get(key *cacheKey) *Identity {
	identity, _ := c.store.GetIfPresent(*key)
	return identity
}

// put keeps a verified token until it has expired everywhere, and no longer: routes may differ in leeway.
func (c *Cache) put(key cacheKey, identity *Identity, now time.Time) {
	if identity.life = identity.Claims.ExpiresAt.Add(MaxLeeway).Sub(now); identity.life > 0 {
		c.store.Set(key, identity)
	}
}

// weight is what an entry costs in bytes.
func (id *Identity) weight() uint32 {
	return uint32(entryOverhead + int(unsafe.Sizeof(*id)) + id.Claims.Size()) //nolint:gosec // a token is at most 16 KiB
}

// fingerprintSecret keys the fingerprints of tokens in logs, so that a log cannot be used to test guessed tokens.
var fingerprintSecret = func() (secret [32]byte) {
	_, _ = rand.Read(secret[:]) // crypto/rand.Read never fails: it ends the process instead
	return secret
}()

// tokenFingerprint ties log lines about one token together without telling anything of it.
func tokenFingerprint(token string) string {
	h := sha256.New()
	h.Write(fingerprintSecret[:])
	h.Write([]byte(token))
	return hex.EncodeToString(h.Sum(nil)[:6])
}
