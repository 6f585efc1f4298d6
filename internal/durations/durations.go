// Package durations counts how long things take. All counts have the same buckets, from what a cached token takes to
// what a server may take.
package durations

import (
	"sync/atomic"
	"time"
)

// bounds are the upper bounds of the buckets; what takes longer is in one more. They multiply by gates and by issuers,
// so there are few.
var bounds = [...]time.Duration{
	10 * time.Microsecond, 50 * time.Microsecond, 250 * time.Microsecond,
	time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond,
	100 * time.Millisecond, 500 * time.Millisecond, 2500 * time.Millisecond,
}

// Counts are those of one moment. The zero value has counted nothing.
type Counts struct {
	buckets [len(bounds) + 1]uint64
	sum     time.Duration
}

// Add counts something that took so long.
func (c *Counts) Add(took time.Duration) {
	c.buckets[bucketOf(took)]++
	c.sum += max(took, 0)
}

// Plus is what two have counted together.
func (c Counts) Plus(other Counts) Counts {
	for i, n := range other.buckets {
		c.buckets[i] += n
	}
	c.sum += other.sum
	return c
}

// Since is what was counted after an earlier moment.
func (c Counts) Since(earlier Counts) Counts {
	for i, n := range earlier.buckets {
		c.buckets[i] -= n
	}
	c.sum -= earlier.sum
	return c
}

// Number is how many were counted.
func (c Counts) Number() (n uint64) {
	for _, in := range c.buckets {
		n += in
	}
	return n
}

// Seconds are how long all of them took together.
func (c Counts) Seconds() float64 { return c.sum.Seconds() }

// Cumulative is how many took at most so many seconds, for each bound, as Prometheus wants it.
func (c Counts) Cumulative() map[float64]uint64 {
	all := make(map[float64]uint64, len(bounds))
	sum := uint64(0)
	for i, bound := range bounds {
		sum += c.buckets[i]
		all[bound.Seconds()] = sum
	}
	return all
}

// Live counts while many add to it. It takes no lock and allocates nothing. The zero value is ready to use.
type Live struct {
	buckets [len(bounds) + 1]atomic.Uint64
	sum     atomic.Int64
}

// Add counts something that took so long.
func (l *Live) Add(took time.Duration) {
	l.buckets[bucketOf(took)].Add(1)
	l.sum.Add(int64(max(took, 0)))
}

// Counts are those of now. What is added meanwhile may be in the buckets and not yet in the sum.
func (l *Live) Counts() (c Counts) {
	for i := range l.buckets {
		c.buckets[i] = l.buckets[i].Load()
	}
	c.sum = time.Duration(l.sum.Load())
	return c
}

// bucketOf is the bucket of something that took so long: as in Prometheus, a bound belongs to its bucket.
func bucketOf(took time.Duration) int {
	for i, bound := range bounds {
		if took <= bound {
			return i
		}
	}
	return len(bounds)
}
