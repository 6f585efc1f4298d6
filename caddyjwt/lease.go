package caddyjwt

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
)

// lease is a gate and all that it asks, taken from the pool. It is held by those who may ask: by its configuration
// until Cleanup, and by each request until its verdict. Whoever lets go last closes it.
//
// A request that waits for the next handler does not hold it: a WebSocket would keep key sources busy for days.
type lease struct {
	gate    *gate.Gate
	holders atomic.Int64   // below zero when it is closed
	release []func() error // in the order in which things were taken
	sources []usedSource   // those that may tell of events
	late    bool           // opened again after its configuration has ended
}

// usedSource is a key source and the issuer whose keys it has here.
type usedSource struct {
	pooledSource
	issuer string
}

// leaseClosed is where the holders of a closed lease are counted from: no number of them makes it open again.
const leaseClosed = math.MinInt64 / 2

// hold reports whether the lease is open. Then it stays so until letGo.
func (l *lease) hold() bool {
	if l.holders.Add(1) > 0 {
		return true
	}
	l.holders.Add(-1)
	return false
}

// letGo reports whether the caller was the last, who has to close the lease. Exactly one is: whoever takes hold before
// it is marked as closed keeps it open.
func (l *lease) letGo() (last bool) {
	return l.holders.Add(-1) == 0 && l.holders.CompareAndSwap(0, leaseClosed)
}

// close gives back what was taken from the pool, the last first. An introspection client keeps the key source that it
// was made with, so whoever finds the client in the pool must find that source there, too.
func (l *lease) close() error {
	var errs []error
	for _, release := range slices.Backward(l.release) {
		errs = append(errs, release())
	}
	return wrap("releasing what outlives a configuration", errors.Join(errs...))
}

// leases are those of one handler, one after the other. The first is opened with the configuration. Caddy does not wait
// for requests when it ends a configuration, so this lease lasts until those that wait then have their verdicts.
//
// A request may come to the gate later still: when another handler has held it up, or when the gate is in an error
// route or behind the answer of a backend. It opens the same again, which mostly means to find it in the pool, for the
// new configuration has it too. That lease lasts until its verdict.
type leases struct {
	open    func(*lease) error
	current atomic.Pointer[lease]
	ours    *lease     // held by the configuration
	late    sync.Mutex // one late request opens for all
}

// begin opens the lease of the configuration. It has to be ended even when there is an error.
func (ls *leases) begin(open func(*lease) error) error {
	ls.open, ls.ours = open, new(lease)
	ls.ours.holders.Store(1)
	ls.current.Store(ls.ours)
	return open(ls.ours)
}

// end lets go of what the configuration holds, and closes it if no request is waiting. It may be called for a
// configuration that has never begun, and twice.
func (ls *leases) end() error {
	if ls == nil || ls.ours == nil {
		return nil
	}
	ours := ls.ours
	ls.ours = nil
	if !ours.letGo() {
		return nil
	}
	return ours.close()
}

// hold gives an open lease. It takes no lock while the configuration is in force.
func (ls *leases) hold() (*lease, error) {
	if current := ls.current.Load(); current.hold() {
		return current, nil
	}
	return ls.reopen()
}

// reopen is hold for a request that comes late.
func (ls *leases) reopen() (*lease, error) {
	ls.late.Lock()
	defer ls.late.Unlock()
	if current := ls.current.Load(); current.hold() {
		return current, nil
	}
	again := &lease{late: true}
	if err := ls.open(again); err != nil {
		return nil, errors.Join(err, again.close())
	}
	again.holders.Store(1)
	ls.current.Store(again)
	return again, nil
}

// ask puts a request to the gate, and holds what it asks until the verdict.
func (h *Handler) ask(r *http.Request) (gate.Verdict, error) {
	held, err := h.leases.hold()
	if err != nil {
		return gate.Verdict{}, fmt.Errorf("opening again what an ended configuration had: %w", err)
	}
	defer h.letGo(held)
	return held.gate.Check(gate.Request{HTTP: r, Facts: facts{r}})
}

// letGo is for a request that has its verdict. It does not wait for the lease to be closed.
func (h *Handler) letGo(held *lease) {
	if held.letGo() {
		go func() {
			if err := held.close(); err != nil {
				h.log.logger.Error(err.Error())
			}
		}()
	}
}

// lostSource stands for the keys of an ended configuration that cannot be opened again: their file has gone.
type lostSource struct{ err error }

func (lostSource) Current() *keyset.Set { return nil }
func (lostSource) Close() error         { return nil }
func (s lostSource) Find(context.Context, jose.Algorithm, string) ([]*jose.Key, error) {
	return nil, &keyset.UnavailableError{RetryAfter: time.Second, Err: s.err}
}
