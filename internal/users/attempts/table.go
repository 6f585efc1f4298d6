package attempts

import "time"

// table remembers the failures of places. It grows up to a bound, and then forgets the place that has failed longest
// ago. A failure counts for a while: a place has a time at which it is like new, and each failure moves that.
type table struct {
	index   map[place]int32
	entries []entry
	most    int
	window  time.Duration // no place has a greater debt
	oldest  int32         // the ends of the list of entries; none if it is empty
	newest  int32
}

type entry struct {
	place  place
	clean  time.Duration // when the place is like new
	before int32         // the entry that has failed before; none for the oldest
	after  int32
}

const none = -1

func newTable(most int, window time.Duration) *table {
	return &table{index: make(map[place]int32), most: most, window: window, oldest: none, newest: none}
}

// debt returns when the place is like new, counted from now; 0 if it is.
func (t *table) debt(p place, now time.Duration) time.Duration {
	if i, there := t.index[p]; there {
		return max(0, t.entries[i].clean-now)
	}
	return 0
}

// charge moves the time at which a place is like new. If another place is forgotten for it, charge returns that place
// and its debt. That is 0 or less if it was like new.
func (t *table) charge(p place, by, now time.Duration) (forgotten place, debt time.Duration) {
	i, there := t.index[p]
	switch {
	case there:
		t.unlink(i)
	case len(t.entries) < t.most && (t.oldest == none || t.entries[t.oldest].clean > now):
		i = int32(len(t.entries))
		t.entries = append(t.entries, entry{place: p})
	default:
		i = t.leastHarmful(now)
		forgotten, debt = t.entries[i].place, t.entries[i].clean-now
		t.unlink(i)
		delete(t.index, forgotten)
		t.entries[i] = entry{place: p}
	}
	t.index[p] = i
	t.entries[i].clean = min(max(t.entries[i].clean, now)+by, now+t.window)
	t.link(i)
	return forgotten, debt
}

// search is how many of the oldest places are looked at for one that is like new.
const search = 16

// leastHarmful finds a place to forget: an old one that is like new, or else the oldest.
func (t *table) leastHarmful(now time.Duration) int32 {
	for i, n := t.oldest, 0; i != none && n < search; i, n = t.entries[i].after, n+1 {
		if t.entries[i].clean <= now {
			return i
		}
	}
	return t.oldest
}

// link makes an entry the newest.
func (t *table) link(i int32) {
	e := &t.entries[i]
	e.before, e.after = t.newest, none
	if t.newest == none {
		t.oldest = i
	} else {
		t.entries[t.newest].after = i
	}
	t.newest = i
}

func (t *table) unlink(i int32) {
	e := &t.entries[i]
	if e.before == none {
		t.oldest = e.after
	} else {
		t.entries[e.before].after = e.after
	}
	if e.after == none {
		t.newest = e.before
	} else {
		t.entries[e.after].before = e.before
	}
}
