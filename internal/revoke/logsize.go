package revoke

import (
	"sync"
	"time"
)

// recordsPerEntry is how many records the log may have for each entry that a list may have. A target that is revoked
// again and again is one entry, but each time there is a record.
const recordsPerEntry = 4

// logSize counts the records of the log that have not expired, by the hour in which they will.
type logSize struct {
	mu     sync.Mutex
	hours  map[int64]int
	sum    int
	pruned int64 // the hour until which hours were removed
}

func hourOf(t time.Time) int64 { return t.Unix() / 3600 }

// add counts one record.
func (s *logSize) add(expires time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hours == nil {
		s.hours = make(map[int64]int)
	}
	s.hours[hourOf(expires)]++
	s.sum++
}

// reset forgets all.
func (s *logSize) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hours, s.sum = nil, 0
}

// total is the number of records.
func (s *logSize) total(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hour := hourOf(now); hour != s.pruned {
		for of, n := range s.hours {
			if of < hour {
				s.sum -= n
				delete(s.hours, of)
			}
		}
		s.pruned = hour
	}
	return s.sum
}
