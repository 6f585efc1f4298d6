package pool

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
)

// Leases are the leases of one module of a configuration, one after the other. T is what the module makes of the
// objects of a lease, such as a gate.
//
// Begin opens the first. Caddy does not wait for requests when it ends a configuration, so this lease lasts until End
// and until all requests that hold it have their verdicts.
//
// A request may come even later: when another handler has delayed it, or when the module is in an error route or runs
// after the answer of a backend. It opens the same objects again, and usually finds them in the pool, because the new
// configuration has them too. That lease lasts until its verdict.
type Leases[T any] struct {
	pool    *Pool
	open    func(*Lease) (T, error)
	report  func(error)
	current atomic.Pointer[Held[T]]
	ours    *Held[T]   // held by the configuration until End
	late    sync.Mutex // so that one late request opens for all
}

// Held is an open lease with what was made of it. Its configuration holds it until the end, and each request until its
// verdict. The last one to let go closes it.
//
// A request must not hold it while the next handler runs: a WebSocket would keep key sources open for days.
type Held[T any] struct {
	Lease
	Value T

	report  func(error)
	holders atomic.Int64 // below zero once closed
}

// closed is where a closed lease counts its holders from, so low that no number of them makes it look open.
const closed = math.MinInt64 / 2

// Begin opens the lease of a configuration, which End ends. If open fails, Begin gives back what it has taken. open is
// called again for requests that come after the end. report gets errors of closing that no caller sees.
func Begin[T any](p *Pool, open func(*Lease) (T, error), report func(error)) (*Leases[T], error) {
	ls := &Leases[T]{pool: p, open: open, report: report}
	ours, err := ls.lease(false)
	if err != nil {
		return nil, err
	}
	ls.ours = ours
	return ls, nil
}

// lease opens a lease and makes it the current one. The caller holds it.
func (ls *Leases[T]) lease(late bool) (*Held[T], error) {
	held := &Held[T]{Lease: Lease{pool: ls.pool, late: late}, report: ls.report}
	if before := ls.current.Load(); before != nil {
		held.guest = before.guest
	}
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

// Holders is the number of holders of the current lease: the configuration and requests.
func (ls *Leases[T]) Holders() int64 { return ls.current.Load().holders.Load() }

// End lets go of what the configuration holds, and closes it if no request holds it. It may be called twice, and on
// nil, the Leases of a configuration that never began.
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

// Hold returns a lease that stays open until LetGo. It takes no lock while the configuration is in force. It fails only
// after the end, if something cannot be opened again.
func (ls *Leases[T]) Hold() (*Held[T], error) {
	if current := ls.current.Load(); current.hold() {
		return current, nil
	}
	return ls.reopen()
}

// reopen is Hold for a late request.
func (ls *Leases[T]) reopen() (*Held[T], error) {
	ls.late.Lock()
	defer ls.late.Unlock()
	if current := ls.current.Load(); current.hold() {
		return current, nil
	}
	return ls.lease(true)
}

// LetGo ends Hold. If the caller is the last holder, the lease is closed in the background.
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

// hold reports whether the lease is open. If so, it stays open until letGo.
func (h *Held[T]) hold() bool {
	if h.holders.Add(1) > 0 {
		return true
	}
	h.holders.Add(-1)
	return false
}

// letGo reports whether the caller was the last holder, who must close the lease. Exactly one caller is: a holder that
// comes before the lease is marked as closed keeps it open.
func (h *Held[T]) letGo() (last bool) {
	return h.holders.Add(-1) == 0 && h.holders.CompareAndSwap(0, closed)
}
