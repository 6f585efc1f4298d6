// Package attempts bounds how often somebody may try a password, and how many hashes are under way. It is the guard
// before the hash: an attempt that is refused here costs nearly nothing.
//
// Attempts that ask a server have slots of their own, so that a slow server does not hold up the hashes. What counts
// against an address counts in both.
//
// Nobody can lock out somebody else: failures count for the address that they come from, and never for a user alone.
// Who guesses from many addresses is bounded by the hashes under way. Waiting attempts get their turns address by
// address: first those from addresses where somebody has signed in lately, which a stranger cannot pretend, and then
// those from others without recent failures. One slot is for the first ones alone.
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

	// provenFor is how long an address counts as one where somebody has signed in.
	provenFor = 24 * time.Hour

	// maxWaiting is how many attempts wait in one lane, in sum.
	maxWaiting = 1024
	// busy is what an attempt hears that finds no place to wait.
	busy = 5 * time.Second
)

// Config bounds the attempts. The zero value has the defaults.
type Config struct {
	// Slots is how many hashes are under way at once. The default is half of the processors, rounded up: while somebody
	// guesses, the other half does the rest of the work. One more is for addresses where somebody has signed in.
	Slots int
	// Remote is how many attempts ask a server at once. They wait more than they work. The default is 64.
	Remote int
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
	rates  rates
	seed   maphash.Seed
	origin time.Time // the clock counts from here, so that a change of the date changes nothing

	mu    sync.Mutex
	debts *table // of addresses, networks and names at addresses
	known *table // addresses where somebody has signed in
	rough *table // of wide networks: what the table has forgotten too early
	lanes [lanes]lane
}

// New makes a Guard. The error is a *setting.Error.
func New(c Config) (*Guard, error) {
	switch {
	case c.Slots < 0 || c.Slots > maxSlots:
		return nil, setting.Errorf("Slots", "the hashes under way are from 1 to %d", maxSlots)
	case c.Remote < 0 || c.Remote > maxSlots:
		return nil, setting.Errorf("Remote", "the attempts that ask a server are from 1 to %d", maxSlots)
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
	if c.Remote == 0 {
		c.Remote = 64
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
		rates: rates, seed: maphash.MakeSeed(), origin: time.Now(),
		lanes: [lanes]lane{local: {queue: newQueue(), slots: c.Slots}, remote: {queue: newQueue(), slots: c.Remote}},
		debts: newTable(c.Places, rates.window), rough: newTable(maxRough, rates.window),
		known: newTable(c.Places, provenFor),
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
	return g.do(ctx, local, client, name, check)
}

// DoRemote is Do for a check that asks a server. It takes none of the slots of hashes.
func (g *Guard) DoRemote(
	ctx context.Context, client netip.Addr, name string, check func() (ok bool, err error),
) error {
	return g.do(ctx, remote, client, name, check)
}

func (g *Guard) do(
	ctx context.Context, lane int, client netip.Addr, name string, check func() (ok bool, err error),
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a := &attempt{lane: lane, places: g.placesOf(client, name)}
	if err := g.begin(ctx, a); err != nil {
		return err
	}
	outcome := failed // if check panics
	defer func() { g.end(a, outcome) }()
	ok, err := check()
	switch {
	case ok && err == nil:
		outcome = passed
	case ok, err != nil && ctx.Err() == nil:
		outcome = unknown
	}
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

// judge says what becomes of a waiting attempt.
func (g *Guard) judge(a *attempt, now time.Duration) verdict {
	wait := g.exhausted(a, now)
	switch {
	case wait > 0:
		return verdict{limited: &Limited{wait}}
	case !g.mayStart(a, now):
		return verdict{}
	}
	return verdict{may: true, rank: g.rank(a, now)}
}
