package replay

import (
	"slices"
	"sync"
	"unsafe"
)

// shard is a part of what is remembered, with a lock of its own.
type shard struct {
	mu      sync.Mutex
	buckets []bucket
	// forgotten is the latest end of a bucket that is gone, in seconds since 1970.
	forgotten int64
}

// bucket is what is forgotten at the same time.
type bucket struct {
	end int64 // seconds since 1970
	words
}

const bucketSize = int64(unsafe.Sizeof(bucket{}))

// find returns the latest end of the buckets that have a word. There is more than one if the same proof came with
// several ends.
func (s *shard) find(word uint64) (end int64, there bool) {
	for i := range s.buckets {
		b := &s.buckets[i]
		if _, here := b.find(word); here && (!there || b.end > end) {
			end, there = b.end, true
		}
	}
	return end, there
}

// bucket returns the bucket with an end, which it makes if there is none, and by how many bytes the shard has grown.
func (s *shard) bucket(end int64, low uint) (b *bucket, grown int64) {
	for i := range s.buckets {
		if s.buckets[i].end == end {
			return &s.buckets[i], 0
		}
	}
	s.buckets = append(s.buckets, bucket{end: end, words: words{low: low}})
	return &s.buckets[len(s.buckets)-1], bucketSize
}

// forget drops the buckets that end at a time or before. It returns how many words are gone, and how many bytes.
func (s *shard) forget(now int64) (gone int, shrunk int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets = slices.DeleteFunc(s.buckets, func(b bucket) bool {
		if b.end > now {
			return false
		}
		s.forgotten = max(s.forgotten, b.end)
		gone += b.used
		shrunk += bucketSize + int64(len(b.slots))*wordSize
		return true
	})
	return gone, shrunk
}

const (
	// shortest is the least step between the ends of buckets, in seconds.
	shortest = 16
	// longest is how far the end of a proof may be away, in seconds.
	longest = 24 * 60 * 60
)

// endOf is the end of the bucket for a proof, in seconds since 1970 as its arguments are. The steps between ends grow
// with the time that is left: a proof stays for at most a quarter of it too long, or for the shortest step, and those
// that come with the same time left need at most nine buckets. A proof that comes again has less time left, so its
// bucket does not end later.
func endOf(now, until int64) int64 {
	step := int64(shortest)
	for 8*step <= until-now {
		step *= 2
	}
	return (until + step - 1) / step * step
}
