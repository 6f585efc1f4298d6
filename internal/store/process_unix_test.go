//go:build linux || darwin

package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

func init() {
	children["appends until it is killed"] = appendForever
	children["has a full disk"] = fillDisk
	children["holds the file"] = holdFile
}

// startChild runs a child, and returns what it prints.
func startChild(t *testing.T, name, path string) (*exec.Cmd, *bufio.Scanner, io.WriteCloser) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+name, pathVariable+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out), in
}

// must ends a child whose store does not do what it should.
func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// appendForever has several goroutines append, put and take, and prints what is acknowledged.
func appendForever(path string) {
	f, err := store.OpenFile(path, store.FileOptions{})
	must(err)
	ctx := context.Background()
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	race(func(i int) {
		for n := 0; ; n++ {
			key := fmt.Sprintf("%d-%d-%d", os.Getpid(), i, n)
			text := key + strings.Repeat("x", rand.IntN(2)*rand.IntN(3000))
			position, err := f.Append(ctx, "log", []byte(text), time.Time{})
			must(err)
			say("append %d %s", position.Lo, text)
			must(f.Put(ctx, key, []byte(key), time.Now().Add(time.Hour)))
			say("put %s", key)
			if n%2 == 0 {
				_, err := f.Take(ctx, key)
				must(err)
				say("take %s", key)
			}
		}
	})
}

// acknowledged is what children have said, in all rounds.
type acknowledged struct {
	appended map[uint64]string
	put      map[string]bool // whether it may be there
	taken    map[string]bool
}

func (a *acknowledged) hear(t *testing.T, line string) {
	t.Helper()
	words := strings.Fields(line)
	switch {
	case len(words) == 3 && words[0] == "append":
		var position uint64
		if _, err := fmt.Sscan(words[1], &position); err != nil {
			t.Fatal(err)
		}
		if before, twice := a.appended[position]; twice {
			t.Errorf("position %d of %.30q was that of %.30q", position, words[2], before)
		}
		a.appended[position] = words[2]
	case len(words) == 2 && words[0] == "put":
		a.put[words[1]] = true
	case len(words) == 2 && words[0] == "take":
		a.taken[words[1]] = true
	default:
		t.Fatalf("a child says %q", line)
	}
}

// check compares a store with what was acknowledged.
func (a *acknowledged) check(t *testing.T, s store.Store) {
	t.Helper()
	found := make(map[uint64]string)
	for after := (store.Position{}); ; {
		some, err := s.Read(t.Context(), "log", after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(some) == 0 {
			break
		}
		for _, r := range some {
			found[r.Position.Lo], after = string(r.Data), r.Position
		}
	}
	for position, text := range a.appended {
		if found[position] != text {
			t.Fatalf("record %d is %.30q, and was acknowledged as %.30q", position, found[position], text)
		}
	}
	for key := range a.put {
		value, err := s.Get(t.Context(), key)
		switch {
		case a.taken[key] && !errors.Is(err, store.ErrNotFound):
			t.Fatalf("a value that was taken is there again: %v", err)
		case a.taken[key]: // taken, and known to be
		case err == nil && string(value) != key:
			t.Fatalf("the value of %.30q is %.30q", key, value)
		case errors.Is(err, store.ErrNotFound) && !mayBeTaken(key):
			t.Fatalf("the value of %.30q is lost", key)
		case err != nil && !errors.Is(err, store.ErrNotFound):
			t.Fatal(err)
		}
	}
}

// mayBeTaken reports whether a child takes the value under a key: then it may be gone without that being said.
func mayBeTaken(key string) bool {
	var process, goroutine, number int
	_, err := fmt.Sscanf(key, "%d-%d-%d", &process, &goroutine, &number)
	return err != nil || number%2 == 0
}

func TestWhatIsAcknowledgedSurvivesAKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	all := &acknowledged{appended: make(map[uint64]string), put: make(map[string]bool), taken: make(map[string]bool)}
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	for range rounds {
		child, lines, _ := startChild(t, "appends until it is killed", path)
		until := 1 + rand.IntN(600)
		for n := 0; lines.Scan(); n++ {
			all.hear(t, lines.Text())
			if n == until {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := child.Wait(); err == nil || child.ProcessState.Exited() {
			t.Fatalf("the child has ended by itself: %v", err)
		}
		f := openFile(t, path)
		all.check(t, f)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d records and %d values were acknowledged, %d were taken", len(all.appended), len(all.put), len(all.taken))
}

// fillDisk appends until the file may not grow any more, then until it may again.
func fillDisk(path string) {
	signal.Ignore(syscall.SIGXFSZ)
	f, err := store.OpenFile(path, store.FileOptions{})
	must(err)
	ctx, record, written := context.Background(), []byte(strings.Repeat("r", 20_000)), 0
	add := func() error {
		_, err := f.Append(ctx, "log", fmt.Appendf(nil, "%d %s", written, record), time.Time{})
		if err == nil {
			written++
		}
		return err
	}
	for range 20 {
		must(add())
	}
	var before syscall.Rlimit
	must(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
	for _, grace := range []int64{1 << 20, 1 << 18, 0} {
		info, err := os.Stat(path)
		must(err)
		low := before
		low.Cur = uint64(info.Size() + grace)
		must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low))
		for err = nil; err == nil; {
			err = add()
		}
		if !errors.Is(err, syscall.EFBIG) || errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), path) {
			must(fmt.Errorf("the limit makes appending fail with: %w", err))
		}
		if err := add(); !errors.Is(err, syscall.EFBIG) {
			must(fmt.Errorf("the second time it fails with: %w", err))
		}
		_, err = f.Take(ctx, "none")
		if !errors.Is(err, store.ErrNotFound) {
			must(fmt.Errorf("reading fails with: %w", err))
		}
		must(countRecords(f, written))
		must(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before))
		for range 20 {
			must(add())
		}
	}
	must(countRecords(f, written))
	must(f.Close())
	fmt.Println(written)
}

// countRecords returns an error if the log has other records than those that were acknowledged.
func countRecords(f *store.File, want int) error {
	n := 0
	for after := (store.Position{}); ; {
		some, err := f.Read(context.Background(), "log", after, 1000)
		if err != nil {
			return err
		}
		if len(some) == 0 {
			break
		}
		for _, r := range some {
			if !strings.HasPrefix(string(r.Data), fmt.Sprint(n, " ")) {
				return fmt.Errorf("record %d is %.20q", n, r.Data)
			}
			after, n = r.Position, n+1
		}
	}
	if n != want {
		return fmt.Errorf("the log has %d records, and %d were acknowledged", n, want)
	}
	return nil
}

func TestAFullDisk(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	child, lines, _ := startChild(t, "has a full disk", path)
	if !lines.Scan() {
		t.Fatalf("the child has failed: %v", child.Wait())
	}
	var written int
	if _, err := fmt.Sscan(lines.Text(), &written); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := countRecords(openFile(t, path), written); err != nil {
		t.Error(err)
	}
}

// holdFile keeps a store open until its input ends.
func holdFile(path string) {
	f, err := store.OpenFile(path, store.FileOptions{})
	must(err)
	fmt.Println("open")
	_, err = io.Copy(io.Discard, os.Stdin)
	must(errors.Join(err, f.Close()))
}

func TestAnotherProcessHoldsTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	child, lines, in := startChild(t, "holds the file", path)
	if !lines.Scan() || lines.Text() != "open" {
		t.Fatalf("the child says %q", lines.Text())
	}
	_, err := store.OpenFile(path, store.FileOptions{LockTimeout: time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "another process uses the store in "+path) {
		t.Errorf("two processes use the file: %v", err)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	openFile(t, path)
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
}
