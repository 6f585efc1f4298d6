package revoke

import (
	"slices"
	"sync/atomic"

	"github.com/caddyjwt/gateway/internal/revoke/table"
)

// watcher waits for its token to be revoked.
type watcher struct {
	token   Token
	end     func()
	over    atomic.Bool // end was called, or will not be called any more
	stopped bool        // under the lock of the list
}

// watchers are all of a list, by the hashes of the targets that would revoke their token.
type watchers map[table.Hash]*queue

// queue has the watchers of one target. Readers take the slice under the lock of the list, and walk through it without
// the lock: elements of it never change.
type queue struct {
	watchers []*watcher
	stopped  int // of them
}

// of are the watchers of a target, some of which may be over.
func (w watchers) of(h table.Hash) []*watcher {
	if q := w[h]; q != nil {
		return q.watchers
	}
	return nil
}

func (w watchers) add(h table.Hash, one *watcher) {
	q := w[h]
	if q == nil {
		q = new(queue)
		w[h] = q
	}
	q.watchers = append(q.watchers, one)
}

// forgetOne notes that one watcher of a target has stopped. The slice is made anew once half of them have, so that a
// million that stop cost a million steps.
func (w watchers) forgetOne(h table.Hash) {
	q := w[h]
	if q.stopped++; 2*q.stopped < len(q.watchers) {
		return
	}
	if q.stopped == len(q.watchers) {
		delete(w, h)
		return
	}
	left := make([]*watcher, 0, len(q.watchers)-q.stopped)
	for _, one := range q.watchers {
		if !one.stopped {
			left = append(left, one)
		}
	}
	w[h] = &queue{watchers: left}
}

// Watch has end called once the token is revoked: at once if it already is, and otherwise from another goroutine. After
// stop it is not called any more, unless a call is under way.
func (l *List) Watch(t Token, end func()) (stop func()) {
	w := &watcher{token: t, end: end}
	var hashes []table.Hash
	w.token.targets(every, func(target Target) bool {
		if h := l.hasher.target(&target); !slices.Contains(hashes, h) { // one that is there twice counts once
			hashes = append(hashes, h)
		}
		return true
	})
	l.mu.Lock()
	for _, h := range hashes {
		l.watchers.add(h, w)
	}
	l.mu.Unlock()
	if _, revoked := l.Revokes(t); revoked && w.begins() { // by an entry that came before
		end()
	}
	return func() { l.stop(w, hashes) }
}

func (l *List) stop(w *watcher, hashes []table.Hash) {
	w.over.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.stopped {
		return
	}
	w.stopped = true
	for _, h := range hashes {
		l.watchers.forgetOne(h)
	}
}

// begins reports whether the caller is the one that calls end.
func (w *watcher) begins() bool { return !w.over.Swap(true) }

// endAll ends those whose token was issued at a cut-off or before. Each has a goroutine of its own: a connection whose
// client does not read may take seconds to end, and must not hold up the others.
func endAll(waiting []*watcher, cutoff int64) {
	for _, w := range waiting {
		if w.token.issuedBy(cutoff) && w.begins() {
			go w.end()
		}
	}
}

// Watching is how many watched tokens an entry for a target would end.
func (l *List) Watching(e *Entry) (n int) {
	h, cutoff := l.hasher.target(&e.Target), e.cutoff()
	l.mu.Lock()
	waiting := l.watchers.of(h)
	l.mu.Unlock()
	for _, w := range waiting {
		if !w.over.Load() && w.token.issuedBy(cutoff) {
			n++
		}
	}
	return n
}
