package keyset

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/certchain"
	"github.com/caddyjwt/gateway/internal/jose"
)

// maxChains is how many certificates of one key are judged.
const maxChains = 4

// chains are the certificates of keys. A key may have several, such as an old one and a new one.
type chains map[member][]*certchain.Chain

func (c chains) add(key *jose.Key, chain *certchain.Chain) {
	if chain != nil && len(c[memberOf(key)]) < maxChains {
		c[memberOf(key)] = append(c[memberOf(key)], chain)
	}
}

// chainOf reads the certificates of a JWK. The first must have the key itself (RFC 7517 section 4.7). jose.ParseJWK
// checks that, too, but its library decodes the certificate in its own way: what it compares need not be what is
// judged.
func chainOf(text []byte, key *jose.Key) (*certchain.Chain, error) {
	ders, ok := jose.CertificatesOf(text, certchain.MaxLength)
	if !ok {
		return nil, jose.JWKCertificate
	}
	chain, err := certchain.ParseChain(ders)
	if err != nil {
		return nil, err
	}
	certified, err := chain.Key()
	if err != nil || certified.Thumbprint() != key.Thumbprint() {
		return nil, jose.JWKCertificate
	}
	return chain, nil
}

// readChains reads the keys of the certificates in a PEM text.
func readChains(data []byte) (d document, err error) {
	all, err := certchain.ParsePEM(data)
	if err != nil {
		return d, err
	}
	d.chains = make(chains)
	for _, chain := range all {
		key, err := chain.Key()
		if err != nil {
			return document{}, err
		}
		d.keys = append(d.keys, key)
		d.chains.add(key, chain)
	}
	return d, nil
}

// certificates say which keys of a set are in force: those with a certificate that leads to an authority now. Time
// ends that and begins it, and so does a change of the authorities. Both are noticed when somebody asks for the set. To
// build chains is dear, so a verdict is kept for as long as it holds.
type certificates struct {
	ca     *certchain.Authorities
	chains chains

	mu      sync.Mutex // held while chains are judged
	present atomic.Pointer[judged]
}

// judged is what certificates have said.
type judged struct {
	roots       *certchain.Roots
	from, until time.Time // when it holds; until is zero if time alone changes nothing
	verdicts    map[member]certchain.Verdict
	set         *Set             // nil while no key is in force
	err         *certchain.Error // why a key is out of force: the first that has expired, or else the first; nil for none
}

func (j *judged) holds(roots *certchain.Roots, now time.Time) bool {
	return j != nil && j.roots == roots && !now.Before(j.from) && (j.until.IsZero() || now.Before(j.until))
}

// firstEnd is when the first key ends that is in force, by its certificates; zero unless they count.
func (s *Set) firstEnd() (first time.Time) {
	if s == nil || s.certs == nil {
		return first
	}
	for _, verdict := range s.judged().verdicts {
		if end := verdict.Until(); verdict.Err == nil && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	return first
}

// inForce is the set of the keys that are in force now; nil for none. It is the set itself if no certificates count. It
// allocates only when something has changed.
func (s *Set) inForce() *Set {
	if s == nil || s.certs == nil {
		return s
	}
	return s.judged().set
}

// judged is what the certificates of the set say now.
func (s *Set) judged() *judged {
	c, now := s.certs, time.Now()
	if j := c.present.Load(); j.holds(c.ca.Roots(), now) {
		return j
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before, roots := c.present.Load(), c.ca.Roots()
	if before.holds(roots, now) { // somebody else was faster
		return before
	}
	j := s.judge(before, roots, now)
	c.present.Store(j)
	return j
}

// judge judges all keys. Verdicts from before that still hold are not made again.
func (s *Set) judge(before *judged, roots *certchain.Roots, now time.Time) *judged {
	j := &judged{roots: roots, from: now, verdicts: make(map[member]certchain.Verdict, len(s.keys))}
	var keys []*jose.Key
	counts, named := make(map[string]int), s.SkippedKeys[:len(s.SkippedKeys):len(s.SkippedKeys)]
	for _, skipped := range s.Skipped {
		counts[skipped.Reason] = skipped.Count
	}
	for _, key := range s.keys {
		m := memberOf(key)
		verdict, known := certchain.Verdict{}, false
		if before != nil && before.roots == roots {
			verdict, known = before.verdicts[m]
		}
		if !known || !verdict.Holds(now) {
			verdict = s.certs.judge(m, roots, now)
		}
		j.verdicts[m] = verdict
		if end := verdict.Until(); !end.IsZero() && (j.until.IsZero() || end.Before(j.until)) {
			j.until = end
		}
		if verdict.Err == nil {
			keys = append(keys, key)
			continue
		}
		if j.err == nil || j.err.Reason != certchain.Expired && verdict.Err.Reason == certchain.Expired {
			j.err = verdict.Err
		}
		reason := string(verdict.Err.Reason)
		if counts[reason]++; len(named) < mostNamed {
			named = append(named, SkippedKey{keyName(key), reason})
		}
	}
	if set, err := newSet(keys, tally(counts)); err == nil {
		set.SkippedKeys = named
		j.set = set
	}
	return j
}

// judge judges the certificates of one key. The one that ends last counts.
func (c *certificates) judge(m member, roots *certchain.Roots, now time.Time) (best certchain.Verdict) {
	for i, chain := range c.chains[m] {
		verdict := roots.Judge(chain, now)
		if i == 0 || verdict.Err == nil && (best.Err != nil || verdict.Until().After(best.Until())) {
			best = verdict
		}
	}
	return best
}

// certify makes the keys of a set depend on their certificates. At least one must be in force.
func (s *Set) certify(ca *certchain.Authorities, chains chains) error {
	s.certs = &certificates{ca: ca, chains: chains}
	if j := s.judged(); j.set == nil && j.err != nil {
		return fmt.Errorf("%w: %w", ErrNoKeys, j.err)
	}
	return nil
}

// certificateErr says why there are no keys any more, or that the certificate of one has expired. It is nil if all is
// well.
func (s *Set) certificateErr() error {
	if s == nil || s.certs == nil {
		return nil
	}
	if j := s.judged(); j.err != nil && (j.set == nil || j.err.Reason == certchain.Expired) {
		return j.err
	}
	return nil
}

// lapsed makes the error for a token whose key is there and not in force. If only a date is in the way, it cannot be
// known whether the token is good: the operator has to mend that, not the client. Otherwise the error stays.
func (s *Set) lapsed(alg jose.Algorithm, kid string, err error) error {
	if s == nil || s.certs == nil {
		return err
	}
	j := s.judged()
	candidates, _ := s.find(alg, kid)
	for _, key := range candidates {
		switch verdict := j.verdicts[memberOf(key)]; {
		case verdict.Err == nil:
		case verdict.Err.OutOfDate():
			return &UnavailableError{RetryAfter: time.Minute, Err: verdict.Err}
		case errors.Is(err, ErrUnknownKey):
			return fmt.Errorf("%w: the key %s: %w", ErrUnknownKey, causes.Quote(keyName(key)), verdict.Err)
		case j.set == nil:
			return &UnavailableError{RetryAfter: time.Minute, Err: verdict.Err}
		}
	}
	return err
}

// told is the set that the last event was about.
type told struct {
	mu  sync.Mutex
	of  *Set // the set that its source has
	set *Set // its keys that were in force
}

// move says what has changed since the last event.
func (t *told) move(set *Set) (added, removed []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.moveTo(set)
}

func (t *told) moveTo(set *Set) (added, removed []string) {
	now := set.inForce()
	added, removed = t.set.changes(now)
	t.of, t.set = set, now
	return added, removed
}

// look makes an event if certificates have begun or ended since the last one, or the authorities have changed. A set
// that nobody has told about yet has an event of its own.
func (t *told) look(set *Set) (event Event, is bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if set == nil || set.certs == nil || t.of != set {
		return event, false
	}
	event = Event{Kind: KeysChanged}
	event.Added, event.Removed = t.moveTo(set)
	if len(event.Added)+len(event.Removed) == 0 {
		return event, false
	}
	event.Keys, event.Skipped = t.set.Len(), t.set.skipped()
	if err := set.judged().err; err != nil && len(event.Removed) > 0 {
		event.Err = err
	}
	return event, true
}
