package keyring

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

const (
	// patience is how long a token of an unknown key may wait for a look at the vault.
	patience = 2 * time.Second
	// maxWaiters bounds the tokens that wait at a time. Each costs memory, and strangers can make them up.
	maxWaiters = 1024
)

var (
	errBusy = errors.New("too many tokens wait for their keys")
	errSlow = errors.New("the storage takes too long")
)

// look is one look at the vault that somebody waits for.
type look struct {
	done chan struct{}
	err  error
}

// end gives the outcome to all who wait. nil has none.
func (l *look) end(err error) {
	if l != nil {
		l.err = err
		close(l.done)
	}
}

// asked is the look that tokens of unknown keys wait for. It has not begun yet: one that is under way may have read the
// vault before the key came there.
type asked struct {
	wanted chan struct{} // wakes the watcher

	mu      sync.Mutex
	next    *look // nil while nobody waits
	waiters int   // for this and for earlier looks
	closed  bool
}

// wake asks for a look that nobody waits for.
func (a *asked) wake() {
	select {
	case a.wanted <- struct{}{}:
	default: // it is asked for already
	}
}

// join counts the caller among the waiters.
func (a *asked) join() (*look, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return nil, ErrClosed
	case a.waiters >= maxWaiters:
		return nil, errBusy
	}
	a.waiters++
	if a.next == nil {
		a.next = &look{done: make(chan struct{})}
		a.wake()
	}
	return a.next, nil
}

// take begins the look that tokens wait for, if there is one.
func (a *asked) take() *look {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.next
	a.next = nil
	return l
}

// close ends the look that has not begun.
func (a *asked) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.take().end(ErrClosed)
}

// wait waits for the end of a look that the caller has joined.
func (a *asked) wait(ctx context.Context, l *look) (err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-l.done:
		err = l.err
	case <-timer.C:
		err = errSlow
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	a.mu.Lock()
	a.waiters--
	a.mu.Unlock()
	return err
}

// Current implements keyset.Source. There is no key in a doubt: see Doubt.
func (r *Ring) Current() *keyset.Set {
	if s := r.state.Load(); s != nil && r.doubts.present.Load() == nil {
		return s.set
	}
	return nil
}

// Find implements keyset.Source. For an unknown key id it waits for a look at the vault, at most 2 seconds: another
// node may have made the key. All who wait share one look, and there is at most one in a second. Each of them begins
// after the question, so the answer is never from before.
//
// Ids of keys that were in force and are not any more, and ids of keys for another algorithm, need no look, except
// after Doubt.
func (r *Ring) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	if err := r.certain(ctx); err != nil {
		return nil, r.unavailable(err)
	}
	s := r.state.Load()
	if s == nil {
		return nil, r.unavailable(ErrClosed)
	}
	keys, err := s.source.Find(ctx, alg, kid)
	if err == nil || kid == "" || s.has(kid) || r.wasRetired(kid) {
		return keys, err
	}
	s, lookErr := r.lookAgain(ctx)
	if s == nil {
		return nil, r.unavailable(lookErr)
	}
	keys, err = s.source.Find(ctx, alg, kid)
	if err != nil && lookErr != nil {
		return nil, r.unavailable(lookErr)
	}
	return keys, err
}

// lookAgain waits for a look at the vault that begins now. It returns what is in force then, also when the look has
// failed; nil if nobody can know that.
func (r *Ring) lookAgain(ctx context.Context) (*state, error) {
	l, err := r.asked.join()
	if err != nil {
		return nil, err
	}
	err = r.asked.wait(ctx, l)
	if s := r.state.Load(); s != nil {
		return s, err
	}
	return nil, ErrClosed
}

// unavailable is the answer when it cannot be known now whether there is such a key.
func (r *Ring) unavailable(err error) error {
	if errors.Is(err, errBusy) { // strangers can cause it
		err = errors.Join(keyset.ErrPending, err)
	}
	return &keyset.UnavailableError{RetryAfter: time.Second, Err: err, FailingSince: r.troubles.since()}
}
