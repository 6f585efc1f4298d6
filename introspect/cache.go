package introspect

import (
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/caddyjwt/gateway/internal/hashing"
)

// cacheKey is a keyed hash of a token, different for each server. Whoever reads the cache learns no token from it, and
// nobody can search for tokens whose hashes collide.
type cacheKey = hashing.TokenHash

// entryOverhead is the approximate size in bytes of an active answer, beside its text. It includes what a gate keeps
// beside the value that Decode makes: who is calling, and what is known about the revocation of the token.
const entryOverhead = 1024

// cache remembers verdicts. Active and inactive answers live apart, so that a flood of invented tokens, all inactive,
// cannot evict the tokens in use.
//
// It uses two clocks. The age of an entry is measured by the monotonic clock, which nobody can set. "exp" is compared
// with the wall clock, because it is a wall-clock time.
type cache struct {
	tokens   *hashing.Tokens
	ttl      time.Duration // zero or less: nothing is kept
	negTTL   time.Duration
	active   *otter.Cache[cacheKey, *Result]
	inactive *otter.Cache[cacheKey, negative]
	clock    clock
}

// negative is what is remembered about a token that is not active: the verdict, or why there was none.
type negative struct {
	verdict Result
	trouble *NoVerdictError // nil when there is a verdict
	since   time.Time
	life    time.Duration
}

func newCache(cfg *Config, provider [32]byte) (*cache, error) {
	c := &cache{ttl: cfg.CacheTTL, negTTL: cfg.NegativeTTL}
	c.clock.base = cfg.Now()
	var err error
	if c.tokens, err = hashing.NewTokens("introspect", provider); err != nil {
		return nil, err
	}
	c.active, err = otter.New(&otter.Options[cacheKey, *Result]{
		MaximumWeight: uint64(cfg.CacheBytes),
		Weigher:       func(_ cacheKey, r *Result) uint32 { return weight(r) },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[cacheKey, *Result]) time.Duration {
			return max(c.life(e.Value, cfg.Now()), 1)
		}),
		Clock: &c.clock,
	})
	if err != nil {
		return nil, err
	}
	c.inactive, err = otter.New(&otter.Options[cacheKey, negative]{
		MaximumSize: cfg.NegativeEntries,
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[cacheKey, negative]) time.Duration {
			return max(e.Value.life, 1)
		}),
		Clock: &c.clock,
	})
	return c, err
}

// weight counts the text three times: the value that Decode makes from it takes about twice its size.
func weight(r *Result) uint32 { return uint32(entryOverhead + 3*len(r.Answer)) }

// get finds an answer that is fresh enough for a question with these options, or the trouble that a question about this
// token had a moment ago.
func (c *cache) get(key cacheKey, now time.Time, o Option) (_ Result, held *NoVerdictError, ok bool) {
	if r, ok := c.active.GetIfPresent(key); ok && young(now, r.FetchedAt, c.ttl, o) && !r.expired(now) {
		return *r, nil, true
	}
	if n, ok := c.inactive.GetIfPresent(key); ok && young(now, n.since, n.life, o) {
		if n.trouble != nil {
			return Result{}, n.trouble.after(now.Sub(n.since)), true
		}
		return n.verdict, nil, true
	}
	return Result{}, nil, false
}

// young reports whether the answer to a question sent at that time is younger than ttl, and no older than the question
// allows. If the clock went back, the answer counts as old.
func young(now, sent time.Time, ttl time.Duration, o Option) bool {
	age := now.Sub(sent)
	return age >= 0 && age < ttl && (!o.limited || age <= o.maxAge && o.maxAge > 0)
}

func (r *Result) expired(now time.Time) bool {
	return !r.ExpiresAt.IsZero() && !now.Before(r.ExpiresAt)
}

// life is how long an active answer may still be kept: what is left of the configured time, or until "exp" if that is
// sooner (RFC 7662 section 4).
func (c *cache) life(r *Result, now time.Time) time.Duration {
	life := c.ttl - now.Sub(r.FetchedAt)
	if !r.ExpiresAt.IsZero() {
		life = min(life, r.ExpiresAt.Sub(now))
	}
	return life
}

// put stores a verdict and drops the one that it contradicts. It drops first, so that readers in between find no answer
// rather than an old one.
func (c *cache) put(key cacheKey, r Result, now time.Time) {
	c.clock.set(now)
	if !r.Active {
		c.active.Invalidate(key)
		if c.negTTL > 0 {
			c.inactive.Set(key, negative{verdict: r, since: r.FetchedAt, life: c.negTTL})
		}
		return
	}
	c.inactive.Invalidate(key)
	// No time left means "do not keep". The store might read it as "keep without end".
	if c.life(&r, now) <= 0 {
		c.active.Invalidate(key)
		return
	}
	c.active.Set(key, &r)
}

// refuse remembers that there was no verdict.
func (c *cache) refuse(key cacheKey, trouble *NoVerdictError, life time.Duration, now time.Time) {
	c.clock.set(now)
	c.inactive.Set(key, negative{trouble: trouble, since: now, life: life})
}

func (c *cache) drop(key cacheKey) {
	c.active.Invalidate(key)
	c.inactive.Invalidate(key)
}

func (c *cache) stats(s *Stats) {
	s.CacheEntries = c.active.EstimatedSize()
	s.CacheBytes = int(c.active.WeightedSize())
	s.NegativeEntries = c.inactive.EstimatedSize()
}

func (c *cache) empty() {
	c.active.InvalidateAll()
	c.inactive.InvalidateAll()
}

func (c *cache) clear() {
	c.empty()
	c.active.StopAllGoroutines()
	c.inactive.StopAllGoroutines()
}

// clock drives eviction; get alone decides whether an entry may be used. It moves only when something is stored, so
// that reads need not look at the time twice. It does not tick, so no goroutine has to be stopped.
type clock struct {
	base    time.Time
	elapsed atomic.Int64 // nanoseconds since base
}

func (c *clock) set(now time.Time)                   { c.elapsed.Store(int64(now.Sub(c.base))) }
func (c *clock) NowNano() int64                      { return c.elapsed.Load() }
func (c *clock) Tick(time.Duration) <-chan time.Time { return nil }
