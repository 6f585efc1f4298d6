package keyset

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/refresh"
	"github.com/caddyjwt/gateway/internal/spans"
)

// Find implements Source. It knows nothing else about the token.
func (s *fetched) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	return s.FindFor(ctx, Signed{Algorithm: alg, KeyID: kid})
}

// FindFor implements Fetcher.
//
// A missing key id causes a fetch if the budgets allow it; requests that arrive meanwhile wait for it. While there are
// no keys at all, any request may cause a fetch, one in each Timing.MinBackoff. A key without an id may be the right
// one: it is tried first, and Recheck comes next. When nothing can be fetched now, the error is
//
//   - *UnavailableError when the last fetch failed, or there are no keys at all;
//   - ErrUnknownKey for a token that was asked about before the last fetch began, and for one with the id of a key that
//     the issuer has taken out;
//   - otherwise ErrPending, since the issuer may have published the key after the last fetch. A client gives up a token
//     that is called bad, and strangers who have spent the budget must not make it do so.
func (s *fetched) FindFor(ctx context.Context, token Signed) ([]*jose.Key, error) {
	if keys, _ := s.Current().find(token.Algorithm, token.KeyID); len(keys) > 0 {
		return keys, nil
	}
	keys, err := s.search(ctx, s.demand(token))
	if err != nil {
		return nil, s.doc.Current().lapsed(token.Algorithm, token.KeyID, err)
	}
	return keys, nil
}

// search finds a key that the set does not have.
func (s *fetched) search(ctx context.Context, d demand) ([]*jose.Key, error) {
	for {
		f, keys, err := s.join(d)
		if f == nil {
			return keys, err
		}
		err = s.wait(ctx, f, d)
		keys, _ = s.Current().find(d.alg, d.kid)
		switch {
		case len(keys) > 0:
			return keys, nil // they have arrived, however the wait ended
		case err != nil:
			return nil, s.givenUp(err)
		}
		if f.Err() == nil && f.Number() <= d.begun {
			continue // its answer may be older than this request
		}
		return nil, s.conclude(f, d)
	}
}

// wait waits for a fetch, as long as the request may. Traces show it.
func (s *fetched) wait(ctx context.Context, f *refresh.Flight, d demand) error {
	span := spans.Begin(ctx, spans.Keys)
	err := s.doc.Wait(ctx, f, s.timing.Wait-time.Since(d.arrived))
	span.End(f.Result(err))
	return err
}

// join finds the fetch to wait for, or starts one if that is allowed, and counts the caller among the waiters. Without
// a fetch it returns the answer.
func (s *fetched) join(d demand) (*refresh.Flight, []*jose.Key, error) {
	doc := s.doc.Lock()
	defer doc.Unlock()
	if doc.Closed() {
		return nil, nil, &UnavailableError{RetryAfter: time.Second, Err: refresh.ErrClosed}
	}
	set := s.Current()
	if keys, _ := set.find(d.alg, d.kid); len(keys) > 0 {
		return nil, keys, nil // the key has just arrived
	}
	now := time.Now()
	f := doc.Flight()
	switch {
	case set == nil && f == nil && doc.MayLoad(now):
		f = doc.Launch()
	case set == nil:
	case s.justAnswered(doc, d, now):
		f = nil
	case f == nil:
		f = s.launchFor(doc, now, s.motives(doc, d)...)
	}
	if f == nil {
		s.denied++
		return nil, nil, s.refuse(doc, set, d, now)
	}
	if err := doc.Join(); err != nil {
		s.denied++
		return nil, nil, s.delayed(doc, err)
	}
	return f, nil, nil
}

// conclude is the answer after a fetch that did not bring the key.
func (s *fetched) conclude(f *refresh.Flight, d demand) error {
	doc := s.doc.Lock()
	defer doc.Unlock()
	set := s.Current()
	if f.Err() != nil {
		return unavailable(doc, f.Err())
	}
	s.asked.note(d.token, d.begun, doc.LastGood())
	return s.refuse(doc, set, d, time.Now())
}

// refuse is the answer when the key is missing.
func (s *fetched) refuse(doc refresh.Locked[Set], set *Set, d demand, now time.Time) error {
	switch {
	case set == nil || doc.Failing():
		return unavailable(doc, doc.Err())
	case s.former.hadID(d.id) || s.asked.answered(d.token, doc.LastGood()):
		return set.lacks(ErrUnknownKey, d.alg, d.kid, now.Sub(doc.LastGoodStart()))
	}
	s.asked.note(d.token, d.begun, doc.LastGood())
	s.asked.note(d.id, d.begun, doc.LastGood())
	wait := s.budgets.wait(now, s.motives(doc, d)...)
	err := set.lacks(ErrPending, d.alg, d.kid, now.Sub(doc.LastGoodStart()))
	return &UnavailableError{RetryAfter: max(wait, time.Second), Err: err}
}

// unavailable is the answer when the last fetch failed, or there are no keys at all.
func unavailable(doc refresh.Locked[Set], err error) error {
	return &UnavailableError{RetryAfter: doc.RetryAfter(), Err: err, FailingSince: doc.FailingSince()}
}

// motives are why there may be a fetch for a key id that is not in the set. An id that was asked for since the last
// fetch may be that of many good tokens. It need not queue with ids that are invented for one request each.
func (s *fetched) motives(doc refresh.Locked[Set], d demand) []motive {
	switch {
	case s.former.hadID(d.id):
		return []motive{retiredID}
	case s.asked.waiting(d.id, doc.LastGood()):
		return []motive{unknownID, unknownAgain}
	default:
		return []motive{unknownID}
	}
}

// launchFor starts a fetch if one of the budgets allows it; otherwise it returns nil.
func (s *fetched) launchFor(doc refresh.Locked[Set], now time.Time, why ...motive) *refresh.Flight {
	if !doc.MayReload(now) || !s.budgets.spend(now, why...) {
		return nil
	}
	return doc.Launch()
}

// justAnswered reports whether a fetch within the cooldown did not bring the key of this very token.
func (s *fetched) justAnswered(doc refresh.Locked[Set], d demand, now time.Time) bool {
	return now.Sub(doc.LastGoodStart()) < s.timing.Cooldown && s.asked.answered(d.token, doc.LastGood())
}

// givenUp is the answer to a request that has waited in vain.
func (s *fetched) givenUp(err error) error {
	doc := s.doc.Lock()
	defer doc.Unlock()
	return s.delayed(doc, err)
}

// delayed is the answer when the caller cannot wait for a fetch. While there are keys and nothing fails, the issuer is
// not to blame: strangers can cause it.
func (s *fetched) delayed(doc refresh.Locked[Set], err error) error {
	if s.Current() != nil && !doc.Failing() {
		err = fmt.Errorf("%w: %w", ErrPending, err)
	}
	return &UnavailableError{RetryAfter: time.Second, Err: err}
}

// Recheck implements Fetcher. When it may not fetch and there is no fetch to wait for, it returns no other keys. If the
// last fetch failed, it returns an error, because then it cannot be known whether there are others.
func (s *fetched) Recheck(ctx context.Context, token Signed, tried []*jose.Key) ([]*jose.Key, error) {
	d := s.demand(token)
	for {
		f, others, err := s.joinRecheck(d, tried)
		if f == nil {
			return others, err
		}
		err = s.wait(ctx, f, d)
		others = s.others(d, tried)
		switch {
		case len(others) > 0:
			return others, nil
		case err != nil:
			return nil, s.givenUp(err)
		}
		if f.Err() != nil || f.Number() > d.begun {
			return nil, s.concludeRecheck(f, d)
		}
	}
}

// concludeRecheck is conclude for a signature that no key has made.
func (s *fetched) concludeRecheck(f *refresh.Flight, d demand) error {
	doc := s.doc.Lock()
	defer doc.Unlock()
	if f.Err() != nil {
		return unavailable(doc, f.Err())
	}
	s.asked.note(d.token, d.begun, doc.LastGood())
	return nil
}

// joinRecheck is join for a signature that no key has made.
func (s *fetched) joinRecheck(d demand, tried []*jose.Key) (*refresh.Flight, []*jose.Key, error) {
	doc := s.doc.Lock()
	defer doc.Unlock()
	if others := s.others(d, tried); len(others) > 0 {
		return nil, others, nil // they have just arrived
	}
	now := time.Now()
	f := doc.Flight()
	switch {
	case doc.Closed() || s.Current() == nil || s.justAnswered(doc, d, now):
		f = nil
	case f == nil:
		why := []motive{badSignature}
		if _, exact := s.Current().find(d.alg, d.kid); !exact { // keys without an id were tried
			why = append(s.motives(doc, d), badSignature)
		}
		f = s.launchFor(doc, now, why...)
	}
	if f == nil {
		s.denied++
		if doc.Failing() {
			return nil, nil, unavailable(doc, doc.Err())
		}
		return nil, nil, nil
	}
	if err := doc.Join(); err != nil {
		s.denied++
		return nil, nil, s.delayed(doc, err)
	}
	return f, nil, nil
}

// others are the present candidates that were not tried yet.
func (s *fetched) others(d demand, tried []*jose.Key) (others []*jose.Key) {
	candidates, _ := s.Current().find(d.alg, d.kid)
	for _, key := range candidates {
		same := func(k *jose.Key) bool { return memberOf(k) == memberOf(key) }
		if !slices.ContainsFunc(tried, same) {
			others = append(others, key)
		}
	}
	return others
}
