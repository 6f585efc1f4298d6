package roster

import (
	"context"
	"crypto/sha256"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/smallfile"
)

// pollInterval is how often to check whether a file has changed.
const pollInterval = 2 * time.Second

// File is the consumers of a file, as they are now. It is safe for concurrent use, and several gates may share it.
type File struct {
	path    string
	logger  *slog.Logger
	current atomic.Pointer[Set]
	trouble atomic.Pointer[error] // why the file is not used as it is now, nil when it is
	stop    context.CancelFunc    // ends reading
	ctx     context.Context       //nolint:containedctx // the context is the life of the file

	reading sync.Mutex // held while the file is read and judged
	watch   smallfile.Watch
	refused [sha256.Size]byte // hash of the content that was refused last; zero if the file is used as it is

	mu      sync.Mutex        // held only for moments
	taken   [sha256.Size]byte // hash of what the current set was made from
	waiting *waiting          // nil unless only gates keep the content from being used
	closed  bool
	timer   *time.Timer
	guests  []*Guest
}

// waiting is content that is right, but that a gate does not accept. It waits for that gate to leave.
type waiting struct {
	set *Set
	sum [sha256.Size]byte
}

var _ consumer.Roster = (*File)(nil)

// Open reads a file of consumers. It must be usable. Later changes take effect by themselves; as long as the file is
// not usable, the consumers from before stay. The logger gets changes of state; nil for none.
func Open(path string, logger *slog.Logger) (*File, error) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	f := &File{path: path, logger: logger.With("file", path), watch: smallfile.Watch{Path: path, Max: MaxFile}}
	f.ctx, f.stop = context.WithCancel(context.Background())
	content, err := f.watch.Start(time.Now())
	if err == nil {
		var set *Set
		if set, err = Parse(f.ctx, content.Data, nil, time.Now()); err == nil {
			f.taken = content.Sum
			f.current.Store(set)
		}
	}
	if err != nil {
		f.stop()
		return nil, err
	}
	f.warn(f.current.Load())
	f.follow(pollInterval)
	return f, nil
}

// Reopen is a File that goes on where this one, which is closed, has ended. It does not fail: as long as the file
// cannot be used, the consumers from before stay. It reads the file only if that has changed.
func (f *File) Reopen() *File {
	f.reading.Lock()
	defer f.reading.Unlock()
	next := &File{path: f.path, logger: f.logger, watch: f.watch, refused: f.refused}
	f.mu.Lock()
	next.taken = f.taken
	f.mu.Unlock()
	next.current.Store(f.current.Load())
	next.trouble.Store(f.trouble.Load())
	next.ctx, next.stop = context.WithCancel(context.Background())
	next.look(true)
	next.follow(pollInterval)
	return next
}

// Read reads a file of consumers once. Its errors are those of Open.
func Read(path string) (*Set, error) {
	content, err := (&smallfile.Watch{Path: path, Max: MaxFile}).Start(time.Now())
	if err != nil {
		return nil, err
	}
	return Parse(context.Background(), content.Data, nil, time.Now())
}

// Set is the consumers as they are now.
func (f *File) Set() *Set { return f.current.Load() }

// Member implements consumer.Roster.
func (f *File) Member(key string) (*consumer.Consumer, *consumer.Credential) {
	return f.current.Load().Member(key)
}

// Consumer implements consumer.Roster.
func (f *File) Consumer(username string) *consumer.Consumer {
	return f.current.Load().Consumer(username)
}

// WithCustomID implements consumer.Roster.
func (f *File) WithCustomID(id string) *consumer.Consumer { return f.current.Load().WithCustomID(id) }

// UniqueCustomIDs implements consumer.Roster.
func (f *File) UniqueCustomIDs() error { return f.current.Load().UniqueCustomIDs() }

// Keys implements consumer.Roster.
func (f *File) Keys() iter.Seq[string] { return f.current.Load().Keys() }

// Len implements consumer.Roster.
func (f *File) Len() int { return f.current.Load().Len() }

// At implements consumer.Roster.
func (f *File) At(username string, err error) error { return f.current.Load().At(username, err) }

// Path is the path of the file.
func (f *File) Path() string { return f.path }

// Err says why the file is not used as it is now; nil if it is.
func (f *File) Err() error {
	if trouble := f.trouble.Load(); trouble != nil {
		return *trouble
	}
	return nil
}

// Refresh looks at the file at once, for a configuration that begins to use it. While somebody writes the file, it
// waits for a moment. It returns what is wrong with the file; nil if only gates keep its content from being used.
func (f *File) Refresh() error {
	f.reading.Lock()
	defer f.reading.Unlock()
	if f.Err() != nil { // the verdict may be another by now: a certificate may have begun
		f.watch.Forget()
		f.refused = [sha256.Size]byte{}
	}
	for range 8 {
		wait := f.look(false)
		if wait == pollInterval || f.ctx.Err() != nil {
			break
		}
		select {
		case <-time.After(wait):
		case <-f.ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting != nil {
		return nil
	}
	return f.Err()
}

// Close ends reading, and waits for its end. The consumers stay as they are.
func (f *File) Close() error {
	f.stop()
	f.mu.Lock()
	f.closed = true
	f.timer.Stop()
	f.mu.Unlock()
	f.reading.Lock()
	defer f.reading.Unlock()
	return nil
}

// follow looks at the file after a while, and again and again.
func (f *File) follow(after time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed {
		f.timer = time.AfterFunc(after, f.lookAndFollow)
	}
}

func (f *File) lookAndFollow() {
	f.reading.Lock()
	defer f.reading.Unlock()
	f.follow(f.look(false))
}

// look takes new content once it has settled, or at once. It returns how long to wait until the next look.
func (f *File) look(atOnce bool) time.Duration {
	content, err := f.watch.Look(time.Now())
	switch {
	case err != nil:
		f.watch.Forget() // the very same file may come back
		f.refuse([sha256.Size]byte{}, err)
	case content == nil:
	case f.has(content.Sum):
		f.recovered()
	case content.Sum == f.refused:
	case !content.Settled && !atOnce:
		return smallfile.Settle
	default:
		f.take(content)
	}
	return pollInterval
}

// has reports whether the current set was made from this content.
func (f *File) has(sum [sha256.Size]byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.taken == sum
}

// take makes the consumers in the content the current ones, for all gates or for none.
func (f *File) take(content *smallfile.Content) {
	set, err := f.parse(content.Data)
	switch {
	case f.ctx.Err() != nil:
	case err != nil:
		f.refuse(content.Sum, err)
	default:
		f.mu.Lock()
		defer f.mu.Unlock()
		if err := f.judge(set); err != nil {
			f.refused, f.waiting = content.Sum, &waiting{set, content.Sum}
			f.fail(err)
			return
		}
		f.refused = [sha256.Size]byte{}
		f.use(set, content.Sum)
	}
}

// refuse does not use the content with this hash, whatever gates say.
func (f *File) refuse(sum [sha256.Size]byte, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused, f.waiting = sum, nil
	f.fail(err)
}

// parse turns a panic into an error: without it, a file could end the process.
func (f *File) parse(data []byte) (set *Set, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("panic while reading the file")
		}
	}()
	return Parse(f.ctx, data, f.current.Load(), time.Now())
}

// use makes a set the current one. The caller holds mu.
func (f *File) use(set *Set, sum [sha256.Size]byte) {
	before := f.current.Load()
	f.taken, f.waiting = sum, nil
	f.current.Store(set)
	f.trouble.Store(nil)
	added, removed, changed := before.changes(set)
	f.logger.Info("the consumers of the file have changed",
		"consumers", len(set.consumers), "added", added, "removed", removed, "changed", changed)
	f.warn(set)
}

// warn names the first secrets that may not be random, and says how many more there are.
func (f *File) warn(set *Set) {
	named, all := set.Doubts()
	for _, d := range named {
		f.logger.Warn(jose.DoubtWarning(d.Why), "consumer", d.Username, "credential", d.Key)
	}
	if more := all - len(named); more > 0 {
		f.logger.Warn("more secrets of the file of consumers may not be random", "more", more)
	}
}

// fail reports why the file is not used, once for each change of what is wrong. The caller holds mu.
func (f *File) fail(err error) {
	if before := f.Err(); before != nil && before.Error() == err.Error() {
		return
	}
	f.trouble.Store(&err)
	attributes := []any{"error", err.Error(), "consumers", len(f.current.Load().consumers)}
	if at, ok := errors.AsType[*Error](err); ok {
		attributes = append(attributes, "line", at.Line)
	}
	f.logger.Error("the file of consumers cannot be used, so the consumers from before stay", attributes...)
}

// recovered notices that the file has again what is in use.
func (f *File) recovered() {
	f.refused = [sha256.Size]byte{}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = nil
	if f.trouble.Swap(nil) != nil {
		f.logger.Info("the file of consumers is as it was when it was last used",
			"consumers", len(f.current.Load().consumers))
	}
}
