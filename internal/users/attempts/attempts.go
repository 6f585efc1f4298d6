// Package attempts bounds how often somebody may try a password, and how many hashes are under way. It is the guard
// before the hash: an attempt that is refused here costs nearly nothing.
//
// Nobody can lock out somebody else: failures count for the address that they come from, and never for a user alone.
// Who guesses from many addresses is bounded by the hashes under way. Waiting attempts get their turns address by
// address, and those from addresses without recent failures first.
package attempts

import (
	"context"
	"fmt"
	"hash/maphash"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/caddyjwt/gateway/internal/setting"
)

const (
	maxSlots  = 1 << 10
	maxBurst  = 1 << 10
	maxPlaces = 1 << 20
	maxEvery  = time.Hour

	// Wider places may fail more often, in the same time.
	widerBurst = 8  // of an IPv6 /48, times that of a /64
	roughBurst = 64 // of an IPv6 /32 or an IPv4 /16, while the table is full
	// maxRough is how many rough places there are at most.
	maxRough = 4096

	// maxWaiting is how many attempts wait in sum.
	maxWaiting = 1024
	// busy is what an attempt hears that finds no place to wait.
	busy = 5 * time.Second
)

// Config bounds the attempts. The zero value has the defaults.
type Config struct {
	// Slots is how many hashes are under way at once. The default is half of the processors, rounded up: while somebody
	// guesses, the other half does the rest of the work.
	Slots int
	// Burst is how many failures an address has at once. The default is 10. A name at an address has half of them, so
	// that one device with an old password leaves something to the others behind the same address.
	Burst int
	// Every is the time after which an address has one failure more. The default is 6 s.
	Every time.Duration
	// Places is how many addresses, networks and names at addresses are remembered. The default is 100,000.
	Places int
}

// Limited means that there were too many attempts, and that this one was not looked at.
type Limited struct {
	// RetryAfter is when another attempt has a chance. It is above 0.
	RetryAfter time.Duration
}

// Error implements error.
func (l *Limited) Error() string {
	return fmt.Sprintf("too many attempts to sign in; the next one is possible in %s",
		(l.RetryAfter + time.Second - 1).Truncate(time.Second))
}

// Guard bounds the attempts of a process. It has no goroutines, and need not be closed. It is safe for concurrent use,
// and several issuers can share it.
type Guard struct {
	slots  int
	rates  rates
	seed   maphash.Seed
	origin time.Time // the clock counts from here, so that a change of the date changes nothing

	mu    sync.Mutex
	debts *table // of addresses, networks and names at addresses
	rough *table // of wide networks: what the table has forgotten too early
	queue queue
}

// New makes a Guard. The error is a *setting.Error.
func New(c Config) (*Guard, error) {
	switch {
	case c.Slots < 0 || c.Slots > maxSlots:
		return nil, setting.Errorf("Slots", "the hashes under way are from 1 to %d", maxSlots)
	case c.Burst < 0 || c.Burst == 1 || c.Burst > maxBurst:
		return nil, setting.Errorf("Burst", "the failures at once are from 2 to %d", maxBurst)
	case c.Every < 0 || c.Every > maxEvery || c.Every > 0 && c.Every < time.Millisecond:
		return nil, setting.Errorf("Every", "the time for another failure is from 1ms to %s", maxEvery)
	case c.Places < 0 || c.Places > maxPlaces:
		return nil, setting.Errorf("Places", "the addresses remembered are from 1 to %d", maxPlaces)
	}
	if c.Slots == 0 {
		c.Slots = (runtime.GOMAXPROCS(0) + 1) / 2
	}
	if c.Burst == 0 {
		c.Burst = 10
	}
	if c.Every == 0 {
		c.Every = 6 * time.Second
	}
	if c.Places == 0 {
		c.Places = 100_000
	}
	rates := ratesOf(c.Burst, c.Every)
	return &Guard{
		slots: c.Slots, rates: rates, seed: maphash.MakeSeed(), origin: time.Now(), queue: newQueue(),
		debts: newTable(c.Places, rates.window), rough: newTable(maxRough, rates.window),
	}, nil
}

// Do calls check when it is the attempt's turn, and returns its error. check says whether the password was right: a
// wrong one is a failure of the address and of the name at the address. An error means that this is not known; then
// nothing counts, unless the context has ended: who leaves early must not guess for nothing.
//
// Do returns a *Limited without a call of check if the address has failed too often, or if too many others wait. It
// returns the error of the context if that ends before its turn. Once check has begun, Do waits for its end, and the
// answer counts.
//
// The client is the address that the attempt comes from. An IPv6 address counts as its /64. All attempts without a
// valid address count as from one.
func (g *Guard) Do(ctx context.Context, client netip.Addr, name string, check func() (ok bool, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a := &attempt{places: g.placesOf(client, name)}
	if err := g.begin(ctx, a); err != nil {
		return err
	}
	failed := true // if check panics
	defer func() { g.end(a, failed) }()
	ok, err := check()
	failed = !ok && (err == nil || ctx.Err() != nil)
	return err
}

// begin returns when it is the attempt's turn.
func (g *Guard) begin(ctx context.Context, a *attempt) error {
	g.mu.Lock()
	limited := g.arrive(a)
	started := a.started
	g.mu.Unlock()
	if limited != nil {
		return limited
	}
	if started {
		return nil
	}
	select {
	case limited := <-a.turn:
		if limited != nil {
			return limited
		}
		return nil
	case <-ctx.Done():
		g.leave(a)
		return ctx.Err()
	}
}

// now is the time since the Guard was made.
func (g *Guard) now() time.Duration { return time.Since(g.origin) }

// arrive starts an attempt, has it wait, or refuses it.
func (g *Guard) arrive(a *attempt) *Limited {
	now := g.now()
	if wait := g.exhausted(a, now); wait > 0 {
		return &Limited{wait}
	}
	if g.queue.running < g.slots && g.mayStart(a, now) {
		g.start(a)
		return nil
	}
	a.turn = make(chan *Limited, 1)
	if !g.queue.add(a, func(a *attempt) bool { return g.clean(a, now) }) {
		return &Limited{busy}
	}
	g.next(now)
	return nil
}

// leave takes back an attempt whose context has ended before its turn, or just then.
func (g *Guard) leave(a *attempt) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case a.started:
		g.queue.stop(a)
	case !a.refused:
		g.queue.remove(a)
	}
	g.goOn(a, g.now())
}

// end counts a failure, and has others start.
func (g *Guard) end(a *attempt, failed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.queue.stop(a)
	if failed {
		g.charge(a, now)
	}
	g.goOn(a, now)
}

// goOn has others start after an attempt is over.
func (g *Guard) goOn(a *attempt, now time.Duration) {
	g.queue.sort(a.places.address(), func(a *attempt) bool { return g.clean(a, now) })
	g.next(now)
}

// next starts what may start.
func (g *Guard) next(now time.Duration) {
	for g.queue.running < g.slots {
		a := g.queue.pick(func(a *attempt) verdict { return g.judge(a, now) })
		if a == nil {
			return
		}
		g.start(a)
		a.turn <- nil
	}
}

func (g *Guard) start(a *attempt) {
	a.started = true
	g.queue.run(a)
}

// judge says what becomes of a waiting attempt.
func (g *Guard) judge(a *attempt, now time.Duration) verdict {
	wait := g.exhausted(a, now)
	switch {
	case wait > 0:
		return verdict{limited: &Limited{wait}}
	case !g.mayStart(a, now):
		return verdict{}
	}
	return verdict{may: true, clean: g.clean(a, now)}
}
