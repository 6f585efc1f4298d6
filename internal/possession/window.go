package possession

import (
	"sync"
	"time"
)

// Window is how long the proofs that were used must be remembered, by all that share a memory: for as long as the most
// patient of them accepts one. Otherwise a proof that one gate has seen would be good again at another gate. It is safe
// for concurrent use, and the zero value is ready.
type Window struct {
	mu      sync.RWMutex
	longest time.Duration

	// Proofs from before raised were remembered for shorter only, until their time and this. So they are judged by that.
	raised  time.Time
	shorter time.Duration
}

// Widen notes somebody who accepts proofs for so long, from now on.
func (w *Window) Widen(maxAge time.Duration, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if maxAge <= w.longest {
		return
	}
	if w.longest > 0 {
		if now.After(w.raised.Add(w.longest)) { // nobody accepts what was remembered for an even shorter time
			w.shorter = w.longest
		}
		w.raised = now.Add(w.longest) // a proof may be made for a moment that is still to come
	}
	w.longest = maxAge
}

// until is when nobody accepts a proof of this time any more. It is not ok if the proof may have been forgotten.
func (w *Window) until(issuedAt, now time.Time) (end time.Time, ok bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if !issuedAt.After(w.raised) && now.After(issuedAt.Add(w.shorter)) {
		return time.Time{}, false
	}
	return issuedAt.Add(w.longest), true
}
