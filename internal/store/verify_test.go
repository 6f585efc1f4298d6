package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// changes makes many changes of all kinds to a file.
func changes(t *testing.T, f *File, random *rand.Rand, many int) {
	t.Helper()
	ctx := t.Context()
	for range many {
		key := fmt.Sprint(random.IntN(400), strings.Repeat("k", random.IntN(100)*random.IntN(2)))
		value := make([]byte, random.IntN(300)*max(1, random.IntN(40)-30))
		expires := time.Now().Add(time.Duration(random.IntN(1000)-300) * time.Second)
		var err error
		switch random.IntN(12) {
		case 0, 1, 2, 3:
			err = f.Put(ctx, key, value, expires)
		case 4, 5:
			_, err = f.Take(ctx, key)
		case 6:
			_, err = f.Swap(ctx, key, nil, value, time.Time{})
		case 7:
			if random.IntN(20) == 0 {
				err = f.Sweep(ctx, time.Now().Add(time.Duration(random.IntN(300))*time.Second))
			}
		default:
			_, err = f.Append(ctx, fmt.Sprint("log ", random.IntN(5)), value, expires)
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
}

func openTest(t *testing.T) *File {
	t.Helper()
	f, err := OpenFile(filepath.Join(t.TempDir(), "store.db"), FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// boltCheck returns what the check of bbolt says about a file.
func boltCheck(t *testing.T, path string) (err error) {
	t.Helper()
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic: %v", reason)
		}
	}()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		var all error
		for err := range tx.Check() {
			all = errors.Join(all, err)
		}
		return all
	})
}

// What bbolt writes is good to the verifier, whatever was changed in whatever order: also that a branch has the first
// key of each page below.
func TestWhatBboltWritesIsGood(t *testing.T) {
	t.Parallel()
	f := openTest(t)
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	for round := range rounds {
		done := make(chan struct{})
		for i := range 16 {
			go func() {
				defer func() { done <- struct{}{} }()
				changes(t, f, rand.New(rand.NewPCG(uint64(round), uint64(i))), 60)
			}()
		}
		for range 16 {
			<-done
		}
		info, err := os.Stat(f.path)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(f.disk, info.Size()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

// Whenever the verifier finds nothing, neither does the check of bbolt. Most of the damage here would make it fault.
func TestTheVerifierIsAsStrictAsBbolt(t *testing.T) {
	t.Parallel()
	f, random := openTest(t), rand.New(rand.NewPCG(7, 8))
	changes(t, f, random, 200)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(good, "\x00"))
	tries, passed := 1500, 0
	if testing.Short() {
		tries = 200
	}
	path := filepath.Join(t.TempDir(), "damaged.db")
	for n := range tries {
		damaged := bytes.Clone(good)
		for range 1 + n%3 {
			page := random.IntN(used/os.Getpagesize()) * os.Getpagesize()
			damaged[page+random.IntN([]int{16, 64, os.Getpagesize()}[n%3])] ^= 1 << random.IntN(8)
		}
		if verify(bytes.NewReader(damaged), int64(len(damaged))) != nil {
			continue
		}
		passed++
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := boltCheck(t, path); err != nil {
			t.Errorf("bbolt finds what the verifier does not: %v", err)
		}
	}
	if passed < tries/50 {
		t.Errorf("only %d of %d damaged files looked good", passed, tries)
	}
}

// tamper changes a file by means of bbolt, so that its pages are good.
func tamper(t *testing.T, path string, change func(l *ledger) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		l, err := open(tx)
		if err != nil {
			return err
		}
		return change(l)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestGoodPagesWithWrongEntries(t *testing.T) {
	t.Parallel()
	// raw writes an entry with a good checksum and without totals.
	log := userKey("log")
	raw := func(l *ledger, t table, key []byte, expires int64, content []byte) error {
		stored, _ := new(hasher).encode(t, key, expires, content)
		return l.buckets[t].Put(key, stored)
	}
	later := time.Now().Add(time.Hour).UnixMilli()
	addTable := func(_ *bbolt.Bucket, err error) error { return err }
	end := func(of table) []byte { return endKey(nil, of, userKey("b"), 7) }
	for name, change := range map[string]func(l *ledger) error{
		"a value is missing":  func(l *ledger) error { return l.buckets[values].Delete(userKey("a")) },
		"a record is missing": func(l *ledger) error { return l.buckets[records].Delete(recordKey(1, 1)) },
		"a log is missing":    func(l *ledger) error { return l.buckets[logs].Delete(log) },
		"the head is missing": func(l *ledger) error { return l.buckets[head].Delete(headKey) },
		"a second head":       func(l *ledger) error { return raw(l, head, []byte("x"), 0, nil) },
		"a short head":        func(l *ledger) error { return raw(l, head, headKey, 0, nil) },
		"a long head": func(l *ledger) error {
			return raw(l, head, headKey, 0, append(l.head.encode(), 0))
		},
		"one value too many":     func(l *ledger) error { return raw(l, values, userKey("x"), 0, nil) },
		"an earlier value":       func(l *ledger) error { return raw(l, values, userKey("b"), 0, []byte("1")) },
		"a short entry":          func(l *ledger) error { return l.buckets[values].Put(userKey("a"), []byte("x")) },
		"a wrong checksum":       func(l *ledger) error { return l.buckets[values].Put(userKey("a"), make([]byte, 20)) },
		"a missing table":        func(l *ledger) error { return l.buckets[ends].Tx().DeleteBucket([]byte("ends")) },
		"a foreign table":        func(l *ledger) error { return addTable(l.buckets[ends].Tx().CreateBucket([]byte("x"))) },
		"a table in a table":     func(l *ledger) error { return addTable(l.buckets[values].CreateBucket([]byte("x"))) },
		"an end of nothing":      func(l *ledger) error { return l.put(ends, append(end(values), 0), 7, nil) },
		"a short end":            func(l *ledger) error { return l.put(ends, []byte("x"), 7, nil) },
		"an end of a log":        func(l *ledger) error { return l.put(ends, end(logs), 7, nil) },
		"an end without value":   func(l *ledger) error { return l.remove(ends, end(values)) },
		"a log of another shape": func(l *ledger) error { return l.put(logs, log, 0, []byte("x")) },
		"a log twice":            func(l *ledger) error { return l.put(logs, userKey("x"), 0, logState{1, 9}.encode()) },
		"a log too many":         func(l *ledger) error { return l.put(logs, userKey("x"), 0, logState{9, 9}.encode()) },
		"a log went back":        func(l *ledger) error { return l.put(logs, log, 0, logState{1, 1}.encode()) },
		"a record of no log":     func(l *ledger) error { return l.put(records, recordKey(7, 1), 0, nil) },
		"a record of no shape":   func(l *ledger) error { return l.put(records, []byte("x"), 0, nil) },
		"an end is missing": func(l *ledger) error {
			if err := l.put(values, userKey("x"), later, nil); err != nil {
				return err
			}
			return l.remove(ends, endKey(nil, values, userKey("x"), later))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := openTest(t)
			for _, value := range []string{"1", "2"} {
				err := errors.Join(f.Put(t.Context(), "a", []byte(value), time.Time{}), f.Put(t.Context(), "b", []byte(value),
					time.UnixMilli(7)))
				if _, failed := f.Append(t.Context(), "log", []byte(value), time.Time{}); err != nil || failed != nil {
					t.Fatal(err, failed)
				}
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			tamper(t, f.path, func(l *ledger) error {
				err := change(l)
				if err == nil && l.changed {
					err = l.close()
				}
				return err
			})
			if _, err := OpenFile(f.path, FileOptions{}); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%v, want ErrCorrupt", err)
			}
		})
	}
}

func TestAFileOfANewerVersion(t *testing.T) {
	f := openTest(t)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	tamper(t, f.path, func(l *ledger) error {
		l.head.format = format + 1
		return l.close()
	})
	_, err := OpenFile(f.path, FileOptions{})
	if err == nil || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("%v, want an error that names the version", err)
	}
}

// After an error that is no lack of space, nobody knows what the disk has.
func TestAFileThatFailsStaysClosed(t *testing.T) {
	f := openTest(t)
	unlock(f.disk)
	if err := f.disk.Close(); err != nil {
		t.Fatal(err)
	}
	first := f.Put(t.Context(), "key", nil, time.Time{})
	if first == nil || errors.Is(first, ErrCorrupt) || !errors.Is(first, os.ErrClosed) {
		t.Fatalf("%v, want an error that is no damage", first)
	}
	if _, err := f.Get(t.Context(), "key"); err == nil || err.Error() != first.Error() {
		t.Errorf("later: %v, want the same", err)
	}
}

func TestALackOfSpace(t *testing.T) {
	write := func(err error) error { return &os.PathError{Op: "write", Path: "store.db", Err: err} }
	for _, test := range []struct {
		err  error
		want error
	}{
		{write(syscall.ENOSPC), syscall.ENOSPC},
		{write(syscall.EFBIG), syscall.EFBIG},
		{fmt.Errorf("file resize error: %s", write(syscall.EDQUOT)), syscall.EDQUOT},
		{write(syscall.EIO), nil},
		{syscall.ENOSPC, nil}, // of a sync: what was written before may be lost
		{fmt.Errorf("file sync error: %s", syscall.ENOSPC), nil},
	} {
		if got := lackOfSpace(test.err); !errors.Is(got, test.want) || (got == nil) != (test.want == nil) {
			t.Errorf("%v: %v, want %v", test.err, got, test.want)
		}
	}
}

// A change whose context ends while the writer is busy is not made, or is durable.
func TestAContextEndsWhileAWriteWaits(t *testing.T) {
	f := openTest(t)
	held, let := make(chan struct{}), make(chan struct{})
	busy := make(chan error, 1)
	go func() {
		_, err := change(t.Context(), f, 0, func(*ledger) (int, error) {
			close(held)
			<-let
			return 0, nil
		})
		busy <- err
	}()
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- f.Put(ctx, "key", nil, time.Time{}) }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the write ended with %v", err)
	}
	close(let)
	if err := <-busy; err != nil {
		t.Error(err)
	}
	if _, err := f.Get(t.Context(), "key"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the write was made: %v", err)
	}
}
