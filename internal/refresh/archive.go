package refresh

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Archive keeps good answers of servers beyond the end of the process. It is safe for concurrent use.
type Archive interface {
	// Open reports whether answers are kept now.
	Open() bool
	// Keep keeps an answer in place of an older one, and reports whether it is kept. It may take as long as ctx allows. An
	// answer without a body says that the server still has the one whose body has this hash. The archive logs its own
	// troubles.
	Keep(ctx context.Context, answer Answer) bool
	// Recall returns the answer that was kept for an address, without its hash. The error is ErrNoAnswer if there is none,
	// or if it cannot be had now. Any other error says what is wrong with it.
	Recall(ctx context.Context, address string) (Answer, error)
}

// Answer is a good answer of a server.
type Answer struct {
	Address string // that was asked
	Got     time.Time
	Body    []byte            // nil for one that has not changed
	Hash    [sha256.Size]byte // SHA-256 of the body
}

// ErrNoAnswer means that an Archive has no answer.
var ErrNoAnswer = errors.New("no answer was kept")

// errAhead means that an answer is from the future: the clock was set back since, and nobody knows how old it is.
var errAhead = errors.New("the clock was set back since they were fetched")

// Lasting is a Loader that can bring the document that an earlier process has loaded.
type Lasting[T any] interface {
	Loader[T]
	// Recall returns the document, and when it was loaded. It must pass all checks that a loaded one passes. The error is
	// ErrNoAnswer if there is none.
	Recall(ctx context.Context) (*T, time.Time, error)
}

// Bounds on the use of archives.
const (
	recallTime = 500 * time.Millisecond // requests may be waiting for the load that has failed
	keepTime   = 10 * time.Second
)

// recalled is the value of an earlier process, or why there is none that can be used.
type recalled[T any] struct {
	value  *T
	loaded time.Time
	err    error
}

// recall gets the value of an earlier process, if this one has never had any.
func (d *Document[T]) recall() (old recalled[T]) {
	lasting, can := d.loader.(Lasting[T])
	if !can || d.current.Load() != nil {
		return old
	}
	ctx, cancel := context.WithTimeout(d.ctx, recallTime)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			old = recalled[T]{err: fmt.Errorf("panic: %v", p)}
		}
	}()
	old.value, old.loaded, old.err = lasting.Recall(ctx)
	return old
}

// reuse makes the value of an earlier process the current one, for the time that it has left. The caller holds the
// lock.
func (d *Document[T]) reuse(old recalled[T]) {
	switch {
	case old.err != nil && !errors.Is(old.err, ErrNoAnswer):
		if why := old.err.Error(); why != d.unfit {
			d.unfit = why
			d.events.Add(Event[T]{Kind: Unfit, Err: old.err})
		}
	case old.err == nil && old.value != nil && time.Since(old.loaded) < d.timing.MaxStale:
		d.current.Store(&snapshot[T]{old.value, old.loaded, old.loaded.Add(d.timing.MaxStale)})
		d.events.Add(Event[T]{Kind: Recalled, Now: old.value, Loaded: old.loaded})
	}
}

// keep keeps what was loaded for later processes.
func (d *Document[T]) keep(keep func(context.Context)) {
	ctx, cancel := context.WithTimeout(d.ctx, keepTime)
	defer cancel()
	keep(ctx)
}

// archived is what a Resource knows of its last good answer in the archive.
type archived struct {
	hash    [sha256.Size]byte // of its body; zero, which is no hash, if the archive was not open
	pending *Answer           // is to be kept
	lost    atomic.Bool       // the archive does not have it: the next Get must bring the body
}

// archive notes a good answer for Keeping.
func (r *Resource) archive(a Answer) {
	known := &r.archived
	open := r.Archive != nil && r.Archive.Open()
	switch {
	case a.Body == nil && known.pending != nil:
		a.Body = known.pending.Body // it has not changed since
	case a.Body != nil && open:
		known.hash = sha256.Sum256(a.Body)
	case a.Body != nil:
		known.hash = [sha256.Size]byte{}
	}
	known.pending = nil
	if open {
		noted := Answer{a.Address, a.Got, a.Body, known.hash} // on the heap only here
		known.pending = &noted
	}
}

// Keeping returns what keeps the last good answer in the archive, for Outcome.Keep. It is nil if there is nothing to
// keep.
func (r *Resource) Keeping() func(context.Context) {
	if r.archived.pending == nil {
		return nil
	}
	answer := *r.archived.pending
	r.archived.pending = nil
	return func(ctx context.Context) {
		if !r.Archive.Keep(ctx, answer) {
			r.archived.lost.Store(true)
		}
	}
}

// Recall calls read with the answer that an earlier process has got from an address, and returns when that was. Its
// error is that of read, ErrNoAnswer, or says that the answer cannot be used.
func (r *Resource) Recall(ctx context.Context, url string, read func(body []byte) error) (got time.Time, err error) {
	if r.Archive == nil {
		return got, ErrNoAnswer
	}
	answer, err := r.Archive.Recall(ctx, url)
	if err != nil {
		return got, err
	}
	now := time.Now()
	age := now.Sub(answer.Got)
	if age < 0 {
		return got, errAhead
	}
	return now.Add(-age), read(answer.Body) // by the clock that nobody sets
}
