package introspect

import "time"

// maxProven bounds each of the two generations of proven tokens. Together they take about 2 MiB.
const maxProven = 32_768

// proven remembers which tokens the server has called active, for longer than the answers are kept. A stranger cannot
// make up such a token, so questions about them are kept apart from all others. The client's mutex guards it.
//
// There are two generations. When the young one is full, it becomes the old one. The previous old one is forgotten,
// except for tokens that were active again in the meantime.
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

// unprovenShare is how many of the slots may serve questions about tokens that are not proven: all but a quarter, and
// at least one. A single slot cannot be divided.
func unprovenShare(slots int) int { return max(slots-(slots+3)/4, 1) }

// How long a token is not asked about again after an answer that was no verdict, at most.
const (
	maxHold    = DefaultNegativeTTL
	provenHold = time.Second // the shortest RetryAfter that clients get
)

// hold is how long a token that got no verdict is not asked about again. Otherwise a client that sends one token over
// and over would cause a question each time. It applies only after an error status that says nothing about the server's
// health: see [healthOf].
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
