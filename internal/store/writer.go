package store

import (
	"context"
	"errors"
	"runtime/debug"

	"go.etcd.io/bbolt"
)

// Bounds of what one transaction takes, so that nobody waits for long and memory has a bound.
const (
	mostRequests     = 256
	mostRequestBytes = 4 << 20
)

// request is a change that waits for the writer.
type request struct {
	size   int                 // bytes of what it writes
	run    func(*ledger) error // an error fails the transaction for all requests in it
	answer func(error)         // is called once, when the transaction is durable or has failed; never waits
}

// change has the writer make a change, and returns when it is durable. The function runs in another goroutine, also
// when the context has ended in the meantime: it owns all that it uses.
func change[T any](ctx context.Context, f *File, size int, do func(*ledger) (T, error)) (T, error) {
	var value T
	done := make(chan outcome[T], 1)
	r := &request{
		size: size,
		run: func(l *ledger) (err error) {
			value, err = do(l)
			return err
		},
		answer: func(err error) { done <- outcome[T]{value, err} },
	}
	select {
	case f.requests <- r:
		return result(ctx, f, done)
	case <-f.closing:
		return *new(T), ErrClosed
	case <-f.broken:
		return *new(T), f.trouble
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
}

// outcome is what a function that ran in another goroutine has returned.
type outcome[T any] struct {
	value T
	err   error
}

// result waits for an outcome. A store that is broken may never have one. An outcome that is there counts, also when
// the context ends at the same time, so that what was taken is not lost without need.
func result[T any](ctx context.Context, f *File, done <-chan outcome[T]) (T, error) {
	var err error
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-f.broken:
		err = f.trouble
	}
	select {
	case o := <-done:
		return o.value, o.err
	default:
		return *new(T), err
	}
}

// wait waits for a bell.
func wait(ctx context.Context, f *File, rung <-chan struct{}) error {
	select {
	case <-rung:
		return nil
	case <-f.closing:
		return ErrClosed
	case <-f.broken:
		return f.trouble
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write is the goroutine of the writer. While one transaction is synced, requests wait, and all of them share the next
// one. So a single writer never waits for others, and many share each sync. Bbolt's own Batch would run a function
// twice, wait without need, and commit in a goroutine in which a fault ends the process.
func (f *File) write() {
	defer close(f.written)
	for {
		select {
		case first := <-f.requests:
			f.commit(f.gather(first))
		case <-f.closing:
			return
		case <-f.broken:
			return
		}
	}
}

// gather takes the requests that wait at this moment.
func (f *File) gather(first *request) []*request {
	all, size := []*request{first}, first.size
	for len(all) < mostRequests && size < mostRequestBytes {
		select {
		case r := <-f.requests:
			all, size = append(all, r), size+r.size
		default:
			return all
		}
	}
	return all
}

// commit makes the changes of all requests in one transaction.
func (f *File) commit(all []*request) {
	var grown map[string]struct{}
	err := f.inPlace()
	if err == nil {
		grown, err = f.transact(all)
	}
	if err == nil {
		for log := range grown {
			f.bells.ring(log)
		}
	}
	for _, r := range all {
		r.answer(err)
	}
}

// transact makes the changes of all requests. It returns the logs that have got records.
func (f *File) transact(all []*request) (grown map[string]struct{}, err error) {
	err = f.protect(func() error {
		if err := f.whole(); err != nil {
			return err
		}
		return f.db.Update(func(tx *bbolt.Tx) error {
			l, err := f.run(tx, all)
			if err == nil {
				grown = l.grown
			}
			return err
		})
	})
	if errors.Is(err, errUnchanged) {
		err = nil
	}
	return grown, f.judge(err)
}

// errUnchanged rolls a transaction back that has changed nothing: what strangers ask for in vain costs no sync.
var errUnchanged = errors.New("nothing to write")

func (f *File) run(tx *bbolt.Tx, all []*request) (*ledger, error) {
	f.needed.Store(tx.Size())
	if err := f.whole(); err != nil {
		return nil, err
	}
	l, err := open(tx)
	for _, r := range all {
		if err == nil {
			err = r.run(l)
		}
	}
	switch {
	case err != nil:
		return nil, damaged(f.path, err)
	case !l.changed:
		return nil, errUnchanged
	}
	return l, damaged(f.path, l.close())
}

// view reads in a goroutine of its own, because a fault in bbolt may leave its locks locked: others that wait for them
// would wait forever, and only their goroutines may do so. Their number is bounded.
func view[T any](ctx context.Context, f *File, do func(*ledger) (T, error)) (T, error) {
	select {
	case f.reading <- struct{}{}:
	case <-f.closing:
		return *new(T), ErrClosed
	case <-f.broken:
		return *new(T), f.trouble
	case <-ctx.Done():
		return *new(T), ctx.Err()
	}
	done := make(chan outcome[T], 1)
	go func() {
		defer func() { <-f.reading }()
		var o outcome[T]
		o.err = f.judge(f.protect(func() error {
			if err := f.whole(); err != nil {
				return err
			}
			return f.db.View(func(tx *bbolt.Tx) error {
				l, err := open(tx)
				if err == nil {
					o.value, err = do(l)
				}
				return damaged(f.path, err)
			})
		}))
		done <- o
	}()
	return result(ctx, f, done)
}

// protect runs a function that reads the mapped file. If the file has become shorter, or its pages are nonsense, bbolt
// faults or panics: that is an error, after which nothing of bbolt can be used.
func (f *File) protect(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if reason := recover(); reason != nil {
			err = damaged(f.path, panicked(reason))
		}
	}()
	return do()
}
