package pool

import (
	"strconv"

	"github.com/caddyjwt/gateway/internal/gate"
)

// Cache is a cache of verified tokens in a pool.
type Cache struct {
	*gate.Cache

	// Size is what the configuration allows it, in bytes.
	Size int64

	totals *totals
	seen   gate.CacheStats // what is in the totals already; guarded by their lock
}

// Cache takes the cache of verified tokens with this size in bytes from the pool, or makes it.
func (l *Lease) Cache(size int64) (*gate.Cache, error) {
	cache, err := Take(l, "cache", strconv.FormatInt(size, 10), func() (*Cache, error) {
		cache, err := gate.NewCache(size)
		return &Cache{Cache: cache, Size: size, totals: &l.pool.totals}, err
	})
	if err != nil {
		return nil, err
	}
	return cache.Cache, nil
}

// Count adds to the pool's totals what the cache has counted since the last Count. It returns the cache's counters.
func (c *Cache) Count() gate.CacheStats { return c.totals.addCache(c) }

// Destruct implements caddy.Destructor.
func (c *Cache) Destruct() error {
	c.Count()
	c.Close()
	return nil
}
