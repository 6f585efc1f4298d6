package pool

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
)

// Leases are the leases of one module of a configuration, one after the other. T is what the module makes of what it
// has taken: a gate, for example.
//
// Begin opens the first. Caddy does not wait for requests when it ends a configuration. So this lease lasts until End,
// and then until the requests that hold it have their verdicts.
//
// A request may come later still: when another handler has held it up, or when the module is in an error route or
// behind the answer of a backend. It opens the same again, which mostly means to find it in the pool, because the new
// configuration has it too. That lease lasts until its verdict.
type Leases[T any] struct {
	pool    *Pool
	open    func(*Lease) (T, error)
	report  func(error)
	current atomic.Pointer[Held[T]]
	ours    *Held[T]   // held by the configuration
	late    sync.Mutex // one late request opens for all
}

// Held is an open lease with what was made of it. It is shared by those who may ask: by its configuration until the
// end, and by each request until its verdict. The last one who lets go closes it.
//
// A request that waits for the next handler must not hold it: a WebSocket would keep key sources busy for days.
type Held[T any] struct {
	Lease
	Value T

	report  func(error)
	holders atomic.Int64 // below zero when it is closed
}

// closed is where the holders of a closed lease are counted from: no number of them makes it open again.
const closed = math.MinInt64 / 2

// Begin opens the lease of a configuration, which is to end with End. When open fails, what it has taken is given back.
// open is called again for requests that come after the end. report gets errors of closing that nobody else sees.
func Begin[T any](p *Pool, open func(*Lease) (T, error), report func(error)) (*Leases[T], error) {
	ls := &Leases[T]{pool: p, open: open, report: report}
	ours, err := ls.lease(false)
	if err != nil {
		return nil, err
	}
	ls.ours = ours
	return ls, nil
}

// lease opens a lease, which its caller holds, and makes it the current one.
func (ls *Leases[T]) lease(late bool) (*Held[T], error) {
	held := &Held[T]{Lease: Lease{pool: ls.pool, late: late}, report: ls.report}
	value, err := ls.open(&held.Lease)
	if err != nil {
		return nil, errors.Join(err, held.close())
	}
	held.Value = value
	held.holders.Store(1)
	ls.current.Store(held)
	return held, nil
}

// Ours is the lease of the configuration, from Begin to End.
func (ls *Leases[T]) Ours() *Held[T] { return ls.ours }

// Holders is how many hold the current lease: the configuration and requests.
func (ls *Leases[T]) Holders() int64 { return ls.current.Load().holders.Load() }

// End lets go of what the configuration holds, and closes it if no request is waiting. It may be called twice, and on
// nil, which is what a configuration has that has never begun.
func (ls *Leases[T]) End() error {
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

// Hold gives an open lease, which stays open until LetGo. It takes no lock while the configuration is in force. It
// fails only after the end, with the error of what could not be opened again.
func (ls *Leases[T]) Hold() (*Held[T], error) {
	if current := ls.current.Load(); current.hold() {
		return current, nil
	}
	return ls.reopen()
}

// reopen is Hold for a request that comes late.
func (ls *Leases[T]) reopen() (*Held[T], error) {
	ls.late.Lock()
	defer ls.late.Unlock()
	if current := ls.current.Load(); current.hold() {
		return current, nil
	}
	return ls.lease(true)
}

// LetGo ends Hold. When the caller is the last holder, the lease is closed in the background.
func (h *Held[T]) LetGo() {
	if h.letGo() {
		go h.closeAndReport()
	}
}

func (h *Held[T]) closeAndReport() {
	if err := h.close(); err != nil {
		h.report(err)
	}
}

// hold reports whether the lease is open. Then it stays open until letGo.
func (h *Held[T]) hold() bool {
	if h.holders.Add(1) > 0 {
		return true
	}
	h.holders.Add(-1)
	return false
}

// letGo reports whether the caller was the last holder, who has to close the lease. Exactly one is: whoever takes hold
// before it is marked as closed keeps it open.
func (h *Held[T]) letGo() (last bool) {
	return h.holders.Add(-1) == 0 && h.holders.CompareAndSwap(0, closed)
}
