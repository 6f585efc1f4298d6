package smallfile

import (
	"crypto/sha256"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Interval is how often a Follower looks whether its file has changed.
const Interval = 2 * time.Second

// Follower looks at a file again and again, and hands over new content once it has settled. As long as a file cannot be
// used, what was made of the content before stays in use. A Follower is safe for concurrent use.
type Follower struct {
	use     Use
	trouble atomic.Pointer[error] // nil while the file is used as it is
	again   atomic.Bool

	mu      sync.Mutex // held while the file is read and used
	closed  bool
	timer   *time.Timer
	watch   Watch
	taken   [sha256.Size]byte // hash of the content in use
	refused [sha256.Size]byte // hash of the content that Take has refused last
}

// Use says what becomes of a file's content. Take and Trouble are never called at the same time.
type Use struct {
	// Take uses the content. If it returns an error, it has changed nothing.
	Take func(data []byte) error
	// Trouble gets the reason why the file is not used as it is, whenever that changes; nil when the trouble is over. The
	// error does not name the file.
	Trouble func(err error)
	// Looked is called after each look, and may close the Follower. It may be nil.
	Looked func()
	// Retry has Take try refused content again at each look, because it may become good by itself, as a certificate does.
	Retry bool
}

// Follow reads a file and follows it. What the file has now must be good: the error is that of reading it, or that of
// Take. It does not name the file.
func Follow(watch Watch, use Use) (*Follower, error) {
	f := &Follower{use: use, watch: watch}
	content, err := f.watch.Start(time.Now())
	if err == nil {
		err = f.take(content)
	}
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.timer = time.AfterFunc(Interval, f.check)
	return f, nil
}

// Path is the path of the file.
func (f *Follower) Path() string { return f.watch.Path }

// Err says why the file is not used as it is; nil if it is. It never waits.
func (f *Follower) Err() error {
	if trouble := f.trouble.Load(); trouble != nil {
		return *trouble
	}
	return nil
}

// Again has Take try refused content once more at the next look: somebody's mind has changed about it.
func (f *Follower) Again() { f.again.Store(true) }

// Close ends the watch, and waits while the file is read.
func (f *Follower) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.timer.Stop()
}

// check looks at the file, and looks again later.
func (f *Follower) check() {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return
	}
	next := f.look(time.Now())
	f.timer = time.AfterFunc(next, f.check)
	f.mu.Unlock()
	if f.use.Looked != nil {
		f.use.Looked()
	}
}

// look returns how long to wait until the next look.
func (f *Follower) look(now time.Time) time.Duration {
	if again := f.again.Swap(false); f.Err() != nil && (again || f.use.Retry) {
		f.refused = [sha256.Size]byte{}
		f.watch.Forget()
	}
	content, err := f.watch.Look(now)
	switch {
	case err != nil:
		f.refused = [sha256.Size]byte{}
		f.watch.Forget() // or the same file would go unnoticed when it comes back
		f.tell(err)
	case content == nil, content.Sum == f.refused:
	case content.Sum == f.taken:
		f.tell(nil)
	case !content.Settled:
		return Settle
	default:
		if err := f.take(content); err != nil {
			f.refused = content.Sum
			f.tell(err)
		} else {
			f.tell(nil)
		}
	}
	return Interval
}

func (f *Follower) take(content *Content) (err error) {
	defer func() {
		if recover() != nil { // its value may quote the content, which may be secret
			err = errors.New("panic while reading it")
		}
	}()
	if err := f.use.Take(content.Data); err != nil {
		return err
	}
	f.taken = content.Sum
	return nil
}

// tell reports a change of the trouble. Nil stands for none.
func (f *Follower) tell(err error) {
	before := f.Err()
	switch {
	case err == nil && before == nil, err != nil && before != nil && err.Error() == before.Error():
		return
	case err == nil:
		f.trouble.Store(nil)
	default:
		f.trouble.Store(&err)
	}
	f.use.Trouble(err)
}
