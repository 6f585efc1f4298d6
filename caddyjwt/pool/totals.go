package pool

import (
	"sync"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// totals are the counts of all objects that have ever been in a pool. A sum over those that exist now would drop when
// one of them ends, and Prometheus takes a drop for a counter that starts again.
type totals struct {
	mu      sync.Mutex
	cache   gate.CacheStats         // hits and misses
	fetches map[string]keyset.Stats // fetches, failures and times, by issuer
}

func newTotals() totals { return totals{fetches: make(map[string]keyset.Stats)} }

// addCache adds what a cache has counted since the last time.
func (t *totals) addCache(c *Cache) gate.CacheStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := c.Stats()
	t.cache.Hits += now.Hits - c.seen.Hits
	t.cache.Misses += now.Misses - c.seen.Misses
	c.seen = now
	return now
}

// addFetches adds what a source has counted for an issuer since it was last seen, and returns what to remember as seen.
func (t *totals) addFetches(issuer string, seen, now keyset.Stats) keyset.Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := t.fetches[issuer]
	sum.Fetches += now.Fetches - seen.Fetches
	sum.Failures += now.Failures - seen.Failures
	sum.Times = sum.Times.Plus(now.Times.Since(seen.Times))
	t.fetches[issuer] = sum
	return now
}

// CacheLookups are the hits and misses of all caches ever, up to their last Count.
func (p *Pool) CacheLookups() (hits, misses uint64) {
	p.totals.mu.Lock()
	defer p.totals.mu.Unlock()
	return p.totals.cache.Hits, p.totals.cache.Misses
}

// Fetches are the attempts ever made to fetch an issuer's keys, how many of them failed, and how long they took, up to
// the last Count of its sources. Nothing else in the result counts.
func (p *Pool) Fetches(issuer string) keyset.Stats {
	p.totals.mu.Lock()
	defer p.totals.mu.Unlock()
	return p.totals.fetches[issuer]
}
