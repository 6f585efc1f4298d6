package keyset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
)

var (
	errTooManyWaiters = errors.New("too many requests are waiting for keys")
	errStillFetching  = errors.New("the fetch is taking too long")
)

// Find implements Source, for a token of which no more is known than this.
func (r *refresher) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	return r.FindFor(ctx, Signed{Algorithm: alg, KeyID: kid})
}

// FindFor implements Fetcher.
//
// A key id that is not there causes a fetch as far as the budgets go; requests that come meanwhile wait for it. With no
// keys at all every request may cause a fetch, one in Timing.MinBackoff. Keys without an id may be the ones: they are
// tried first, and Recheck comes next. When nothing can be fetched now:
//   - *UnavailableError when the last fetch failed, or there are no keys at all;
//   - ErrUnknownKey for a token that was asked about before the last fetch began, and for one with the id of a key that
//     the issuer has taken out;
//   - else ErrPending, since the issuer may have published the key after the last fetch. A client gives up a token that
//     is called bad, and what strangers have spent must not make it do so.
func (r *refresher) FindFor(ctx context.Context, token Signed) ([]*jose.Key, error) {
	if keys, _ := r.Current().find(token.Algorithm, token.KeyID); len(keys) > 0 {
		return keys, nil
	}
	return r.search(ctx, r.demand(token))
}

// search finds a key that is not there.
func (r *refresher) search(ctx context.Context, d demand) ([]*jose.Key, error) {
	for {
		f, keys, err := r.join(d)
		if f == nil {
			return keys, err
		}
		err = r.wait(ctx, f, r.timing.Wait-time.Since(d.arrived))
		keys, _ = r.Current().find(d.alg, d.kid)
		switch {
		case len(keys) > 0:
			return keys, nil // they are here, whatever became of the wait
		case err != nil:
			return nil, r.givenUp(err)
		}
		if f.err == nil && f.number <= d.begun {
			continue // what was sent before this request came need not be what is there now
		}
		return nil, r.conclude(f, d)
	}
}

// join finds the fetch to wait for, starting one if that is allowed, and counts the caller among the waiters. Without a
// fetch it gives the answer.
func (r *refresher) join(d demand) (*flight, []*jose.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, &UnavailableError{RetryAfter: time.Second, Err: errClosed}
	}
	set := r.Current()
	if keys, _ := set.find(d.alg, d.kid); len(keys) > 0 {
		return nil, keys, nil // it has just come
	}
	now := time.Now()
	f := r.flight
	switch {
	case set == nil && f == nil && r.mayTry(now):
		f = r.launch()
	case set == nil:
	case r.justAnswered(d, now):
		f = nil
	case f == nil:
		f = r.launchFor(now, r.motives(d)...)
	}
	if f == nil {
		r.stats.Denied++
		return nil, nil, r.refuse(set, d, now)
	}
	if r.waiters >= maxWaiters {
		r.stats.Denied++
		return nil, nil, r.delayed(set, errTooManyWaiters)
	}
	r.waiters++
	return f, nil, nil
}

// wait waits for the end of a fetch that the caller has joined, and gives up its place among the waiters. The error is
// why it ended early; how the fetch went is in the flight.
func (r *refresher) wait(ctx context.Context, f *flight, limit time.Duration) (err error) {
	timer := time.NewTimer(limit)
	select {
	case <-f.done:
	case <-timer.C:
		err = errStillFetching
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	timer.Stop()
	r.mu.Lock()
	r.waiters--
	r.mu.Unlock()
	return err
}

// conclude is the answer after a fetch that did not bring the key.
func (r *refresher) conclude(f *flight, d demand) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := r.Current()
	if f.err != nil {
		return &UnavailableError{RetryAfter: r.retryAfter(set), Err: f.err}
	}
	r.asked.note(d.token, d.begun, r.lastGood)
	return r.refuse(set, d, time.Now())
}

// refuse answers when there is no key. The caller holds the lock.
func (r *refresher) refuse(set *Set, d demand, now time.Time) error {
	switch {
	case set == nil || r.failures > 0:
		return &UnavailableError{RetryAfter: r.retryAfter(set), Err: r.lastErr}
	case r.former.hadID(d.id) || r.asked.answered(d.token, r.lastGood):
		return set.lacks(ErrUnknownKey)
	}
	r.asked.note(d.token, d.begun, r.lastGood)
	r.asked.note(d.id, d.begun, r.lastGood)
	wait := r.budgets.wait(now, r.motives(d)...)
	return &UnavailableError{RetryAfter: max(wait, time.Second), Err: set.lacks(ErrPending)}
}

// motives are why there may be a fetch for a key id that is not in the set. An id that somebody has asked for since the
// last fetch may be that of many good tokens: it need not stand in line with those that are invented for one request
// each. The caller holds the lock.
func (r *refresher) motives(d demand) []motive {
	switch {
	case r.former.hadID(d.id):
		return []motive{retiredID}
	case r.asked.waiting(d.id, r.lastGood):
		return []motive{unknownID, unknownAgain}
	default:
		return []motive{unknownID}
	}
}

// launchFor starts a fetch if one of the budgets has one, nil if not. While fetching fails there is one in a cooldown
// for all of them: that is more often than by the backoff, which may have grown long. The caller holds the lock.
func (r *refresher) launchFor(now time.Time, why ...motive) *flight {
	failing := r.failures > 0 && now.Sub(r.lastStart) < r.timing.Cooldown
	if failing || now.Before(r.heldUntil) || !r.budgets.spend(now, why...) {
		return nil
	}
	return r.launch()
}

// mayTry reports whether there may be a fetch while there are no keys. The caller holds the lock.
func (r *refresher) mayTry(now time.Time) bool {
	return r.lastStart.IsZero() || now.Sub(r.lastStart) >= r.timing.MinBackoff && !now.Before(r.heldUntil)
}

// justAnswered reports whether a fetch within the cooldown did not bring the key of this very token. The caller holds
// the lock.
func (r *refresher) justAnswered(d demand, now time.Time) bool {
	return now.Sub(r.lastGoodAt) < r.timing.Cooldown && r.asked.answered(d.token, r.lastGood)
}

// givenUp is the answer to a request that has waited in vain.
func (r *refresher) givenUp(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.delayed(r.Current(), err)
}

// delayed is the answer when a fetch cannot be waited for. While there are keys and nothing fails, that is no trouble
// of the issuer's: strangers can bring it about. The caller holds the lock.
func (r *refresher) delayed(set *Set, err error) error {
	if set != nil && r.failures == 0 {
		err = fmt.Errorf("%w: %w", ErrPending, err)
	}
	return &UnavailableError{RetryAfter: time.Second, Err: err}
}

// retryAfter is when a request may cause a fetch again after one that failed. The caller holds the lock.
func (r *refresher) retryAfter(set *Set) time.Duration {
	wait := r.timing.MinBackoff
	if set != nil {
		wait = r.timing.Cooldown
	}
	return max(wait-time.Since(r.lastStart), time.Until(r.heldUntil), time.Second).Round(time.Second)
}

// Recheck implements Fetcher. Whoever has no budget and waits for no fetch gets no other keys, and an error when the last
// fetch failed: then nobody knows.
func (r *refresher) Recheck(ctx context.Context, token Signed, tried []*jose.Key) ([]*jose.Key, error) {
	d := r.demand(token)
	for {
		f, others, err := r.joinRecheck(d, tried)
		if f == nil {
			return others, err
		}
		err = r.wait(ctx, f, r.timing.Wait-time.Since(d.arrived))
		others = r.others(d, tried)
		switch {
		case len(others) > 0:
			return others, nil
		case err != nil:
			return nil, r.givenUp(err)
		}
		if f.err != nil || f.number > d.begun {
			return nil, r.concludeRecheck(f, d)
		}
	}
}

// concludeRecheck is conclude for a signature that no key has made.
func (r *refresher) concludeRecheck(f *flight, d demand) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.err != nil {
		return &UnavailableError{RetryAfter: r.retryAfter(r.Current()), Err: f.err}
	}
	r.asked.note(d.token, d.begun, r.lastGood)
	return nil
}

// joinRecheck is join for a signature that no key has made.
func (r *refresher) joinRecheck(d demand, tried []*jose.Key) (*flight, []*jose.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if others := r.others(d, tried); len(others) > 0 {
		return nil, others, nil // they have just come
	}
	now := time.Now()
	f := r.flight
	switch {
	case r.closed || r.Current() == nil || r.justAnswered(d, now):
		f = nil
	case f == nil:
		why := []motive{badSignature}
		if _, exact := r.Current().find(d.alg, d.kid); !exact { // keys without an id were tried
			why = append(r.motives(d), badSignature)
		}
		f = r.launchFor(now, why...)
	}
	if f == nil {
		r.stats.Denied++
		if r.failures > 0 {
			return nil, nil, &UnavailableError{RetryAfter: r.retryAfter(r.Current()), Err: r.lastErr}
		}
		return nil, nil, nil
	}
	if r.waiters >= maxWaiters {
		r.stats.Denied++
		return nil, nil, r.delayed(r.Current(), errTooManyWaiters)
	}
	r.waiters++
	return f, nil, nil
}

// others are the present candidates that have not been tried.
func (r *refresher) others(d demand, tried []*jose.Key) (others []*jose.Key) {
	candidates, _ := r.Current().find(d.alg, d.kid)
	for _, key := range candidates {
		same := func(k *jose.Key) bool { return memberOf(k) == memberOf(key) }
		if !slices.ContainsFunc(tried, same) {
			others = append(others, key)
		}
	}
	return others
}
