package revocations

import (
	"context"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// CutOffAll revokes all tokens of an issuer that were issued until now, refresh tokens included, as CutOff does. It is
// kept for as long as any of them could live. The cut-off is later than any before, whatever the clock says, so that
// WatchAll hears of it on all nodes.
func (b *Backing) CutOffAll(ctx context.Context, issuer string) error {
	entry := &revoke.Entry{Target: revoke.Target{Issuer: issuer, Kind: revoke.All}, Author: author}
	if err := b.owners.Complete(entry, time.Now()); err != nil {
		return err
	}
	entry.Leeway = 0 // its clock is ours
	if after := b.CutOffOfAll(issuer).Add(time.Millisecond); after.After(entry.NotAfter) {
		entry.NotAfter, entry.Expires = after, entry.Expires.Add(after.Sub(entry.NotAfter))
	}
	return b.write(ctx, entry)
}

// CutOffOfAll is the last moment until which all tokens of an issuer are revoked; zero for never.
func (b *Backing) CutOffOfAll(issuer string) time.Time {
	by, _ := b.handle.Revokes(revoke.Token{Issuer: issuer, Set: new(claims.Set)}) // of no date, so any entry is about it
	if by.Kind != revoke.All {
		return time.Time{}
	}
	return by.Until
}

// WatchAll has call called, from any goroutine, when all tokens of an issuer have been revoked that were issued until a
// moment later than after, here or on another node. It is called again for each later one, until stop. Several that
// come together may cause one call.
func (b *Backing) WatchAll(issuer string, after time.Time, call func()) (stop func()) {
	w := &allWatcher{backing: b, issuer: issuer, call: call}
	w.watch(after)
	return w.end
}

// allWatcher waits for the next cut-off, as for that of a token that it would be the first one to revoke.
type allWatcher struct {
	backing *Backing
	issuer  string
	call    func()

	mu    sync.Mutex
	round int // how often it has begun to wait
	stop  func()
	ended bool
}

func (w *allWatcher) watch(after time.Time) {
	w.mu.Lock()
	w.round++
	round, ended := w.round, w.ended
	w.mu.Unlock()
	if ended {
		return
	}
	first := after.Add(time.Millisecond)
	next := &claims.Set{IssuedAt: first, ExpiresAt: first} // it lives for no time, so it is not too old for any owner
	stop := w.backing.handle.Watch(revoke.Token{Issuer: w.issuer, Set: next}, func() {
		reached := w.backing.CutOffOfAll(w.issuer) // before the call: what comes after this is heard of again
		if reached.Before(next.IssuedAt) {         // it was taken back meanwhile
			reached = next.IssuedAt
		}
		w.call()
		w.watch(reached)
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended || w.round != round { // Watch has called, and waits for the next one already
		stop()
		return
	}
	w.stop = stop
}

func (w *allWatcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.stop != nil {
		w.stop()
	}
}
