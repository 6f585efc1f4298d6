package keyset

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
)

// maxWaiters is how many requests may wait for fetches of one source at a time. Each is held in memory meanwhile.
const maxWaiters = 1024

// loaded is what a successful load brings.
type loaded struct {
	keys        []*jose.Key
	skipped     []Skipped
	set         *Set          // made of the two above
	notModified bool          // the keys are those of the load before
	keyless     bool          // there are none, and none are wanted
	life        time.Duration // what the server asked for, negative for nothing
}

// loader gets keys from somewhere. It is called by one goroutine at a time.
type loader interface {
	load(ctx context.Context) (loaded, error)
	close() error
}

// refresher keeps the keys that a loader brings, and has it bring new ones: on a timer, and when somebody asks for a
// key that is not there. It does nothing before it is first asked, and between fetches it has no goroutine.
type refresher struct {
	name   string // what the source is called in logs and events
	timing Timing
	loader loader
	notify *notifier

	current atomic.Pointer[snapshot]

	ctx    context.Context // of all fetches; no request's
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	flight     *flight // the one fetch under way
	timer      *time.Timer
	waiters    int
	lastStart  time.Time // of the last fetch
	failures   int       // since the last success
	failedAt   time.Time // when failing began
	lastErr    error
	heldUntil  time.Time // until when the server wants to be left alone
	lastGood   uint64    // the number of the last fetch that succeeded
	lastGoodAt time.Time // when it began
	expired    bool      // that the keys are too old has been told
	budgets    *budgets  // for fetches that requests cause while there are keys
	asked      asked
	former     former
	life       time.Duration // as in loaded, of the last answer that said something
	stats      Stats
}

// snapshot is a set and for how long it is good.
type snapshot struct {
	set     *Set
	fetched time.Time
	expires time.Time
}

// flight is one fetch, and its outcome once done is closed.
type flight struct {
	number  uint64 // they are counted from 1
	started time.Time
	done    chan struct{}
	err     error
}

// Stats counts what a source has done so far.
type Stats struct {
	Fetches     uint64 // attempts, finished or not
	Failures    uint64 // attempts that brought no usable keys
	NotModified uint64 // attempts that found the keys unchanged by ETag
	Denied      uint64 // requests for unknown keys that caused no fetch and waited for none
	Keys        int    // keys in use
	Skipped     []Skipped
	Fetched     time.Time // last success
	Failing     bool      // the last attempt failed
}

func newRefresher(name string, timing Timing, l loader, logger *slog.Logger) *refresher {
	ctx, cancel := context.WithCancel(context.Background())
	return &refresher{
		name: name, timing: timing, loader: l, notify: newNotifier(logger, name),
		ctx: ctx, cancel: cancel, budgets: newBudgets(timing.Cooldown), asked: asked{begun: make(map[uint64]uint64)}, former: newFormer(), life: -1,
	}
}

// Start has the keys fetched in the background, if that has not happened yet. Without it the first request that needs
// them does so; whoever has thousands of sources should leave it at that.
func (r *refresher) Start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed && r.flight == nil && r.lastStart.IsZero() {
		r.launch()
	}
}

// SetObserver has observe called with every event from now on, in order, one at a time, and off all request paths; nil
// ends that. Nothing waits for it but the events that follow; it may call Close.
func (r *refresher) SetObserver(observe func(Event)) { r.notify.observe(observe) }

// Stats tells what has happened so far.
func (r *refresher) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	stats := r.stats
	stats.Failing = r.failures > 0
	if snapshot := r.current.Load(); snapshot != nil {
		stats.Fetched = snapshot.fetched
	}
	if set := r.Current(); set != nil {
		stats.Keys, stats.Skipped = set.Len(), set.Skipped
	}
	return stats
}

// Current implements Source.
func (r *refresher) Current() *Set {
	snapshot := r.current.Load()
	if snapshot == nil || !time.Now().Before(snapshot.expires) {
		return nil
	}
	return snapshot.set
}

// Close implements Source.
func (r *refresher) Close() error {
	r.mu.Lock()
	r.closed = true
	if r.timer != nil {
		r.timer.Stop()
	}
	r.cancel()
	r.mu.Unlock()
	r.wg.Wait()
	r.current.Store(nil)
	return r.loader.close()
}

// tick is the timer's.
func (r *refresher) tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed && r.flight == nil {
		r.launch()
	}
}

// launch starts a fetch, of which there must be none under way. The caller holds the lock.
func (r *refresher) launch() *flight {
	if r.timer != nil {
		r.timer.Stop()
	}
	r.lastStart = time.Now()
	r.stats.Fetches++
	r.flight = &flight{number: r.stats.Fetches, started: r.lastStart, done: make(chan struct{})}
	r.wg.Add(1)
	go func(f *flight) {
		r.fly(f)
		r.notify.deliver() // Close may be waited for by whoever is told
	}(r.flight)
	return r.flight
}

func (r *refresher) fly(f *flight) {
	defer r.wg.Done()
	ctx, cancel := context.WithTimeout(r.ctx, r.timing.Timeout)
	result, err := r.attempt(ctx)
	cancel()
	r.land(f, result, err)
}

// attempt calls the loader and makes a set of what it brings. Whatever a server sends, it must not bring the process down.
func (r *refresher) attempt(ctx context.Context) (result loaded, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while getting keys: %v", p)
		}
	}()
	if result, err = r.loader.load(ctx); err == nil && !result.notModified && !result.keyless {
		result.set, err = newSet(result.keys, result.skipped)
	}
	return result, err
}

// land takes over what a fetch has brought, and sets the time of the next.
func (r *refresher) land(f *flight, result loaded, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(f.done)
	r.flight = nil
	if r.closed {
		f.err = errClosed
		return
	}
	if err == nil {
		err = r.take(result)
	}
	f.err = err
	var delay time.Duration
	if err != nil {
		r.fail(err)
		delay = max(r.timing.backoff(r.failures), time.Until(r.heldUntil))
	} else {
		r.lastGood, r.lastGoodAt, r.heldUntil = f.number, f.started, time.Time{}
		delay = r.timing.next(r.life)
	}
	r.timer = time.AfterFunc(delay, r.tick)
}

// take makes new keys the current ones. Keys that are no longer there are gone with it.
func (r *refresher) take(result loaded) error {
	if result.keyless {
		if r.failures > 0 {
			r.notify.add(Event{Kind: Recovered, Source: r.name, Since: time.Since(r.failedAt)})
		}
		r.life, r.failures, r.lastErr = result.life, 0, nil
		return nil
	}
	var before *Set
	if old := r.current.Load(); old != nil {
		before = old.set
	}
	set := before
	if !result.notModified || before == nil {
		if set = result.set; set == nil {
			return ErrNoKeys // "not modified" with nothing to be the same as
		}
		if before != nil && before.sameKeys(set) {
			same := *before
			same.Skipped = set.Skipped
			set = &same
		}
		r.life = -1
	} else {
		r.stats.NotModified++
	}
	if result.life >= 0 {
		r.life = result.life
	}
	now := time.Now()
	r.current.Store(&snapshot{set: set, fetched: now, expires: now.Add(r.timing.MaxStale)})
	r.announce(before, set, now)
	if set.cutSince(before) {
		r.notify.add(Event{Kind: KeysLeftOut, Source: r.name, Keys: set.Len(), Skipped: set.Skipped})
	}
	r.failures, r.lastErr, r.expired = 0, nil, false
	return nil
}

// announce tells what a success has changed. A fetch that has brought new keys gives back what the budgets have spent:
// no stranger can cause such a one, and the next rotation should not have to wait for it. Keys that come back are not
// new: behind one address there may be two servers that do not have the same keys, and then every fetch brings those of
// the other.
func (r *refresher) announce(before, set *Set, now time.Time) {
	event := Event{Source: r.name, Keys: set.Len(), Skipped: set.Skipped}
	if r.failures > 0 {
		event.Since = now.Sub(r.failedAt)
	}
	if before == nil {
		event.Kind = Ready
		event.Added, _ = before.changes(set)
		r.notify.add(event)
		return
	}
	if r.failures > 0 {
		recovered := event
		recovered.Kind = Recovered
		r.notify.add(recovered)
	}
	if before.Generation == set.Generation {
		return
	}
	event.Kind, event.Since = KeysChanged, 0
	event.Added, event.Removed = before.changes(set)
	if len(event.Added)+len(event.Removed) == 0 {
		return // the same keys in another order
	}
	r.notify.add(event)
	if r.former.replace(before, set) {
		r.budgets.refill()
	}
}

// fail notes a failure; the keys stay what they are.
func (r *refresher) fail(err error) {
	r.stats.Failures++
	r.failures++
	r.lastErr = err
	now := time.Now()
	r.heldUntil = now.Add(retryAfterOf(err))
	event := Event{Source: r.name, Keys: r.Current().Len(), Err: err}
	if r.failures == 1 {
		r.failedAt = now
		event.Kind = Failing
		r.notify.add(event)
	}
	if r.current.Load() != nil && r.Current() == nil && !r.expired {
		r.expired = true
		event.Kind, event.Since = Expired, now.Sub(r.failedAt)
		r.notify.add(event)
	}
}
