package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrDoubt: somebody has called Doubt, and the vault could not be read since then.
var ErrDoubt = errors.New("the signing keys may have been reset elsewhere, and that cannot be seen now")

// doubts say whether the keys in force may have been reset on another node.
type doubts struct {
	present atomic.Pointer[doubt] // nil for none
	raised  chan struct{}         // wakes the watcher
	waiters atomic.Int64
}

// doubt ends with the first look at the vault that begins after it. Each has an address of its own, so a look that has
// begun before does not end it.
type doubt struct {
	over chan struct{} // closed at the end; a later doubt has the same one
}

// Doubt has no key count until the vault was read once more: another node may have reset the keys. That read begins at
// once, and is tried again every second. Until it has succeeded nothing verifies, and nothing is signed: Find and Sign
// wait for it, at most 2 seconds. Doubt does not wait.
//
// A reset on a node with another vault causes a doubt, and changes nothing here. So the register is looked at, too.
func (r *Ring) Doubt() {
	for {
		before := r.doubts.present.Load()
		next := &doubt{make(chan struct{})}
		if before != nil {
			next.over = before.over
		}
		if r.doubts.present.CompareAndSwap(before, next) {
			break
		}
	}
	select {
	case r.doubts.raised <- struct{}{}:
	default: // the watcher is about to look
	}
	r.meetSoon()
}

// CatchUp is Doubt, and waits for the end of it. The error is an ErrDoubt, and the doubt goes on then.
func (r *Ring) CatchUp(ctx context.Context) error {
	r.Doubt()
	return r.certain(ctx)
}

// settle ends a doubt, unless there is a later one.
func (d *doubts) settle(one *doubt) {
	if one != nil && d.present.CompareAndSwap(one, nil) {
		close(one.over)
	}
}

// certain waits until there is no doubt.
func (r *Ring) certain(ctx context.Context) error {
	one := r.doubts.present.Load()
	if one == nil {
		return nil
	}
	defer r.doubts.waiters.Add(-1)
	if r.doubts.waiters.Add(1) > maxWaiters {
		return fmt.Errorf("%w: %w", ErrDoubt, errBusy)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-one.over:
		return nil
	case <-timer.C:
		return fmt.Errorf("%w: %w", ErrDoubt, errSlow)
	case <-r.ended:
		return fmt.Errorf("%w: %w", ErrDoubt, ErrClosed)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrDoubt, context.Cause(ctx))
	}
}
