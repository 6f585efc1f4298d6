package store

import (
	"bytes"
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// File is a Store in one file, which survives the process and the machine.
type File struct {
	path  string
	db    *bbolt.DB
	disk  *os.File // the open file of db
	bells bells

	needed   atomic.Int64  // bytes that the file has at least
	requests chan *request // to the writer
	written  chan struct{} // closed when the writer has ended
	reading  chan struct{} // one element for each reader

	closing   chan struct{} // closed when Close begins
	closeOnce sync.Once
	closeErr  error

	broken    chan struct{} // closed when the file can no longer be used
	breakOnce sync.Once
	trouble   error // why; set before broken is closed
}

// FileOptions are the settings of a File. The zero value is good.
type FileOptions struct {
	// LockTimeout is how long to wait for another process that uses the file; 5 seconds if it is zero.
	LockTimeout time.Duration
}

// mostReaders is how many goroutines read a file at a time. More of them wait.
const mostReaders = 64

// OpenFile opens the Store in a file, and makes the file and its directory if they are missing. It reads the whole file
// and checks that nothing is lost or changed: the error wraps ErrCorrupt if something is.
func OpenFile(path string, o FileOptions) (*File, error) {
	if o.LockTimeout == 0 {
		o.LockTimeout = 5 * time.Second
	}
	if err := createFile(path); err != nil {
		return nil, err
	}
	f := &File{
		path:     path,
		requests: make(chan *request),
		written:  make(chan struct{}),
		reading:  make(chan struct{}, mostReaders),
		closing:  make(chan struct{}),
		broken:   make(chan struct{}),
	}
	if err := f.openVerified(o.LockTimeout); err != nil {
		return nil, err
	}
	go f.write()
	return f, nil
}

// usable returns the error of a store that is closed or broken.
func (f *File) usable() error {
	select {
	case <-f.closing:
		return ErrClosed
	default:
	}
	select {
	case <-f.broken:
		return f.trouble
	default:
		return nil
	}
}

// ready is check for a file.
func (f *File) ready(ctx context.Context, key string, contents ...[]byte) error {
	if err := f.usable(); err != nil {
		return err
	}
	return CheckArguments(ctx, key, contents...)
}

// Put implements Store.
func (f *File) Put(ctx context.Context, key string, value []byte, expires time.Time) error {
	if err := f.ready(ctx, key, value); err != nil {
		return err
	}
	value = copied(value)
	_, err := change(ctx, f, len(value), func(l *ledger) (struct{}, error) {
		return struct{}{}, l.put(values, userKey(key), Millis(expires), value)
	})
	return err
}

// Get implements Store.
func (f *File) Get(ctx context.Context, key string) ([]byte, error) {
	if err := f.ready(ctx, key); err != nil {
		return nil, err
	}
	return found(view(ctx, f, func(l *ledger) ([]byte, error) { return l.value(key) }))
}

// Take implements Store.
func (f *File) Take(ctx context.Context, key string) ([]byte, error) {
	if err := f.ready(ctx, key); err != nil {
		return nil, err
	}
	return found(change(ctx, f, 0, func(l *ledger) ([]byte, error) {
		value, err := l.value(key)
		if err != nil || value == nil {
			return nil, err
		}
		return value, l.remove(values, userKey(key))
	}))
}

// found makes ErrNotFound of a value that is nil.
func found(value []byte, err error) ([]byte, error) {
	if err == nil && value == nil {
		return nil, ErrNotFound
	}
	return value, err
}

// Swap implements Store.
func (f *File) Swap(ctx context.Context, key string, old, fresh []byte, expires time.Time) (bool, error) {
	if err := f.ready(ctx, key, old, fresh); err != nil {
		return false, err
	}
	old, fresh = bytes.Clone(old), bytes.Clone(fresh)
	return change(ctx, f, len(fresh), func(l *ledger) (bool, error) {
		value, err := l.value(key)
		if err != nil || (value == nil) != (old == nil) || !bytes.Equal(value, old) {
			return false, err
		}
		if fresh == nil {
			return true, l.remove(values, userKey(key))
		}
		return true, l.put(values, userKey(key), Millis(expires), fresh)
	})
}

// Append implements Store.
func (f *File) Append(ctx context.Context, log string, record []byte, expires time.Time) (Position, error) {
	if err := f.ready(ctx, log, record); err != nil {
		return Position{}, err
	}
	record = copied(record)
	return change(ctx, f, len(record), func(l *ledger) (Position, error) {
		position, err := l.append(log, record, Millis(expires))
		return Position{Lo: position}, err
	})
}

// Read implements Store.
func (f *File) Read(ctx context.Context, log string, after Position, limit int) ([]Record, error) {
	if err := f.ready(ctx, log); err != nil {
		return nil, err
	}
	a, err := newAnswer(limit)
	if err != nil || after.Hi > 0 {
		return nil, err
	}
	return view(ctx, f, func(l *ledger) ([]Record, error) {
		err := l.read(log, after.Lo, &a)
		return a.records, err
	})
}

// Wait implements Store.
func (f *File) Wait(ctx context.Context, log string, after Position) error {
	for {
		rung, leave := f.bells.listen(log)
		found, err := f.Read(ctx, log, after, 1)
		if err == nil && len(found) == 0 {
			err = wait(ctx, f, rung)
		}
		leave()
		if err != nil || len(found) > 0 {
			return err
		}
	}
}

// Sweep implements Store.
func (f *File) Sweep(ctx context.Context, now time.Time) error {
	for {
		if err := f.ready(ctx, ""); err != nil {
			return err
		}
		gone, err := change(ctx, f, 0, func(l *ledger) (int, error) { return l.sweep(now.UnixMilli()) })
		if err != nil || gone < sweepStep {
			return err
		}
	}
}

// Close implements Store. It waits for methods that are running. In a store that is broken, some of them may never end:
// then it waits only a few seconds for the writer.
func (f *File) Close() error {
	f.closeOnce.Do(func() {
		close(f.closing)
		f.closeErr = f.release()
	})
	return f.closeErr
}
