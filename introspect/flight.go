package introspect

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// flight is one call to the server, shared by everybody who asks about the same token.
type flight struct {
	key     cacheKey
	ctx     context.Context // has the deadline of the call, and depends on no request
	cancel  context.CancelFunc
	started time.Time
	probe   bool // a half-open breaker waits for its outcome
	// verified means that the caller has verified the token itself; proven, that or that the server has called it active
	// before.
	verified, proven bool
	sent             time.Time       // when the question was sent; guarded by Client.mu
	held             []chan struct{} // slots; only the goroutine of the call uses them

	done   chan struct{} // closed when the following two are set
	result Result
	err    *NoVerdictError
}

// ask joins or starts a call and waits for its verdict.
func (c *Client) ask(ctx context.Context, key cacheKey, token string, o Option) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, callerLeft(err)
	}
	r, f, how, err := c.join(key, token, o)
	c.cfg.Observer.lookup(how)
	switch {
	case err != nil:
		return Result{}, err
	case f == nil:
		return r, nil
	}
	ended := c.cfg.Observer.wait(ctx)
	r, none := c.await(ctx, f)
	if ended != nil {
		ended(r.Active, none)
	}
	if none != nil {
		return Result{}, none
	}
	return r, nil
}

// await waits for the verdict of a call.
func (c *Client) await(ctx context.Context, f *flight) (Result, *NoVerdictError) {
	select {
	case <-f.done:
	case <-ctx.Done():
		return Result{}, callerLeft(ctx.Err())
	case <-f.ctx.Done():
		// Unless the deadline ended the context, the verdict was set before. After the deadline nobody waits for a function
		// that ignores its context.
		select {
		case <-f.done:
		default:
			return Result{}, c.cutShort(f)
		}
	}
	return f.result, f.err
}

func callerLeft(err error) *NoVerdictError {
	if errors.Is(err, context.DeadlineExceeded) {
		return noVerdict(CauseTimeout, err)
	}
	return noVerdict(CauseCanceled, err)
}

// join finds the call to wait for, or an answer that has arrived since the caller looked.
func (c *Client) join(key cacheKey, token string, o Option) (r Result, f *flight, how Lookup, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.Now()
	if f = c.flights[key]; f != nil && f.fits(now, o) {
		return r, f, Shared, nil
	}
	if r, held, ok := c.cache.get(key, now, o); ok {
		if held != nil {
			return Result{}, nil, Shared, held
		}
		return r, nil, Shared, nil
	}
	if c.closed {
		return r, nil, Rejected, noVerdict(CauseUnavailable, ErrClosed)
	}
	f = &flight{key: key, started: now, done: make(chan struct{})}
	f.verified, f.proven = o.verified, o.verified || c.proven.has(key)
	if trouble := c.start(f, now); trouble != nil {
		return r, nil, Rejected, trouble
	}
	go c.run(f, token)
	return r, f, Miss, nil
}

// start registers a call, unless there are too many or the breaker is open.
func (c *Client) start(f *flight, now time.Time) *NoVerdictError {
	if !c.hasRoom(f.proven) {
		return noVerdict(CauseOverloaded, fmt.Errorf("%d calls are in flight or waiting", c.calls))
	}
	ok, probe, wait := c.breakers.allow(f.proven, now)
	if !ok {
		return breakerOpen(wait)
	}
	f.probe = probe
	f.ctx, f.cancel = context.WithTimeout(c.ctx, c.cfg.Timeout)
	c.flights[f.key] = f
	c.count(f, +1)
	return nil
}

// hasRoom reports whether one more call may run or wait.
func (c *Client) hasRoom(proven bool) bool {
	const perSlot = 1 + queuePerSlot
	return c.calls < cap(c.slots)*perSlot && (proven || c.unprovenCalls < cap(c.unprovenSlots)*perSlot)
}

func (c *Client) count(f *flight, delta int) {
	c.calls += delta
	if !f.proven {
		c.unprovenCalls += delta
	}
}

// fits reports whether the flight's answer will be young enough for a question asked now. After its deadline a flight
// has no answer to give, even if it has not ended yet.
func (f *flight) fits(now time.Time, o Option) bool {
	return f.ctx.Err() == nil && (!o.limited || f.sent.IsZero() || now.Sub(f.sent) <= o.maxAge && o.maxAge > 0)
}

func breakerOpen(wait time.Duration) *NoVerdictError {
	e := noVerdict(CauseBreakerOpen, nil)
	e.RetryAfter = max(wait, time.Second)
	return e
}

// run makes the call on a goroutine of its own. Whatever happens in it, even a panic in a configured function,
// everybody who waits gets an answer.
func (c *Client) run(f *flight, token string) {
	defer f.cancel()
	defer f.leave()
	f.err = noVerdict(CauseProtocol, errors.New("a configured function did not return"))
	defer func() {
		if p := recover(); p != nil {
			f.err = noVerdict(CauseProtocol, panicError(p))
		}
		c.finish(f)
	}()
	f.result, f.err = c.call(f, token)
}

// panicError keeps the text of runtime errors, which contains only numbers and types. Any other text could contain the
// token.
func panicError(p any) error {
	if err, ok := p.(runtime.Error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic with a %T", p)
}

// call waits for a free slot and asks.
func (c *Client) call(f *flight, token string) (Result, *NoVerdictError) {
	for _, slots := range c.slotsFor(f) {
		select {
		case slots <- struct{}{}:
			f.held = append(f.held, slots)
		case <-f.ctx.Done():
			return Result{}, c.cutShort(f)
		}
	}
	if f.ctx.Err() != nil { // the slot came free at the last moment
		return Result{}, c.cutShort(f)
	}
	sent, ok := c.depart(f)
	if !ok {
		return Result{}, breakerOpen(0)
	}
	r, err := c.exchange(f, token)
	if err != nil {
		return Result{}, err
	}
	r.FetchedAt = sent
	return r, nil
}

// leave frees the slots of a call. Its outcome counts by then: whoever gets a slot next must know that the server has
// failed.
func (f *flight) leave() {
	for _, slots := range slices.Backward(f.held) {
		<-slots
	}
}

// slotsFor lists the slots that a call needs, in this order. Whoever holds one of c.slots is under way, so that is the
// last to get.
func (c *Client) slotsFor(f *flight) []chan struct{} {
	if f.proven {
		return []chan struct{}{c.slots}
	}
	return []chan struct{}{c.unprovenSlots, c.slots}
}

// depart notes when the question is sent. It returns false when the breaker has opened while the flight waited for its
// slot.
func (c *Client) depart(f *flight) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !f.probe && c.breakers.of(f.proven).state != BreakerClosed {
		return time.Time{}, false
	}
	f.sent = c.cfg.Now()
	return f.sent, true
}

// finish stores the verdict and hands it out. A flight that a newer one has replaced stores nothing, because its answer
// may be the older one. The observer hears of the call first: metrics that lag behind an answer surprise those who read
// them.
func (c *Client) finish(f *flight) {
	c.mu.Lock()
	now := c.cfg.Now()
	c.count(f, -1)
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
		if !c.closed {
			c.remember(f, now)
		}
	}
	if !c.closed { // Close makes calls fail, which says nothing about the server
		c.breakers.record(f, now)
	}
	c.mu.Unlock()
	c.cfg.Observer.call(f.result.Active, f.err, now.Sub(f.started))
	close(f.done)
}

// remember keeps the verdict, or the fact that there was none.
func (c *Client) remember(f *flight, now time.Time) {
	switch {
	case f.err != nil:
		if hold := c.hold(f); hold > 0 {
			f.err = f.err.atLeast(hold)
			c.cache.refuse(f.key, f.err, hold, now)
		}
		return
	case f.result.Active:
		c.proven.add(f.key)
	default:
		c.proven.drop(f.key)
	}
	c.cache.put(f.key, f.result, now)
}

// cutShort says why the context of a flight ended before there was a verdict.
func (c *Client) cutShort(f *flight) *NoVerdictError {
	c.mu.Lock()
	sent := f.sent
	c.mu.Unlock()
	switch {
	case c.ctx.Err() != nil:
		return noVerdict(CauseUnavailable, ErrClosed)
	case sent.IsZero():
		return noVerdict(CauseOverloaded, fmt.Errorf("no free slot within %v", c.cfg.Timeout))
	}
	return noVerdict(CauseTimeout, fmt.Errorf("no answer within %v", c.cfg.Timeout))
}
