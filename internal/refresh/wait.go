package refresh

import (
	"context"
	"errors"
	"time"
)

// Flight is one load.
type Flight struct {
	number  uint64 // counted from 1
	started time.Time
	took    time.Duration
	done    chan struct{}
	err     error
}

// Number is 1 for the first load of a document, 2 for the second.
func (f *Flight) Number() uint64 { return f.number }

// Err is why the load failed; nil when it succeeded. It is valid only after Wait has returned nil.
func (f *Flight) Err() error { return f.err }

// Result says in a word how a wait for the load has ended, by the error of Wait.
func (f *Flight) Result(err error) string {
	switch {
	case errors.Is(err, ErrSlow):
		return "timeout"
	case err != nil:
		return "client_gone"
	case f.err != nil:
		return "failed"
	default:
		return "fetched"
	}
}

// Await waits for a load: the one under way, or one that it starts. When the last load is too recent, it starts none
// and returns the error of the last one. It waits no longer than ctx and Timing.Wait allow.
func (d *Document[T]) Await(ctx context.Context) error {
	f, err := d.joinAny()
	if f == nil {
		return err
	}
	if err := d.Wait(ctx, f, d.timing.Wait); err != nil {
		return err
	}
	return f.err
}

// Preload makes sure that the document has been loaded once, or that this has been tried, and waits for the end of that
// load or of ctx. It starts no second load: after a failure, the timer tries again. The caller is not one of the
// waiters that MaxWaiters bounds, because those are requests.
func (d *Document[T]) Preload(ctx context.Context) {
	d.Start()
	l := d.Lock()
	f := l.Flight()
	l.Unlock()
	if f == nil {
		return
	}
	select {
	case <-f.done:
	case <-ctx.Done():
	}
}

// Reload loads the document for an operator: a load that has begun before may bring what the server had before. So it
// waits for the load under way, and then for one that begins after that. It heeds neither backoff nor what the server
// asks for. Who comes while that load has not begun shares it, so there is one load after the other at most.
func (d *Document[T]) Reload(ctx context.Context) error {
	l := d.Lock()
	after := l.Begun()
	l.Unlock()
	for ctx.Err() == nil {
		f, err := d.joinAfter(after)
		if f == nil {
			return err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			continue
		}
		if f.number > after {
			return f.err
		}
	}
	return context.Cause(ctx)
}

// joinAfter is the load under way. If there is none, it starts one.
func (d *Document[T]) joinAfter(after uint64) (*Flight, error) {
	l := d.Lock()
	defer l.Unlock()
	switch {
	case d.closed:
		return nil, ErrClosed
	case d.flight == nil && d.stats.Loads > after: // it has begun and ended meanwhile
		return nil, d.lastErr
	default:
		return l.Launch(), nil
	}
}

func (d *Document[T]) joinAny() (*Flight, error) {
	l := d.Lock()
	defer l.Unlock()
	f := d.flight
	switch {
	case d.closed:
		return nil, ErrClosed
	case f == nil && !l.MayLoad(time.Now()):
		return nil, d.lastErr
	case f == nil:
		f = l.Launch()
	}
	if err := l.Join(); err != nil {
		return nil, err
	}
	return f, nil
}

// Wait waits for the end of a load that the caller has joined, for limit at most. Then the caller no longer counts as a
// waiter. The error says why the wait ended early; how the load went is in the flight.
func (d *Document[T]) Wait(ctx context.Context, f *Flight, limit time.Duration) (err error) {
	timer := time.NewTimer(limit)
	select {
	case <-f.done:
	case <-timer.C:
		err = ErrSlow
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	timer.Stop()
	d.mu.Lock()
	d.waiters--
	d.mu.Unlock()
	return err
}

// Lock locks the document. Its owner can then decide about loads, and protect its own state with the same lock.
func (d *Document[T]) Lock() Locked[T] {
	d.mu.Lock()
	return Locked[T]{d}
}

// Locked is a document whose lock the caller holds.
type Locked[T any] struct{ d *Document[T] }

// Unlock ends the use of l.
func (l Locked[T]) Unlock() { l.d.mu.Unlock() }

// Closed reports whether the document was closed.
func (l Locked[T]) Closed() bool { return l.d.closed }

// Flight is the load under way, nil for none.
func (l Locked[T]) Flight() *Flight { return l.d.flight }

// Launch starts a load and returns it. If one is under way, it returns that one. The document must not be closed.
func (l Locked[T]) Launch() *Flight {
	d := l.d
	if d.flight != nil {
		return d.flight
	}
	if d.timer != nil {
		d.timer.Stop()
	}
	d.lastStart = time.Now()
	d.stats.Loads++
	d.flight = &Flight{number: d.stats.Loads, started: d.lastStart, done: make(chan struct{})}
	d.wg.Add(1)
	go func(f *Flight) {
		d.fly(f)
		d.events.Deliver() // after fly, because a handler may call Close, which waits for fly
	}(d.flight)
	return d.flight
}

// Join counts the caller among those who wait for the load under way. The only error is ErrBusy. Without an error, the
// caller must call Wait.
func (l Locked[T]) Join() error {
	if l.d.waiters >= MaxWaiters {
		return ErrBusy
	}
	l.d.waiters++
	return nil
}

// Begun is the number of the last load that has begun, 0 before the first.
func (l Locked[T]) Begun() uint64 { return l.d.stats.Loads }

// LastGood is the number of the last load that succeeded, 0 for none.
func (l Locked[T]) LastGood() uint64 { return l.d.lastGood }

// LastGoodStart is when that load began.
func (l Locked[T]) LastGoodStart() time.Time { return l.d.lastGoodAt }

// Failing reports whether the last load failed.
func (l Locked[T]) Failing() bool { return l.d.failures > 0 }

// FailingSince is when loads began to fail; zero when the last one succeeded. It was reported then.
func (l Locked[T]) FailingSince() time.Time {
	if l.d.failures == 0 {
		return time.Time{}
	}
	return l.d.failedAt
}

// Err is the error of the last load; nil when it succeeded.
func (l Locked[T]) Err() error { return l.d.lastErr }

// MayLoad reports whether a request may cause a load while there is no value: one in each Timing.MinBackoff, and not
// while the server wants to be left alone.
func (l Locked[T]) MayLoad(now time.Time) bool {
	d := l.d
	return d.lastStart.IsZero() || now.Sub(d.lastStart) >= d.timing.MinBackoff && !now.Before(d.heldUntil)
}

// MayReload reports whether a request may cause a load while there is a value. While loads fail, it allows one in each
// Timing.Cooldown. That is more often than the backoff, which may have grown long.
func (l Locked[T]) MayReload(now time.Time) bool {
	d := l.d
	resting := d.failures > 0 && now.Sub(d.lastStart) < d.timing.Cooldown
	return !resting && !now.Before(d.heldUntil)
}

// RetryAfter is how long until a request may cause a load again after a failed one: in whole seconds, and at least one.
func (l Locked[T]) RetryAfter() time.Duration {
	d := l.d
	wait := d.timing.MinBackoff
	if d.Current() != nil {
		wait = d.timing.Cooldown
	}
	return max(wait-time.Since(d.lastStart), time.Until(d.heldUntil), time.Second).Round(time.Second)
}
