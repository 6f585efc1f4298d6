package introspect

import "time"

// maxProven bounds how many tokens are remembered as proven: two generations of so many hashes take about 2 MiB.
const maxProven = 32_768

// proven remembers which tokens the server has called active, longer than the answers about them. A stranger cannot
// make up such a token, so questions about them are kept apart from all others. It is guarded by the client's mutex.
//
// There are two generations. When the young one is full, it becomes the old one, and what was in that is forgotten
// unless it was active again meanwhile.
type proven struct{ young, old map[cacheKey]struct{} }

func (p *proven) has(key cacheKey) bool {
	if _, ok := p.young[key]; ok {
		return true
	}
	_, ok := p.old[key]
	return ok
}

func (p *proven) add(key cacheKey) {
	if len(p.young) >= maxProven {
		p.young, p.old = nil, p.young
	}
	if p.young == nil {
		p.young = make(map[cacheKey]struct{})
	}
	p.young[key] = struct{}{}
}

func (p *proven) drop(key cacheKey) {
	delete(p.young, key)
	delete(p.old, key)
}

// unprovenShare is how many of so many slots the questions about tokens that nobody knows may take: all but a
// quarter, at least one. With a single slot there is nothing to share.
func unprovenShare(slots int) int { return max(slots-(slots+3)/4, 1) }

// How long a token is not asked about again after an answer that was no verdict, at most.
const (
	maxHold    = DefaultNegativeTTL
	provenHold = time.Second // a client that was told to come again comes no sooner
)

// hold is for how long a token that got no verdict is not asked about again, so that one token, sent again and again,
// does not become as many questions. Only an error status that says nothing about the server counts: see [healthOf].
func (c *Client) hold(f *flight) time.Duration {
	if f.err.Status == 0 || healthOf(f.err) != healthAlive || c.cache.negTTL <= 0 {
		return 0
	}
	life := min(c.cache.negTTL, maxHold)
	switch {
	case f.proven:
		return min(life, provenHold)
	case f.err.Cause == CauseRateLimited:
		return max(life, min(f.err.RetryAfter, maxBreakerWait))
	}
	return life
}
