package smallfile_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyjwt/gateway/internal/smallfile"
)

// follows is a follower that takes texts that begin with "good", and what it has called since somebody asked.
type follows struct {
	*smallfile.Follower
	path string

	mu    sync.Mutex
	bad   bool // even good texts are refused
	calls []string
}

// take gives the calls, and forgets them.
func (f *follows) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

func (f *follows) refuse(bad bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bad = bad
}

func (f *follows) use() smallfile.Use {
	return smallfile.Use{
		Take: func(data []byte) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.calls = append(f.calls, "take "+string(data))
			switch text := string(data); {
			case strings.HasPrefix(text, "panic"):
				panic(text)
			case f.bad, !strings.HasPrefix(text, "good"):
				return fmt.Errorf("it has %d bytes", len(text))
			}
			return nil
		},
		Trouble: func(err error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.calls = append(f.calls, fmt.Sprint("trouble ", err))
		},
	}
}

// sees lets time pass and wants these calls.
func (f *follows) sees(t *testing.T, when string, calls ...string) {
	t.Helper()
	time.Sleep(10 * time.Second)
	synctest.Wait()
	if got := f.take(); !slices.Equal(got, calls) {
		t.Errorf("%s: %q, want %q", when, got, calls)
	}
}

func follow(t *testing.T, change func(*smallfile.Use)) *follows {
	t.Helper()
	f := &follows{path: filepath.Join(t.TempDir(), "file")}
	write(t, f.path, "good 1")
	use := f.use()
	change(&use)
	var err error
	if f.Follower, err = smallfile.Follow(smallfile.Watch{Path: f.path}, use); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looked atomic.Int64
		f := follow(t, func(use *smallfile.Use) { use.Looked = func() { looked.Add(1) } })
		f.sees(t, "at the start", "take good 1")
		f.sees(t, "without a change")
		write(t, f.path, "good 2")
		f.sees(t, "after a change", "take good 2")
		write(t, f.path, "bad")
		f.sees(t, "when it is bad", "take bad", "trouble it has 3 bytes")
		f.sees(t, "while it stays bad")
		if err := f.Err(); err == nil || err.Error() != "it has 3 bytes" {
			t.Errorf("error %v", err)
		}
		write(t, f.path, "BAD")
		f.sees(t, "when it is bad in the same way", "take BAD")
		write(t, f.path, "good 2")
		f.sees(t, "when it is as it was when it was last used", "trouble <nil>")
		write(t, f.path, "panic, secret")
		f.sees(t, "when the use of it panics", "take panic, secret", "trouble panic while reading it")
		write(t, f.path, "good 3")
		f.sees(t, "when it is good again", "take good 3", "trouble <nil>")
		if err := f.Err(); err != nil {
			t.Errorf("error %v", err)
		}
		aside, old := f.path+" aside", time.Now().Add(-time.Hour) // so old that its times prove that it is the same
		if err := os.Chtimes(f.path, old, old); err != nil {
			t.Fatal(err)
		}
		f.sees(t, "when only its time has changed")
		if err := os.Rename(f.path, aside); err != nil {
			t.Fatal(err)
		}
		f.sees(t, "when it is gone", fmt.Sprint("trouble ", smallfile.WithoutPath(statError(f.path))))
		if err := os.Rename(aside, f.path); err != nil {
			t.Fatal(err)
		}
		f.sees(t, "when the very same file is back", "trouble <nil>")
		if looked.Load() < 40 {
			t.Errorf("%d looks", looked.Load())
		}
		f.Close()
		write(t, f.path, "good 4")
		f.sees(t, "after the end")
	})
}

func statError(path string) error {
	_, err := os.Stat(path)
	return err
}

func TestFollowerWaitsForWhatIsHalfWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := follow(t, func(*smallfile.Use) {})
		f.take()
		time.Sleep(smallfile.Interval - time.Millisecond)
		for _, text := range []string{"", "go", "good", "good 2"} { // one look each, and none sees a text twice
			write(t, f.path, text)
			time.Sleep(smallfile.Settle)
		}
		synctest.Wait()
		if got := f.take(); len(got) != 0 {
			t.Errorf("%q", got)
		}
		f.sees(t, "in the end", "take good 2")
	})
}

func TestFollowerTriesRefusedContentAgain(t *testing.T) {
	for name, retry := range map[string]bool{"when somebody asks": false, "by itself": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := follow(t, func(use *smallfile.Use) { use.Retry = retry })
				f.take()
				f.refuse(true)
				write(t, f.path, "good 2")
				time.Sleep(10 * time.Second)
				synctest.Wait()
				f.refuse(false)
				if got := f.take(); len(got) < 2 || f.Err() == nil {
					t.Fatalf("%q, error %v", got, f.Err())
				}
				if !retry {
					f.sees(t, "unasked")
					f.Again()
				}
				f.sees(t, "when it has become good", "take good 2", "trouble <nil>")
			})
		})
	}
}

func TestFollowWantsAGoodFile(t *testing.T) {
	dir, f := t.TempDir(), new(follows)
	bad := filepath.Join(dir, "bad")
	write(t, bad, "bad")
	if _, err := smallfile.Follow(smallfile.Watch{Path: bad}, f.use()); err == nil || err.Error() != "it has 3 bytes" {
		t.Errorf("a bad one: %v", err)
	}
	missing := filepath.Join(dir, "missing")
	if _, err := smallfile.Follow(smallfile.Watch{Path: missing}, f.use()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing one: %v", err)
	}
	if _, err := smallfile.Follow(smallfile.Watch{Path: dir}, f.use()); err == nil {
		t.Error("a directory is followed")
	}
}
