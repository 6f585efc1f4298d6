package revoke

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/revoke/table"
)

// MaxEntries is how many entries a List has at most by default. They take up to 90 bytes each.
const MaxEntries = 2_000_000

// ErrFull means that a list has as many entries as it may have. Nothing was forgotten to make room.
var ErrFull = errors.New("the list of revoked tokens is full")

// ErrUnknown means that a list is not known to have all entries, so no token can be said to be good.
var ErrUnknown = errors.New("it is not known which tokens are revoked")

// ErrUnsynced is an ErrUnknown whose only reason is that other processes may have revoked tokens in the meantime. All
// entries that this process has heard of are in the list.
var ErrUnsynced = fmt.Errorf("%w: the list is not in sync with the store", ErrUnknown)

// generations counts the changes of all lists of the process, so that two lists never have the same generation.
var generations atomic.Uint64

// List is the entries in memory. Readers take no lock. Make one with NewList. It is unknown until Trust is called.
type List struct {
	table      table.Table
	concerned  concerned
	hasher     *hasher
	generation atomic.Uint64
	bounds     atomic.Pointer[map[string]bounds] // by owner: see Ledger.Bound
	trusted    atomic.Pointer[trust]             // how long the list is known to be complete
	kinds      [2]atomic.Uint32                  // the kindSets of issuers and of consumers that there ever were
	watchers   watchers                          // of tokens that are not revoked yet
	mu         sync.Mutex                        // for watchers, and held by whoever changes the table
	entries    atomic.Int64
}

// NewList makes an empty list.
func NewList() *List {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	return newList(secret)
}

// newList makes an empty list whose hashes are those of all lists with the same secret.
func newList(secret [32]byte) *List {
	l := &List{hasher: newHasher(secret), watchers: make(watchers)}
	l.trusted.Store(&trust{err: ErrUnknown})
	l.generation.Store(generations.Add(1))
	return l
}

// Len is the number of entries. Some may have expired.
func (l *List) Len() int { return int(l.entries.Load()) }

// Trust says that the list has all entries, and will have them until a moment. The zero time means for good. After any
// other, it is ErrUnsynced that is wrong with the list.
func (l *List) Trust(until time.Time) {
	l.trusted.Store(&trust{forever: until.IsZero(), until: until, err: ErrUnsynced})
}

// distrust says that something is in the store that nobody can read. It may revoke any token.
func (l *List) distrust() { l.trusted.Store(&trust{err: ErrUnknown}) }

// lapse ends the trust. What is wrong with the list besides stays so.
func (l *List) lapse() {
	before := l.trusted.Load()
	for !l.trusted.CompareAndSwap(before, &trust{err: before.err}) {
		before = l.trusted.Load()
	}
}

// trust is how long a list is known to be complete, and what it means when that is over.
type trust struct {
	forever bool
	until   time.Time
	err     error
}

// Generation changes with each entry. A token that was not revoked in a generation need not be looked up again while
// that lasts. With ErrUnsynced the generation is good, too, for those who go on with what this process knows. With
// ErrUnknown it is not.
func (l *List) Generation(now time.Time) (uint64, error) {
	if trusted := l.trusted.Load(); !trusted.forever && !trusted.holds(now) {
		return l.generation.Load(), trusted.err
	}
	return l.generation.Load(), nil
}

// holds reports whether the end is ahead by the wall clock, and by the monotonic one if both times have it: neither a
// clock that is set back nor a machine that slept makes the trust longer.
func (t *trust) holds(now time.Time) bool {
	return now.Before(t.until) && now.UnixNano() < t.until.UnixNano()
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
	if by, revoked = l.entryAgainst(t); revoked {
		return by, true
	}
	return l.outgrown(&t)
}

// entryAgainst finds an entry that refuses a token.
func (l *List) entryAgainst(t Token) (by Match, revoked bool) {
	if !l.suspects(&t) {
		return Match{}, false
	}
	t.targets(l.wanted(), func(target Target) bool {
		if cutoff, _, there := l.table.Find(l.hasher.target(&target)); there && t.issuedBy(cutoff) {
			by, revoked = matchOf(target, cutoff), true
		}
		return !revoked
	})
	return by, revoked
}

// suspects reports whether there may be an entry for a token, which there hardly ever is.
func (l *List) suspects(t *Token) (found bool) {
	if t.Memory != nil {
		known := l.traces(t)
		if t.Issuer == "" && !l.concerned.has(known.concerned) {
			return false
		}
		if known.hasAll() {
			return l.table.HasOne(known.halves[:known.n])
		}
	} else if t.Issuer == "" && !l.concerned.has(l.hasher.consumer(t.Consumer)) {
		return false
	}
	l.halves(t, l.wanted(), func(half uint64) bool {
		found = l.table.HasOne([]uint64{half})
		return !found
	})
	return found
}

// halves calls yield with the first half of the hash of each target, until it returns false.
func (l *List) halves(t *Token, wanted wanted, yield func(half uint64) bool) {
	var last Target
	var common uint64
	t.targets(wanted, func(target Target) bool {
		if target.Issuer != last.Issuer || target.Consumer != last.Consumer || target.Claim != last.Claim {
			last, common = target, l.hasher.common(0, &target)
		}
		return yield(l.hasher.hi(common, &target))
	})
}

// always is the cut-off of a single token. Those of others are in milliseconds since 1970.
const always = math.MaxInt64

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

// wantAll has kinds looked up from now on.
func (l *List) wantAll(w wanted) {
	l.kinds[0].Or(uint32(w.ofIssuers))
	l.kinds[1].Or(uint32(w.ofConsumers))
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
	cutoff, _, there := l.table.Find(l.hasher.target(&e.Target))
	return there && cutoff == e.cutoff()
}

// Has reports whether there is an entry for exactly this target.
func (l *List) Has(t Target) bool {
	_, _, there := l.table.Find(l.hasher.target(&t))
	return there
}

// lastUntil is the end of a record that takes back an entry. It must not be forgotten before what it takes back: the
// next ledger would find that alone.
func (l *List) lastUntil(e *Entry) time.Time {
	_, expires, _ := l.table.Find(l.hasher.target(&e.Target))
	return time.Unix(max(expires, e.end()), 0).UTC()
}

// apply makes the list what it is after an entry of the log.
func (l *List) apply(e *Entry) {
	h := l.hasher.target(&e.Target)
	if !e.Lifted {
		if e.Consumer != "" {
			l.mu.Lock()
			l.concerned.add(l.hasher.consumer(e.Consumer), e.end())
			l.mu.Unlock()
		}
		l.want(e.Target)
		l.put(table.Item{Hash: h, Cutoff: e.cutoff(), Expires: e.end()})
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table.Remove(h) {
		l.entries.Add(-1)
	}
}

// put adds an entry. What to look up has to be wanted before.
func (l *List) put(i table.Item) {
	l.mu.Lock()
	if l.table.Put(i) {
		l.entries.Add(1)
	}
	l.generation.Store(generations.Add(1)) // after the entry: see Revokes
	waiting := l.watchers.of(i.Hash)
	l.mu.Unlock()
	if len(waiting) > 0 {
		go endAll(waiting, i.Cutoff) // a million of them must not hold up the next entry
	}
}

// sweep removes the entries that have expired.
func (l *List) sweep(now time.Time) {
	for part := range table.Parts {
		l.mu.Lock()
		l.entries.Add(-int64(l.table.Sweep(part, now.Unix())))
		l.concerned.consumers.Sweep(part, now.Unix())
		l.mu.Unlock()
	}
}

// covers reports whether the list refuses already what an entry would refuse, and for as long. An entry that takes back
// is covered if there is nothing to take back.
func (l *List) covers(e *Entry) bool {
	cutoff, expires, there := l.table.Find(l.hasher.target(&e.Target))
	if e.Lifted {
		return !there
	}
	return there && cutoff >= e.cutoff() && expires >= e.end()
}

// Refuses reports whether the entry alone would refuse a token, by whichever claims it can be revoked.
func (e *Entry) Refuses(token Token) (refuses bool) {
	if path, err := claims.ParsePath(e.Claim); e.Kind == Claim && err == nil {
		token.Terms = NewTerms(token.pattern(), path)
	}
	token.targets(every, func(target Target) bool {
		refuses = target == e.Target && token.issuedBy(e.cutoff())
		return !refuses
	})
	return refuses
}
