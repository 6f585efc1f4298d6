package keyset

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/certchain"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/refresh"
	"github.com/caddyjwt/gateway/internal/smallfile"
)

// File is a source of keys in a file.
type File struct {
	path    string
	taken   Selection
	notify  *notifier
	events  *refresh.Queue[Event]
	current atomic.Pointer[static]
	told    told
	ca      *certchain.Authorities // nil unless only keys with certificates count
	file    *smallfile.Follower
	since   time.Time // when the file has become unusable; zero when it is not
}

var _ Source = (*File)(nil)

// NewFile makes a source of the keys in a file, in any of the forms that ParseKeys reads. The file must exist and be
// usable. Later changes take effect by themselves. When the file becomes unusable or disappears, the keys from before
// stay. When a certificate expires, all keys of the file go with it; with Selection.CA, only its own key goes. The
// logger gets changes of state; nil for none.
func NewFile(path string, taken Selection, logger *slog.Logger) (*File, error) {
	if err := taken.check(); err != nil {
		return nil, err
	}
	f := &File{path: path, taken: taken, notify: newNotifier(logger, path)}
	f.events = refresh.NewQueue(f.notify.tell)
	var err error
	if len(taken.CA) > 0 {
		if f.ca, err = certchain.Follow(taken.CA, f.notify.logger, f.lookAtCertificates); err != nil {
			return nil, err
		}
	}
	f.file, err = smallfile.Follow(smallfile.Watch{Path: path}, smallfile.Use{
		Take: f.take, Trouble: f.tell, Looked: f.events.Deliver,
		Retry: true, // a certificate in it may have become valid
	})
	if err != nil {
		f.ca.Close()
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	f.events.Deliver()
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
	if err := f.file.Err(); err != nil {
		return err
	}
	if err := f.ca.Err(); err != nil {
		return err
	}
	s := f.current.Load()
	switch {
	case s == nil:
		return nil
	case s.Current() == nil:
		return s.expiry()
	}
	return s.set.certificateErr()
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
	f.file.Close()
	f.ca.Close()
	f.current.Store(nil)
	return nil
}

// take makes the keys in the content the current ones.
func (f *File) take(data []byte) error {
	d, err := readKeys(data, f.taken, time.Now())
	if err != nil {
		return err
	}
	set, err := d.set(f.ca)
	if err != nil {
		return err
	}
	now := set.inForce()
	event := Event{Kind: Ready, Source: f.path, Keys: now.Len(), Skipped: now.skipped()}
	var before *Set
	if old := f.current.Load(); old != nil {
		f.tell(nil)
		event.Kind, before = KeysChanged, old.set
	}
	f.current.Store(newStatic(set, d.expires))
	added, removed := f.told.move(set)
	if event.Kind == KeysChanged {
		event.Added, event.Removed = added, removed
	}
	if event.Kind == Ready || len(added)+len(removed) > 0 {
		f.events.Add(event)
	}
	if set.cutSince(before) {
		f.events.Add(Event{Kind: KeysLeftOut, Source: f.path, Keys: now.Len(), Skipped: now.skipped()})
	}
	return nil
}

// lookAtCertificates reports keys that have come or gone without a change of the file.
func (f *File) lookAtCertificates() {
	if s := f.current.Load(); s != nil {
		if event, is := f.told.look(s.set); is {
			event.Source = f.path
			f.events.Add(event)
		}
	}
	f.events.Deliver()
}

// tell reports when the file becomes unusable, and when that is over.
func (f *File) tell(err error) {
	switch {
	case err == nil && !f.since.IsZero():
		f.events.Add(Event{Kind: Recovered, Source: f.path, Keys: f.Current().Len(), Since: time.Since(f.since)})
		f.since = time.Time{}
	case err != nil && f.since.IsZero():
		f.events.Add(Event{Kind: Failing, Source: f.path, Keys: f.Current().Len(), Err: err})
		f.since = time.Now()
	}
}
