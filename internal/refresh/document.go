// Package refresh keeps one remote document fresh. It loads the document when somebody first asks, and again before it
// grows too old. While loading fails, it tries again after growing pauses. All who ask at the same time share one load.
// The package does not know what the document is; package keyset keeps key sets with it.
//
// Readers see an immutable value behind one atomic pointer and never wait. Nobody who waits can stop a load that others
// wait for, too.
package refresh

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/durations"
)

// MaxWaiters is how many callers may wait for loads of one document at a time. Each costs memory while it waits.
const MaxWaiters = 1024

// Why a caller gets no load.
var (
	// ErrClosed: the document, and so its source, was closed.
	ErrClosed = errors.New("the source is closed")
	// ErrBusy: MaxWaiters callers are waiting already.
	ErrBusy = errors.New("too many requests are waiting for the fetch")
	// ErrSlow: the load did not end within the time that the caller would wait.
	ErrSlow = errors.New("the fetch is taking too long")
	// ErrNoDocument: the server answered "not modified", but there is no earlier document.
	ErrNoDocument = errors.New(`the server answered "not modified" to a first request`)
)

// Outcome is what a successful load has brought.
type Outcome[T any] struct {
	// Value is the document. It is nil when the document is unchanged since the load before, and when Nothing is set.
	Value *T
	// Nothing says that there is no document to keep, because the loader keeps what it got itself.
	Nothing bool
	// Life is how long the server lets the document be used; negative when it does not say.
	Life time.Duration
	// Keep is called in the background when the load counts, so that nobody waits for it; nil for nothing. Its context
	// ends with the document, or after ten seconds. It runs beside later loads.
	Keep func(ctx context.Context)
}

// Loader gets a document. One goroutine at a time calls it. A panic in it counts as a failure.
type Loader[T any] interface {
	Load(ctx context.Context) (Outcome[T], error)
	Close() error
}

// Hooks are what a document's owner adds. Both are optional.
type Hooks[T any] struct {
	// Accept returns the value to keep after a load has brought one: loaded, or something made from it and the value
	// before. before may be too old by now. There is no call for the first value. It runs under the document's lock.
	Accept func(before, loaded *T) *T
	// Report gets the events in order, one at a time, and outside of all requests. It may call Close.
	Report func(Event[T])
}

// Document is a remote document that is kept fresh. It does nothing until it is first asked, and has no goroutine
// between loads.
type Document[T any] struct {
	timing Timing
	loader Loader[T]
	accept func(before, loaded *T) *T
	events *Queue[Event[T]]

	current atomic.Pointer[snapshot[T]]

	ctx    context.Context // of all loads; no request cancels it
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	flight     *Flight // the one load under way
	timer      *time.Timer
	next       time.Time // when the timer is due
	waiters    int
	lastStart  time.Time // of the last load
	failures   int       // since the last success
	failedAt   time.Time // when failing began
	lastErr    error
	heldUntil  time.Time     // the server wants to be left alone until then
	lastGood   uint64        // the number of the last load that succeeded
	lastGoodAt time.Time     // when it began
	expired    bool          // Expired was reported
	unfit      string        // why the document of an earlier process cannot be used, as it was reported
	life       time.Duration // as in Outcome, of the last answer that said something
	stats      Stats
}

// snapshot is a value and how long it may be used.
type snapshot[T any] struct {
	value   *T
	fetched time.Time
	expires time.Time
}

// Stats counts what a document's loads have done so far.
type Stats struct {
	Loads       uint64    // started, whether or not they have ended
	Failures    uint64    // loads that brought nothing usable
	NotModified uint64    // loads that found the document unchanged
	Fetched     time.Time // end of the last load that brought or confirmed a value
	Failing     bool      // the last load failed
	Err         error     // why it failed
	Next        time.Time // when the next load is due; zero before the first, and while one is under way
	Times       Times
}

// Times are how long the loads took that have ended.
type Times struct{ Good, Failed durations.Counts }

// Plus is what two have counted together.
func (t Times) Plus(other Times) Times {
	return Times{t.Good.Plus(other.Good), t.Failed.Plus(other.Failed)}
}

// Since is what was counted after an earlier moment.
func (t Times) Since(earlier Times) Times {
	return Times{t.Good.Since(earlier.Good), t.Failed.Since(earlier.Failed)}
}

// New makes a document. It loads nothing yet: that takes Await, Start or Locked.Launch. The timing must have its
// defaults, see Timing.Defaults.
func New[T any](timing Timing, loader Loader[T], hooks Hooks[T]) *Document[T] {
	ctx, cancel := context.WithCancel(context.Background())
	return &Document[T]{
		timing: timing, loader: loader, accept: hooks.Accept, events: NewQueue(hooks.Report),
		ctx: ctx, cancel: cancel, life: -1,
	}
}

// Start loads the document in the background, unless it was loaded before.
func (d *Document[T]) Start() {
	l := d.Lock()
	defer l.Unlock()
	if !d.closed && d.lastStart.IsZero() {
		l.Launch()
	}
}

// Current is the present value: nil while there is none, or only one that is too old. It neither blocks nor allocates.
func (d *Document[T]) Current() *T {
	snapshot := d.current.Load()
	if snapshot == nil || !time.Now().Before(snapshot.expires) {
		return nil
	}
	return snapshot.value
}

// Stats reports what has happened so far.
func (d *Document[T]) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	stats := d.stats
	stats.Failing, stats.Err = d.failures > 0, d.lastErr
	if d.flight == nil && !d.closed {
		stats.Next = d.next
	}
	if snapshot := d.current.Load(); snapshot != nil {
		stats.Fetched = snapshot.fetched
	}
	return stats
}

// Close stops all loads, waits for their end and closes the loader. It does not wait for Report. From then on there is
// no value.
func (d *Document[T]) Close() error {
	d.mu.Lock()
	d.closed = true
	if d.timer != nil {
		d.timer.Stop()
	}
	d.cancel()
	d.mu.Unlock()
	d.wg.Wait()
	d.current.Store(nil)
	return d.loader.Close()
}

// tick is called by the timer. When a request has started a load at the same moment, the tick is late: there is a new
// timer already.
func (d *Document[T]) tick() {
	l := d.Lock()
	defer l.Unlock()
	if !d.closed && !time.Now().Before(d.next) {
		l.Launch()
	}
}

func (d *Document[T]) fly(f *Flight) {
	defer d.wg.Done()
	ctx, cancel := context.WithTimeout(d.ctx, d.timing.Timeout)
	outcome, err := d.load(ctx)
	cancel()
	f.took = time.Since(f.started)
	var old recalled[T]
	if err != nil {
		old = d.recall()
	}
	if d.land(f, outcome, old, err) && outcome.Keep != nil {
		d.wg.Go(func() { d.keep(outcome.Keep) })
	}
}

// load calls the loader. Nothing that a server sends may bring the process down.
func (d *Document[T]) load(ctx context.Context) (outcome Outcome[T], err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while loading: %v", p)
		}
	}()
	return d.loader.Load(ctx)
}

// land stores what a load has brought and schedules the next one. It reports whether the load has succeeded. If it has
// not, and there is no value, the one of an earlier process takes its place.
func (d *Document[T]) land(f *Flight, outcome Outcome[T], old recalled[T], err error) (good bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer close(f.done)
	d.flight = nil
	if d.closed {
		f.err = ErrClosed
		return false
	}
	if err == nil {
		err = d.take(outcome)
	}
	f.err = err
	var delay time.Duration
	if err != nil {
		d.stats.Times.Failed.Add(f.took)
		d.reuse(old)
		d.fail(err)
		delay = max(d.timing.backoff(d.failures), time.Until(d.heldUntil))
	} else {
		d.stats.Times.Good.Add(f.took)
		d.lastGood, d.lastGoodAt, d.heldUntil = f.number, f.started, time.Time{}
		delay = d.timing.next(d.life)
	}
	d.next = time.Now().Add(delay) // set before the timer starts, so that the timer is never early
	d.timer = time.AfterFunc(delay, d.tick)
	return err == nil
}

// take makes a new value the current one, in place of the one before.
func (d *Document[T]) take(outcome Outcome[T]) error {
	now := time.Now()
	if outcome.Nothing {
		d.recovered(nil, now)
		d.life = outcome.Life
		return nil
	}
	var before *T
	if old := d.current.Load(); old != nil {
		before = old.value
	}
	value := outcome.Value
	switch {
	case value == nil && before == nil:
		return ErrNoDocument
	case value == nil:
		value = before
		d.stats.NotModified++
		if outcome.Life >= 0 { // otherwise, what the server said before about this document still holds
			d.life = outcome.Life
		}
	default:
		if before != nil && d.accept != nil {
			value = d.accept(before, value)
		}
		d.life = outcome.Life
	}
	d.current.Store(&snapshot[T]{value: value, fetched: now, expires: now.Add(d.timing.MaxStale)})
	if before == nil {
		event := Event[T]{Kind: Ready, Now: value}
		if d.failures > 0 {
			event.Since = now.Sub(d.failedAt)
		}
		d.events.Add(event)
		d.failures, d.lastErr = 0, nil
	} else {
		d.recovered(value, now)
		if value != before {
			d.events.Add(Event[T]{Kind: Changed, Before: before, Now: value})
		}
	}
	d.expired = false
	return nil
}

// recovered ends a series of failures, if there was one.
func (d *Document[T]) recovered(value *T, now time.Time) {
	if d.failures > 0 {
		d.events.Add(Event[T]{Kind: Recovered, Now: value, Since: now.Sub(d.failedAt)})
	}
	d.failures, d.lastErr = 0, nil
}

// fail records a failure. The value stays as it is.
func (d *Document[T]) fail(err error) {
	d.stats.Failures++
	d.failures++
	d.lastErr = err
	now := time.Now()
	d.heldUntil = now.Add(holdOf(err))
	value := d.Current()
	if d.failures == 1 {
		d.failedAt = now
		d.events.Add(Event[T]{Kind: Failing, Now: value, Err: err})
	}
	if d.current.Load() != nil && value == nil && !d.expired {
		d.expired = true
		d.events.Add(Event[T]{Kind: Expired, Err: err, Since: now.Sub(d.failedAt)})
	}
}
