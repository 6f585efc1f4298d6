package keyset

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/refresh"
	"github.com/caddyjwt/gateway/internal/smallfile"
)

// pollInterval is how often to check whether a file has changed.
const pollInterval = 2 * time.Second

// File is a source of keys in a file.
type File struct {
	path    string
	taken   Selection
	notify  *notifier
	events  *refresh.Queue[Event]
	current atomic.Pointer[static]
	trouble atomic.Pointer[error] // why the file cannot be used now, nil when it can

	mu      sync.Mutex // held while the file is read
	closed  bool
	timer   *time.Timer
	failing bool
	since   time.Time
	watch   smallfile.Watch
	content [sha256.Size]byte // hash of what the current set was made from
}

var _ Source = (*File)(nil)

// NewFile makes a source of the keys in a file, in any of the forms that ParseKeys reads. The file must exist and be
// usable. Later changes take effect by themselves. When the file becomes unusable or disappears, the keys from before
// stay. When a certificate expires, all keys of the file go with it. The logger gets changes of state; nil for none.
func NewFile(path string, taken Selection, logger *slog.Logger) (*File, error) {
	if err := taken.check(); err != nil {
		return nil, err
	}
	f := &File{path: path, taken: taken, notify: newNotifier(logger, path), watch: smallfile.Watch{Path: path}}
	f.events = refresh.NewQueue(f.notify.tell)
	content, err := f.watch.Start(time.Now())
	if err == nil {
		err = f.take(content)
	}
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	f.events.Deliver()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.timer = time.AfterFunc(pollInterval, f.check)
	return f, nil
}

// SetObserver makes observe get every event from now on; nil ends that. It may call Close.
func (f *File) SetObserver(observe func(Event)) { f.notify.observe(observe) }

// Current implements Source.
func (f *File) Current() *Set {
	if s := f.current.Load(); s != nil {
		return s.Current()
	}
	return nil
}

// Err says why the file could not be used when it was last read, or that a certificate in it has expired; otherwise it
// is nil. It does not name the file, and never waits.
func (f *File) Err() error {
	if trouble := f.trouble.Load(); trouble != nil {
		return *trouble
	}
	if s := f.current.Load(); s != nil && s.Current() == nil {
		return s.expiry()
	}
	return nil
}

// Expires is when the first certificate in the file expires; zero without certificates, and once the file is closed.
func (f *File) Expires() time.Time {
	if s := f.current.Load(); s != nil {
		return s.Expires()
	}
	return time.Time{}
}

// Find implements Source. It never waits.
func (f *File) Find(ctx context.Context, alg jose.Algorithm, kid string) ([]*jose.Key, error) {
	if s := f.current.Load(); s != nil {
		return s.Find(ctx, alg, kid)
	}
	return nil, &UnavailableError{RetryAfter: time.Second, Err: refresh.ErrClosed}
}

// Close implements Source.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.timer.Stop()
	f.current.Store(nil)
	return nil
}

// check looks at the file. Changed content is used once it was the same twice in a row.
func (f *File) check() {
	f.mu.Lock()
	next := pollInterval
	if f.closed {
		f.mu.Unlock()
		return
	}
	changed, err := f.read()
	if err != nil {
		f.fail(err)
	} else if changed {
		next = smallfile.Settle
	}
	f.timer = time.AfterFunc(next, f.check)
	f.mu.Unlock()
	f.events.Deliver()
}

// read looks for new content, and takes it once it has settled. changed asks for another look soon. An unusable file is
// tried again each time: a certificate in it may have become valid.
func (f *File) read() (changed bool, err error) {
	if f.failing {
		f.watch.Forget()
	}
	content, err := f.watch.Look(time.Now())
	switch {
	case err != nil, content == nil:
		return false, err
	case !content.Settled:
		return content.Sum != f.content || f.failing, nil
	case content.Sum == f.content:
		f.recovered()
		return false, nil
	}
	return false, f.take(content)
}

// take makes the keys in the content the current ones. The caller holds the lock, or is the constructor.
func (f *File) take(content *smallfile.Content) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while reading keys: %v", p)
		}
	}()
	keys, skipped, expires, err := ParseKeys(content.Data, f.taken, time.Now())
	if err != nil {
		return err
	}
	set, err := newSet(keys, skipped)
	if err != nil {
		return err
	}
	var before *Set
	event := Event{Kind: Ready, Source: f.path, Keys: set.Len(), Skipped: skipped}
	if old := f.current.Load(); old != nil {
		f.recovered()
		event.Kind, before = KeysChanged, old.set
		event.Added, event.Removed = old.set.changes(set)
	}
	f.content = content.Sum
	f.current.Store(newStatic(set, expires))
	if event.Kind == Ready || len(event.Added)+len(event.Removed) > 0 {
		f.events.Add(event)
	}
	if set.cutSince(before) {
		f.events.Add(Event{Kind: KeysLeftOut, Source: f.path, Keys: set.Len(), Skipped: skipped})
	}
	return nil
}

// fail and recovered report when the file becomes unusable, and when that is over.
func (f *File) fail(err error) {
	f.trouble.Store(&err)
	if f.failing {
		return
	}
	f.failing, f.since = true, time.Now()
	f.events.Add(Event{Kind: Failing, Source: f.path, Keys: f.Current().Len(), Err: err})
}

func (f *File) recovered() {
	if !f.failing {
		return
	}
	f.failing = false
	f.trouble.Store(nil)
	f.events.Add(Event{Kind: Recovered, Source: f.path, Keys: f.Current().Len(), Since: time.Since(f.since)})
}
