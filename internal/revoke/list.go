package revoke

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
)

// MaxEntries is how many entries a List has at most by default. They take up to 90 bytes each.
const MaxEntries = 2_000_000

// ErrFull means that a list has as many entries as it may have. Nothing was forgotten to make room.
var ErrFull = errors.New("the list of revoked tokens is full")

// ErrUnknown means that a list is not known to have all entries, so no token can be said to be good.
var ErrUnknown = errors.New("it is not known which tokens are revoked")

// generations counts the changes of all lists of the process, so that two lists never have the same generation.
var generations atomic.Uint64

// List is the entries in memory. Readers take no lock. Make one with NewList. It is unknown until Trust is called.
type List struct {
	table      table
	hasher     *hasher
	generation atomic.Uint64
	bounds     atomic.Pointer[map[string]bounds] // by owner: see Ledger.Bound
	trusted    atomic.Int64                      // until when the list is known to be complete, in nanoseconds since 1970
	kinds      [2]atomic.Uint32                  // the kindSets of issuers and of consumers that there ever were
	watchers   watchers                          // of tokens that are not revoked yet
	mu         sync.Mutex                        // for watchers, and held by whoever changes the table
	entries    atomic.Int64
}

// NewList makes an empty list.
func NewList() *List {
	l := &List{hasher: newHasher(), watchers: make(watchers)}
	l.trusted.Store(math.MinInt64)
	l.generation.Store(generations.Add(1))
	return l
}

// Len is the number of entries. Some may have expired.
func (l *List) Len() int { return int(l.entries.Load()) }

// Trust says that the list has all entries, and will have them until a moment. The zero time means for good.
func (l *List) Trust(until time.Time) {
	if until.IsZero() {
		l.trusted.Store(math.MaxInt64)
		return
	}
	l.trusted.Store(until.UnixNano())
}

// Generation changes with each entry. A token that was not revoked in a generation need not be looked up again while
// that lasts. The error is ErrUnknown.
func (l *List) Generation(now time.Time) (uint64, error) {
	if trusted := l.trusted.Load(); trusted != math.MaxInt64 && now.UnixNano() >= trusted {
		return 0, ErrUnknown
	}
	return l.generation.Load(), nil
}

// Match is what revokes a token.
type Match struct {
	Target
	// Until is the cut-off with the leeway in it. It is zero for a single token.
	Until time.Time
	// Longest is how long tokens that were issued until then may live. It is set for Outgrown only.
	Longest time.Duration
}

// Revokes reports whether a token is revoked, and by what. Read the Generation first: an entry that comes in between
// then counts in the next one.
func (l *List) Revokes(t Token) (by Match, revoked bool) {
	if !l.suspects(&t) {
		return l.outgrown(&t)
	}
	t.targets(l.wanted(), func(target Target) bool {
		if cutoff, _, there := l.table.find(l.hasher.target(target)); there && t.issuedBy(cutoff) {
			by, revoked = matchOf(target, cutoff), true
		}
		return !revoked
	})
	if !revoked {
		return l.outgrown(&t)
	}
	return by, true
}

// suspects reports whether there may be an entry for a token, which there hardly ever is. It collects hashes before it
// looks them up: then the processor waits for the memory of all of them at once, and not for one after the other.
func (l *List) suspects(t *Token) (found bool) {
	var last Target
	var common uint64
	var batch [16]uint64
	n := 0
	t.targets(l.wanted(), func(target Target) bool {
		if target.Issuer != last.Issuer || target.Consumer != last.Consumer || target.Claim != last.Claim {
			last, common = target, l.hasher.common(0, target)
		}
		batch[n] = l.hasher.hi(common, target)
		if n++; n == len(batch) {
			found, n = l.table.hasOne(batch[:n]), 0
		}
		return !found
	})
	return found || l.table.hasOne(batch[:n])
}

func matchOf(t Target, cutoff int64) Match {
	if cutoff == always {
		return Match{Target: t}
	}
	return Match{Target: t, Until: time.UnixMilli(cutoff).UTC()}
}

// issuedBy reports whether the token was issued at a cut-off or before. One that does not say when counts as old.
func (t *Token) issuedBy(cutoff int64) bool {
	at := t.Set.IssuedAt
	return cutoff == always || at.IsZero() || at.UnixMilli() <= cutoff
}

func (l *List) wanted() wanted {
	return wanted{kindSet(l.kinds[0].Load()), kindSet(l.kinds[1].Load())}
}

// want has the kind of a target looked up from now on.
func (l *List) want(t Target) {
	of := &l.kinds[0]
	if t.Consumer != "" {
		of = &l.kinds[1]
	}
	of.Or(1 << t.Kind)
}

// has reports whether the entry for its target has exactly this cut-off.
func (l *List) has(e *Entry) bool {
	cutoff, _, there := l.table.find(l.hasher.target(e.Target))
	return there && cutoff == e.cutoff()
}

// Has reports whether there is an entry for exactly this target.
func (l *List) Has(t Target) bool {
	_, _, there := l.table.find(l.hasher.target(t))
	return there
}

// lastUntil is the end of a record that takes back an entry. It must not be forgotten before what it takes back: the
// next ledger would find that alone.
func (l *List) lastUntil(e *Entry) time.Time {
	_, expires, _ := l.table.find(l.hasher.target(e.Target))
	return time.Unix(max(expires, e.end()), 0).UTC()
}

// apply makes the list what it is after an entry of the log.
func (l *List) apply(e *Entry) {
	h := l.hasher.target(e.Target)
	l.mu.Lock()
	if e.Lifted {
		if l.table.remove(h) {
			l.entries.Add(-1)
		}
		l.mu.Unlock()
		return
	}
	if l.table.put(h, e.cutoff(), e.end()) {
		l.entries.Add(1)
	}
	l.want(e.Target)
	l.generation.Store(generations.Add(1)) // after the entry: see Revokes
	waiting := l.watchers.of(h)
	l.mu.Unlock()
	if len(waiting) > 0 {
		go endAll(waiting, e.cutoff()) // a million of them must not hold up the next entry
	}
}

// sweep removes the entries that have expired.
func (l *List) sweep(now time.Time) {
	for i := range l.table.parts {
		l.mu.Lock()
		l.table.parts[i].sweep(now.Unix(), func() { l.entries.Add(-1) })
		l.mu.Unlock()
	}
}

// covers reports whether the list refuses already what an entry would refuse, and for as long. An entry that takes back
// is covered if there is nothing to take back.
func (l *List) covers(e *Entry) bool {
	cutoff, expires, there := l.table.find(l.hasher.target(e.Target))
	if e.Lifted {
		return !there
	}
	return there && cutoff >= e.cutoff() && expires >= e.end()
}

// Refuses reports whether the entry alone would refuse a token, by whichever claims it can be revoked.
func (e *Entry) Refuses(token Token) (refuses bool) {
	if path, err := claims.ParsePath(e.Claim); e.Kind == Claim && err == nil {
		token.Claims = []Path{PathOf(path)}
	}
	token.targets(every, func(target Target) bool {
		refuses = target == e.Target && token.issuedBy(e.cutoff())
		return !refuses
	})
	return refuses
}
