package keyset

import (
	"context"
	"errors"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
)

var (
	errTooManyWaiters = errors.New("too many requests are waiting for keys")
	errStillFetching  = errors.New("the fetch is taking too long")
)

// Find implements Source.
//
// A key id that is not there causes a fetch, but only one in Timing.Cooldown for the whole source; requests that come
// meanwhile wait for it, and others are refused at once: with ErrUnknownKey when the last fetch succeeded, since then
// the issuer has no such key as far as can be known, and with *UnavailableError when it failed. With no keys at all
// every request may cause a fetch, one in Timing.MinBackoff.
func (r *refresher) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	if keys, exact := r.Current().find(alg, kid); exact && len(keys) > 0 {
		return keys, nil
	}
	return r.search(ctx, alg, kid)
}

// search is Find for a key that is not there.
func (r *refresher) search(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	miss := missKey(alg, kid)
	arrived := time.Now()
	for {
		f, keys, err := r.join(alg, kid, miss)
		if f == nil {
			return keys, err
		}
		err = r.wait(ctx, f, r.timing.Wait-time.Since(arrived))
		keys, exact := r.Current().find(alg, kid)
		switch {
		case len(keys) > 0 && (exact || err != nil):
			return keys, nil //nolint:nilerr // what is here may do, whatever became of the wait
		case err != nil:
			return nil, &UnavailableError{RetryAfter: time.Second, Err: err}
		}
		if f.err == nil && f.started.Before(arrived) {
			continue // what was sent before this request came need not be what is there now
		}
		return r.conclude(f, alg, kid, miss)
	}
}

// join finds the fetch to wait for, starting one if that is allowed, and counts the caller among the waiters. Without a
// fetch it gives the answer.
func (r *refresher) join(alg jose.Algorithm, kid string, miss uint64) (*flight, []*jose.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, &UnavailableError{RetryAfter: time.Second, Err: errClosed}
	}
	set := r.Current()
	keys, exact := set.find(alg, kid)
	if exact && len(keys) > 0 {
		return nil, keys, nil // it has just come
	}
	now := time.Now()
	f := r.flight
	switch {
	case set != nil && r.recentlyMissed(miss, now):
		f = nil
	case f != nil:
	case set == nil && (r.lastStart.IsZero() || now.Sub(r.lastStart) >= r.timing.MinBackoff):
		f = r.launch()
	case set != nil && r.mayFetch(now):
		f = r.launch()
		r.missFetch = now
	}
	if f == nil {
		r.stats.Denied++
		keys, err := r.refuse(set, keys)
		return nil, keys, err
	}
	if r.waiters >= maxWaiters {
		r.stats.Denied++
		return nil, nil, &UnavailableError{RetryAfter: time.Second, Err: errTooManyWaiters}
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

// Recheck implements Rechecker, with the same one fetch in Timing.Cooldown as for unknown key ids.
func (r *refresher) Recheck(ctx context.Context, seen *Set) bool {
	f, changed := r.joinRecheck(seen)
	if f == nil {
		return changed
	}
	_ = r.wait(ctx, f, r.timing.Wait)
	return r.changedSince(seen)
}

func (r *refresher) joinRecheck(seen *Set) (f *flight, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changedSince(seen) {
		return nil, true
	}
	now := time.Now()
	switch f = r.flight; {
	case r.closed || r.Current() == nil || r.waiters >= maxWaiters:
		return nil, false
	case f == nil && r.mayFetch(now):
		f = r.launch()
		r.missFetch = now
	}
	if f == nil {
		r.stats.Denied++
		return nil, false
	}
	r.waiters++
	return f, false
}

func (r *refresher) changedSince(seen *Set) bool {
	set := r.Current()
	return set != nil && (seen == nil || set.Generation != seen.Generation)
}

// conclude is the answer after a fetch that did not bring the key.
func (r *refresher) conclude(f *flight, alg jose.Algorithm, kid string, miss uint64) ([]*jose.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	set := r.Current()
	keys, _ := set.find(alg, kid)
	if f.err == nil && set != nil && len(r.missed) < maxMissed {
		r.missed[miss] = time.Now()
	}
	if f.err != nil && len(keys) == 0 {
		return nil, &UnavailableError{RetryAfter: r.retryAfter(set), Err: f.err}
	}
	return r.refuse(set, keys)
}

// refuse answers without a key of the wanted id. Keys without an id may be the ones. The caller holds the lock.
func (r *refresher) refuse(set *Set, nameless []*jose.Key) ([]*jose.Key, error) {
	switch {
	case len(nameless) > 0:
		return nameless, nil
	case set == nil || r.failures > 0:
		return nil, &UnavailableError{RetryAfter: r.retryAfter(set), Err: r.lastErr}
	default:
		return nil, set.unknownKey()
	}
}

// mayFetch tells whether an unknown key id may cause a fetch now. While fetching fails that is bound to the cooldown
// too, not to the backoff, which may have grown long. The caller holds the lock.
func (r *refresher) mayFetch(now time.Time) bool {
	if r.failures > 0 && now.Sub(r.lastStart) < r.timing.Cooldown {
		return false
	}
	return r.missFetch.IsZero() || now.Sub(r.missFetch) >= r.timing.Cooldown
}

// recentlyMissed tells whether a fetch within the cooldown did not bring this key. The caller holds the lock.
func (r *refresher) recentlyMissed(miss uint64, now time.Time) bool {
	at, ok := r.missed[miss]
	if !ok {
		return false
	}
	if now.Sub(at) < r.timing.Cooldown {
		return true
	}
	clear(r.missed) // they are all of one fetch, or of one a cooldown earlier
	return false
}

// retryAfter is when a request may cause a fetch again. The caller holds the lock.
func (r *refresher) retryAfter(set *Set) time.Duration {
	wait := r.timing.MinBackoff
	if set != nil {
		wait = r.timing.Cooldown
	}
	return max(wait-time.Since(r.lastStart), time.Second).Round(time.Second)
}
