package tenant

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/caddyjwt/gateway/internal/smallfile"
)

// File is a list of tenants in a file, which is read again when it changes. A file that becomes bad, or disappears,
// leaves the list as it was.
type File struct {
	logger  *slog.Logger
	current atomic.Pointer[Set]
	file    *smallfile.Follower
	changed atomic.Bool // the watchers do not know yet

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
	f := &File{logger: logger.With("file", path), watchers: make(map[*watcher]struct{})}
	var err error
	f.file, err = smallfile.Follow(smallfile.Watch{Path: path}, smallfile.Use{
		Take: f.take, Trouble: f.tell, Looked: f.tellWatchers,
	})
	if err != nil {
		return nil, fmt.Errorf("tenants file %s: %w", path, err)
	}
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
	f.file.Close()
	return nil
}

// Destruct implements caddy.Destructor, which package pool needs.
func (f *File) Destruct() error { return f.Close() }

// take makes the content the current list.
func (f *File) take(data []byte) error {
	set, err := ParseSet(data)
	if err != nil {
		return err
	}
	if old := f.current.Swap(set); old != nil {
		f.changed.Store(true)
		f.logger.Info("the list of tenants has changed", "tenants", set.Len(), "before", old.Len())
	}
	return nil
}

func (f *File) tell(err error) {
	if err != nil {
		f.logger.Warn("the list of tenants cannot be read again, and stays as it was", "error", err)
	} else {
		f.logger.Info("the list of tenants can be read again")
	}
}

func (f *File) tellWatchers() {
	if !f.changed.Swap(false) {
		return
	}
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
