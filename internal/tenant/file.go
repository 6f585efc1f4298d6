package tenant

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/smallfile"
)

// pollInterval is how often to check whether a file has changed.
const pollInterval = 2 * time.Second

// File is a list of tenants in a file, which is read again when it changes. A file that becomes bad, or disappears,
// leaves the list as it was.
type File struct {
	logger  *slog.Logger
	current atomic.Pointer[Set]

	mu      sync.Mutex // held while the file is read
	watch   smallfile.Watch
	used    [sha256.Size]byte // hash of what the current list was made from
	timer   *time.Timer
	closed  bool
	failing bool

	watching sync.Mutex
	watchers map[*watcher]struct{}
}

type watcher struct{ changed func() }

// OpenFile reads a list in the form that ParseSet reads. The file must be good now. The logger gets changes; nil for
// none.
func OpenFile(path string, logger *slog.Logger) (*File, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	f := &File{logger: logger, watch: smallfile.Watch{Path: path}, watchers: make(map[*watcher]struct{})}
	content, err := f.watch.Start(time.Now())
	var set *Set
	if err == nil {
		set, err = ParseSet(content.Data)
	}
	if err != nil {
		return nil, fmt.Errorf("tenants file %s: %w", path, err)
	}
	f.used = content.Sum
	f.current.Store(set)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.timer = time.AfterFunc(pollInterval, f.check)
	return f, nil
}

// Has implements List.
func (f *File) Has(tenant string) bool { return f.current.Load().Has(tenant) }

// Len implements List.
func (f *File) Len() int { return f.current.Load().Len() }

// First implements List.
func (f *File) First(n int) []string { return f.current.Load().First(n) }

// Watch has changed called after each change of the list, until end is called.
func (f *File) Watch(changed func()) (end func()) {
	w := &watcher{changed}
	f.watching.Lock()
	defer f.watching.Unlock()
	f.watchers[w] = struct{}{}
	return func() {
		f.watching.Lock()
		defer f.watching.Unlock()
		delete(f.watchers, w)
	}
}

// Close ends the watch of the file. The list stays as it is.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.timer.Stop()
	return nil
}

// Destruct implements caddy.Destructor, which package pool needs.
func (f *File) Destruct() error { return f.Close() }

// check looks at the file. New content is used once it has settled.
func (f *File) check() {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	next, changed := pollInterval, false
	content, err := f.watch.Look(time.Now())
	switch {
	case err != nil:
		f.fail(err)
		f.watch.Forget() // so that the same file is noticed when it comes back
	case content == nil: // as before
	case content.Sum == f.used:
		f.recovered()
	case !content.Settled:
		next = smallfile.Settle
	default:
		changed = f.take(content)
	}
	f.timer = time.AfterFunc(next, f.check)
	f.mu.Unlock()
	if changed {
		f.tell()
	}
}

// take makes the content the current list.
func (f *File) take(content *smallfile.Content) (changed bool) {
	set, err := ParseSet(content.Data)
	if err != nil {
		f.fail(err)
		return false
	}
	old := f.current.Swap(set)
	f.used = content.Sum
	f.recovered()
	f.logger.Info("the list of tenants has changed", "file", f.watch.Path, "tenants", set.Len(), "before", old.Len())
	return true
}

// fail and recovered log when the file becomes bad, and when that is over.
func (f *File) fail(err error) {
	if !f.failing {
		f.logger.Warn("the list of tenants cannot be read again, and stays as it was", "file", f.watch.Path, "error", err)
	}
	f.failing = true
}

func (f *File) recovered() {
	if f.failing {
		f.logger.Info("the list of tenants can be read again", "file", f.watch.Path)
	}
	f.failing = false
}

func (f *File) tell() {
	f.watching.Lock()
	var all []*watcher
	for w := range f.watchers {
		all = append(all, w)
	}
	f.watching.Unlock()
	for _, w := range all {
		w.changed()
	}
}
