package causes

import (
	"sync"
	"time"
)

const (
	// maxWatched bounds the issuers whose tokens are remembered. Only good signatures count, so strangers add none.
	maxWatched = 1024
	// likeness is how much the tokens of a wrong clock may differ among each other: they are used soon after they are
	// made, but not at once.
	likeness = 30 * time.Second
	// leastLate is from when on an expired token may be a sign of a wrong clock. Many clients use a token for a few
	// seconds too long.
	leastLate = time.Minute
	// toldAgain is how soon the same clock is told about again.
	toldAgain = time.Hour
)

// Clocks notices that the clock of an issuer, or our own, may be wrong: several different tokens are too late, or too
// early, by about the same time. The zero value works. It is safe for concurrent use.
type Clocks struct {
	mu      sync.Mutex
	issuers map[string]*watched
}

// watched are the last tokens of one issuer that were off. All are off in the same direction.
type watched struct {
	tokens [5]struct {
		mark string // of the token
		off  time.Duration
	}
	count int // how many of them there are
	next  int // where the next one goes
	told  time.Time
}

// Wrong records a token of an issuer by a mark of its own. off is how long ago it expired, or, if negative, how far
// ahead it is of our clock. The token must be verified, or strangers could cause alarm. Wrong reports whether operators
// should look at the clocks: three different tokens are early, or five are late. It does so once an hour.
func (c *Clocks) Wrong(issuer, mark string, off time.Duration, now time.Time) bool {
	if off >= 0 && off < leastLate {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.issuers[issuer]
	if w == nil {
		if len(c.issuers) >= maxWatched {
			return false
		}
		if c.issuers == nil {
			c.issuers = make(map[string]*watched)
		}
		w = new(watched)
		c.issuers[issuer] = w
	}
	if !w.add(mark, off) || !w.alike(off) || !w.told.IsZero() && now.Sub(w.told) < toldAgain {
		return false
	}
	w.told = now
	return true
}

// add remembers a token, unless it is known.
func (w *watched) add(mark string, off time.Duration) bool {
	if w.count > 0 && (w.tokens[0].off < 0) != (off < 0) {
		w.count, w.next = 0, 0 // the other direction
	}
	for _, known := range w.tokens[:w.count] {
		if known.mark == mark {
			return false
		}
	}
	w.tokens[w.next].mark, w.tokens[w.next].off = mark, off
	w.next = (w.next + 1) % len(w.tokens)
	w.count = min(w.count+1, len(w.tokens))
	return true
}

// alike reports whether enough tokens are off by about the same time.
func (w *watched) alike(off time.Duration) bool {
	enough, found := len(w.tokens), 0
	if off < 0 { // no client can use a token too early, unless a clock is wrong
		enough = 3
	}
	for _, known := range w.tokens[:w.count] {
		if difference := known.off - off; difference <= likeness && -difference <= likeness {
			found++
		}
	}
	return found >= enough
}
