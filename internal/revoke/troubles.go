package revoke

import "sync"

// troubles tells somebody that the store fails, and when all of it works again.
type troubles struct {
	mu      sync.Mutex
	tell    func(error)
	failing [2]bool // by what
}

// What may fail while nobody waits for it.
const (
	following = iota
	sweeping
)

// report notes the outcome of one attempt.
func (t *troubles) report(what int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.failing
	t.failing[what] = err != nil
	switch {
	case err != nil:
		t.tell(err)
	case before != t.failing && t.failing == [2]bool{}:
		t.tell(nil)
	}
}
