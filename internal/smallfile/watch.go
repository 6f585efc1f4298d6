package smallfile

import (
	"cmp"
	"crypto/sha256"
	"os"
	"time"
)

const (
	// Settle is how long new content must stay the same before it counts, because a file may be half written.
	Settle = 250 * time.Millisecond

	// young is the age of a file below which its times prove nothing: two changes may have the same one.
	young = 4 * time.Second
)

// Watch notices that a file has changed, whether it was written again, replaced, or reached by a link that was. The
// zero value with a Path is ready to use. Only one goroutine may use it at a time.
type Watch struct {
	Path string
	Max  int64 // of its length, in bytes; 0 for the constant Max

	stat    os.FileInfo       // at the last look that has read the file; nil before
	seen    [sha256.Size]byte // what that look has read
	since   time.Time         // when it was read for the first time
	settled bool
}

// Content is what a file had when somebody looked.
type Content struct {
	Data []byte
	Sum  [sha256.Size]byte
	// Modified is when the file says that it was written.
	Modified time.Time
	// Settled reports that another look, at least Settle earlier, has seen the same.
	Settled bool
}

// Start reads the file, and takes the content as settled.
func (w *Watch) Start(now time.Time) (*Content, error) {
	content, err := w.read(now)
	if err != nil {
		return nil, err
	}
	w.settled, content.Settled = true, true
	return content, nil
}

// Look reads the file. The content is nil if it surely is the settled one of the look before.
func (w *Watch) Look(now time.Time) (*Content, error) {
	stat, err := os.Stat(w.Path)
	if err != nil {
		return nil, WithoutPath(err)
	}
	if w.settled && same(w.stat, stat) && now.Sub(stat.ModTime()) > young {
		return nil, nil
	}
	return w.read(now)
}

// Forget has the next Look read the file, even if it is as before.
func (w *Watch) Forget() { w.stat = nil }

func (w *Watch) read(now time.Time) (*Content, error) {
	data, stat, err := read(w.Path, cmp.Or(w.Max, Max))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	if sum != w.seen || w.since.IsZero() {
		w.seen, w.since, w.settled = sum, now, false
	} else if now.Sub(w.since) >= Settle {
		w.settled = true
	}
	w.stat = stat
	return &Content{data, sum, stat.ModTime(), w.settled}, nil
}

func same(a, b os.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
