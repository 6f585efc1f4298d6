package keyset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/caddyjwt/gateway/internal/jose"
)

// MaxParts is how many sources one issuer may have. Each of them may be asked about a token.
const MaxParts = 4

// Part is one source of a Joint, and the algorithms for which its keys may be used.
type Part struct {
	Source
	Algorithms jose.Algorithms
}

// Joint is the sources of an issuer whose keys come from several, such as an old secret and a new key set. The keys of
// all count, each only for the algorithms of its part: a key set can never give a key for the algorithms of a secret.
//
// Keys that are here are tried first. So a server that is slow or down does not delay tokens of the other sources.
type Joint struct {
	parts  []Part
	merged atomic.Pointer[merged]
}

// merged is the keys of all parts, made of these sets.
type merged struct {
	of  [MaxParts]*Set
	set *Set
}

// NewJoint joins sources, at most MaxParts of them.
func NewJoint(parts ...Part) (*Joint, error) {
	if len(parts) > MaxParts {
		return nil, errors.New("too many sources of keys")
	}
	return &Joint{parts: parts}, nil
}

// Current implements Source. The set has the keys of all parts that have some. It allocates only when one of them has
// changed.
func (j *Joint) Current() *Set {
	var of [MaxParts]*Set
	for i, part := range j.parts {
		of[i] = part.Current()
	}
	if known := j.merged.Load(); known != nil && known.of == of {
		return known.set
	}
	var keys []*jose.Key
	for i, part := range j.parts {
		if of[i] == nil {
			continue
		}
		for _, key := range of[i].keys {
			if key.Algorithms().Intersect(part.Algorithms) != 0 {
				keys = append(keys, key)
			}
		}
	}
	set, err := newSet(keys, nil)
	if err != nil {
		set = nil // no part has a key
	}
	j.merged.Store(&merged{of, set})
	return set
}

// Find implements Source.
func (j *Joint) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	return j.FindFor(ctx, Signed{Algorithm: alg, KeyID: kid})
}

// FindFor implements Fetcher. A key with this very id comes first, and then whatever may have made the signature. Only
// when there is neither are the servers asked.
func (j *Joint) FindFor(ctx context.Context, token Signed) ([]*jose.Key, error) {
	parts := j.partsFor(token.Algorithm)
	if len(parts) == 1 {
		return parts[0].find(ctx, token)
	}
	var named, others []*jose.Key
	for _, part := range parts {
		keys, exact := part.Current().find(token.Algorithm, token.KeyID)
		if exact {
			named = append(named, keys...)
		} else {
			others = append(others, keys...)
		}
	}
	if here := append(named, others...); len(here) > 0 {
		return here[:min(len(here), maxCandidates)], nil
	}
	found, err := together(parts, func(p Part) ([]*jose.Key, error) { return p.find(ctx, token) })
	if len(found) > 0 {
		return found[:min(len(found), maxCandidates)], nil
	}
	if err == nil { // no part is for this algorithm
		err = j.Current().lacks(ErrUnknownKey, token.Algorithm, token.KeyID, -1)
	}
	return nil, err
}

// Recheck implements Fetcher. A part that had no candidate is asked for the key, any other for further ones.
func (j *Joint) Recheck(ctx context.Context, token Signed, tried []*jose.Key) ([]*jose.Key, error) {
	found, err := together(j.partsFor(token.Algorithm), func(p Part) ([]*jose.Key, error) {
		if fetcher, can := p.Source.(Fetcher); can && slices.ContainsFunc(tried, p.Current().Has) {
			return fetcher.Recheck(ctx, token, tried)
		}
		return p.find(ctx, token)
	})
	found = slices.DeleteFunc(found, func(key *jose.Key) bool {
		return slices.ContainsFunc(tried, func(k *jose.Key) bool { return memberOf(k) == memberOf(key) })
	})
	if len(found) > 0 || errors.Is(err, ErrUnknownKey) {
		return found[:min(len(found), maxCandidates)], nil
	}
	return nil, err
}

// DiscoveryIn is the source that reads the issuer's metadata, alone or as a part of a Joint. It is nil without one.
func DiscoveryIn(source Source) *Discovery {
	if joint, is := source.(*Joint); is {
		for _, part := range joint.parts {
			if found := DiscoveryIn(part.Source); found != nil {
				return found
			}
		}
		return nil
	}
	discovery, _ := source.(*Discovery)
	return discovery
}

// Close implements Source. It closes all parts.
func (j *Joint) Close() error {
	var errs []error
	for _, part := range j.parts {
		errs = append(errs, part.Source.Close())
	}
	return errors.Join(errs...)
}

// partsFor are the parts whose keys may verify this algorithm.
func (j *Joint) partsFor(alg jose.Algorithm) (parts []Part) {
	for _, part := range j.parts {
		if part.Algorithms.Has(alg) {
			parts = append(parts, part)
		}
	}
	return parts
}

// find asks the part for a token's key.
func (p Part) find(ctx context.Context, token Signed) ([]*jose.Key, error) {
	if fetcher, can := p.Source.(Fetcher); can {
		return fetcher.FindFor(ctx, token)
	}
	return p.Source.Find(ctx, token.Algorithm, token.KeyID)
}

// together asks all parts at once, since each may wait for its server. The keys are in the order of the parts. If a
// part cannot know whether it has the key, the error is its error. It is an ErrUnknownKey when all parts lack the key.
func together(parts []Part, ask func(Part) ([]*jose.Key, error)) (found []*jose.Key, err error) {
	type answer struct {
		keys []*jose.Key
		err  error
	}
	answers := make([]chan answer, len(parts))
	for i, part := range parts {
		answers[i] = make(chan answer, 1)
		go func() {
			keys, err := ask(part)
			answers[i] <- answer{keys, err}
		}()
	}
	for _, arrived := range answers {
		a := <-arrived
		found = append(found, a.keys...)
		switch {
		case a.err == nil:
		case err == nil || errors.Is(err, ErrUnknownKey) && !errors.Is(a.err, ErrUnknownKey):
			err = a.err
		case errors.Is(err, ErrUnknownKey):
			err = fmt.Errorf("%w; %w", err, a.err)
		}
	}
	return found, err
}
