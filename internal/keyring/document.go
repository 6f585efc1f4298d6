package keyring

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/opaque"
)

// MaxFormer is how many former keys there may be.
const MaxFormer = 16

// margin is how much longer a former key stays than its tokens live. It covers the time until the other nodes notice
// the rotation, clocks that differ, and verifiers that accept a token shortly after its end.
const margin = 2 * time.Minute

// State is what a key is for.
type State uint8

// The states that a key goes through.
const (
	Next   State = iota + 1 // published, and signs after the next rotation
	Signs                   // signs new tokens
	Former                  // has signed tokens that may still be in use
)

var states = [...]string{Next: "next", Signs: "signs", Former: "former"}

// String is the name of the state: next, signs or former.
func (s State) String() string {
	if s == 0 || int(s) >= len(states) {
		return "invalid"
	}
	return states[s]
}

// entry is one key of a document. It is immutable.
type entry struct {
	public *jose.Key
	signer *jose.Signer // nil for a former key
	state  State
	since  time.Time // of the state
	until  time.Time // of a former key: when its last token has ended
	// secret seals opaque tokens, if the key is a former one. Others have it in their private key: see sealing. It is nil
	// in a document from before there were such tokens.
	secret *secret
}

// secret is behind a pointer of its own, so that nobody prints it who prints an entry.
type secret [opaque.SecretSize]byte

// sealing is the secret that seals opaque tokens; nil if nobody knows it.
func (e *entry) sealing() *secret {
	if e.signer == nil {
		return e.secret
	}
	private, err := e.signer.PKCS8()
	if err != nil {
		return nil
	}
	made, err := opaque.SecretOf(private)
	if err != nil {
		return nil
	}
	return (*secret)(&made)
}

func (e *entry) algorithm() jose.Algorithm {
	alg, _ := e.public.Algorithms().Sole()
	return alg
}

// document is all keys of an issuer. It is immutable: the methods below make others.
type document struct {
	// ring is the identity of the ring: see Ring.Identity. It is empty in a document of version 1.
	ring string
	// epoch is when keys were last made without regard to earlier ones.
	epoch time.Time
	// reset is the last time that keys were thrown away on purpose: what was issued until then is out. It is zero for
	// never.
	reset time.Time
	// revision counts the changes since the beginning.
	revision uint64
	// keys are the one that signs, the next one, and the former ones from the latest on.
	keys []*entry
}

func (d *document) signs() *entry    { return d.keys[0] }
func (d *document) next() *entry     { return d.keys[1] }
func (d *document) former() []*entry { return d.keys[2:] }

// olderThan reports whether e has come after d. Some storages answer with old values for a while. Then keys that a
// reset has thrown away must not come back.
func (d *document) olderThan(e *document) bool {
	if !d.epoch.Equal(e.epoch) {
		return d.epoch.Before(e.epoch)
	}
	return d.revision < e.revision
}

// isDue reports whether the key has signed for long enough. A time far ahead counts, too: a clock was wrong, and the
// key would sign until then.
func (d *document) isDue(now time.Time, every time.Duration) bool {
	age := now.Sub(d.signs().since)
	return age >= every || age <= -every
}

// fits reports whether the document has keys of this algorithm for the future.
func (d *document) fits(alg jose.Algorithm) bool {
	return d.signs().algorithm() == alg && d.next().algorithm() == alg
}

// pair is two new keys.
type pair [2]*jose.Signer

// begun makes the first document of an epoch, which comes after all of others. Some of these may be nil. It is of the
// first ring among them that has an identity, or else of a new one.
func begun(now time.Time, fresh pair, others ...*document) *document {
	d := &document{epoch: now, revision: 1, keys: []*entry{newEntry(fresh[0], Signs, now), newEntry(fresh[1], Next, now)}}
	for _, other := range others {
		if other != nil && !d.epoch.After(other.epoch) {
			d.epoch = other.epoch.Add(time.Nanosecond)
		}
		if other != nil {
			d.revision = max(d.revision, other.revision+1)
			d.ring = cmp.Or(d.ring, other.ring)
		}
	}
	d.ring = cmp.Or(d.ring, newIdentity())
	return d
}

func newEntry(signer *jose.Signer, state State, since time.Time) *entry {
	return &entry{public: signer.Key(), signer: signer, state: state, since: since}
}

// rotated makes the next key sign, and a new one the next. What has signed so far stays for the tokens that live for
// longest from now on.
func (d *document) rotated(now time.Time, longest time.Duration, fresh *jose.Signer) (*document, error) {
	return d.succeeded(now, longest, d.next().signer, fresh)
}

// fitted makes keys of this algorithm sign and come next. A next key of another algorithm has never signed, and goes.
func (d *document) fitted(now time.Time, longest time.Duration, alg jose.Algorithm, fresh pair) (*document, error) {
	switch {
	case d.signs().algorithm() == alg:
		after := d.changed(now)
		after.keys[1] = newEntry(fresh[0], Next, now)
		return after, nil
	case d.next().algorithm() == alg:
		return d.rotated(now, longest, fresh[0])
	default:
		return d.succeeded(now, longest, fresh[0], fresh[1])
	}
}

// succeeded replaces the key that signs and the next one.
func (d *document) succeeded(now time.Time, longest time.Duration, signs, next *jose.Signer) (*document, error) {
	after := d.changed(now)
	if len(after.former()) >= MaxFormer {
		return nil, ErrTooMany
	}
	former := &entry{
		public: d.signs().public, secret: d.signs().sealing(), state: Former, since: now,
		until: now.Add(max(longest, 0) + margin),
	}
	after.keys = slices.Concat(
		[]*entry{newEntry(signs, Signs, now), newEntry(next, Next, now), former}, after.former())
	return after, nil
}

// changed makes the next revision, without the former keys whose time is over.
func (d *document) changed(now time.Time) *document {
	return &document{
		ring: cmp.Or(d.ring, newIdentity()), epoch: d.epoch, reset: d.reset, revision: d.revision + 1, keys: d.alive(now),
	}
}

// alive are the keys that verify.
func (d *document) alive(now time.Time) []*entry {
	over := func(e *entry) bool { return e.state == Former && !now.Before(e.until) }
	return slices.DeleteFunc(slices.Clone(d.keys), over)
}

// check reports what the keys of a document contradict.
func (d *document) check() error {
	if d.ring != "" && !isIdentity(d.ring) {
		return errors.New("its ring is not 26 capital letters and digits")
	}
	if len(d.keys) < 2 || d.signs().state != Signs || d.next().state != Next {
		return errors.New("the first key must be the one that signs, and the second the next one")
	}
	if len(d.former()) > MaxFormer {
		return fmt.Errorf("more than %d former keys", MaxFormer)
	}
	seen := make(map[string]bool)
	for _, key := range d.keys {
		if seen[key.public.ID] {
			return errors.New("a key is there twice")
		}
		seen[key.public.ID] = true
	}
	if slices.ContainsFunc(d.former(), func(e *entry) bool { return e.state != Former || e.until.IsZero() }) {
		return errors.New("all other keys must be former ones that have an end")
	}
	return nil
}
