package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// contents is all that a store has under known names.
type contents map[string]string

const (
	knownValues = 120
	knownLogs   = 7
)

// fill makes many changes, so that the file has trees with branches, free pages, and pages that belong together. It
// returns the file as it was in the middle of them.
func fill(t *testing.T, path string) (before []byte) {
	t.Helper()
	f := openFile(t, path)
	ctx, random := t.Context(), rand.New(rand.NewPCG(1, 2))
	expires := func(i int) time.Time {
		return []time.Time{{}, time.Now().Add(time.Hour), time.Now().Add(time.Duration(i) * time.Hour),
			time.Now().Add(-time.Hour)}[i%4]
	}
	content := func() []byte {
		return bytes.Repeat([]byte{byte(random.IntN(256))}, []int{0, 20, 100, 100, 300, 9000}[random.IntN(6)])
	}
	for round := range 4 {
		race(func(i int) {
			for n := i; n < knownValues; n += racers {
				if err := f.Put(ctx, fmt.Sprint("key ", n), fmt.Appendf(nil, "%d %d", round, n), expires(n+round)); err != nil {
					t.Error(err)
				}
			}
		})
		for n := range 24 {
			if _, err := f.Append(ctx, fmt.Sprint("log ", n%knownLogs), content(), expires(n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Put(ctx, fmt.Sprint("key ", round*20), content(), time.Time{}); err != nil {
			t.Fatal(err)
		}
		if round == 2 {
			before = readFile(t, path)
			if err := f.Sweep(ctx, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return before
}

// dump reads all that a store has.
func dump(ctx context.Context, s store.Store) (contents, error) {
	all := make(contents)
	for n := range knownValues {
		key := fmt.Sprint("key ", n)
		value, err := s.Get(ctx, key)
		if err == nil {
			all[key] = string(value)
		} else if !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
	}
	for n := range knownLogs {
		log := fmt.Sprint("log ", n)
		for after := (store.Position{}); ; {
			some, err := s.Read(ctx, log, after, 1000)
			if err != nil {
				return nil, err
			}
			if len(some) == 0 {
				break
			}
			for _, r := range some {
				all[fmt.Sprint(log, r.Position)] = fmt.Sprint(r.Expires.UnixMilli(), string(r.Data))
				after = r.Position
			}
		}
	}
	return all, nil
}

// damagedFile is a file that a test damages, and what it had before.
type damagedFile struct {
	path    string
	good    []byte // all of it that bbolt has used
	before  []byte // an earlier state of the file
	want    contents
	refused int // how often it could not be opened
	opened  int
}

func newDamagedFile(t *testing.T) *damagedFile {
	t.Helper()
	d := &damagedFile{path: filepath.Join(t.TempDir(), "store.db")}
	d.before = fill(t, d.path)
	d.good = bytes.TrimRight(readFile(t, d.path), "\x00")
	f := openFile(t, d.path)
	var err error
	if d.want, err = dump(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if len(d.want) < knownValues || len(d.good) < 30*os.Getpagesize() {
		t.Fatalf("the store has only %d values and records, and %d bytes", len(d.want), len(d.good))
	}
	return d
}

// check writes bytes into the file, opens it, and heals it. The file must not open, or have all that it had.
func (d *damagedFile) check(t *testing.T, what string, offset int, damage []byte) {
	t.Helper()
	file, err := os.OpenFile(d.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	write(t, file, damage, offset)
	defer write(t, file, d.good[offset:offset+len(damage)], offset)
	d.open(t, what)
}

func (d *damagedFile) open(t *testing.T, what string) {
	t.Helper()
	f, err := store.OpenFile(d.path, store.FileOptions{})
	if err != nil {
		d.refused++
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), d.path) ||
			!strings.Contains(err.Error(), "Restore a backup") {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	d.opened++
	got, err := dump(t.Context(), f)
	if err != nil {
		t.Errorf("%s: it opens, and then: %v", what, err)
	} else if !maps.Equal(got, d.want) {
		t.Errorf("%s: it opens, and has %d values and records instead of %d", what, len(got), len(d.want))
	}
	if err := f.Close(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

func TestAFileWithFlippedBitsLosesNothingSilently(t *testing.T) {
	t.Parallel()
	d := newDamagedFile(t)
	pageSize, random := os.Getpagesize(), rand.New(rand.NewPCG(3, 4))
	each := 8
	if testing.Short() {
		each = 1
	}
	for page := 0; page*pageSize < len(d.good); page++ {
		for n := range 3 * each {
			offset := page * pageSize
			switch n % 3 {
			case 0:
				offset += random.IntN(16) // the head of the page
			case 1:
				offset += random.IntN(96) // and of its first elements
			default:
				offset += random.IntN(pageSize)
			}
			if offset >= len(d.good) {
				continue
			}
			flipped := d.good[offset] ^ 1<<random.IntN(8)
			d.check(t, fmt.Sprintf("byte %d of page %d", offset%pageSize, page), offset, []byte{flipped})
		}
	}
	t.Logf("%d damaged files refused, %d opened", d.refused, d.opened)
	if d.refused < d.opened/10 || d.opened == 0 {
		t.Errorf("%d damaged files were refused, %d opened: the test damages the wrong bytes", d.refused, d.opened)
	}
}

func TestAFileWithForeignPagesLosesNothingSilently(t *testing.T) {
	t.Parallel()
	d := newDamagedFile(t)
	pageSize, random := os.Getpagesize(), rand.New(rand.NewPCG(5, 6))
	for page := 0; (page+1)*pageSize <= len(d.good); page++ {
		if testing.Short() && page%5 > 1 {
			continue
		}
		at := page * pageSize
		noise := make([]byte, pageSize)
		for i := range noise {
			noise[i] = byte(random.IntN(256))
		}
		d.check(t, fmt.Sprint("zeros in page ", page), at, make([]byte, pageSize))
		d.check(t, fmt.Sprint("half of zeros in page ", page), at+pageSize/2, make([]byte, pageSize/2))
		d.check(t, fmt.Sprint("noise in page ", page), at, noise)
		from := random.IntN(len(d.good)/pageSize) * pageSize
		other := bytes.Clone(d.good[from : from+pageSize])
		d.check(t, fmt.Sprintf("page %d in place of page %d", from/pageSize, page), at, other)
		copy(other, d.good[at:at+16]) // so that it says to be the right page
		d.check(t, fmt.Sprintf("what page %d has, in page %d", from/pageSize, page), at, other)
		if at+pageSize <= len(d.before) {
			d.check(t, fmt.Sprint("an earlier page ", page), at, d.before[at:at+pageSize])
		}
	}
	t.Logf("%d damaged files refused, %d opened", d.refused, d.opened)
}

func TestATruncatedFileLosesNothingSilently(t *testing.T) {
	t.Parallel()
	d := newDamagedFile(t)
	pageSize := os.Getpagesize()
	lengths := []int{0, 1, 15, 16, 79, 80, 81, len(d.good) - 1}
	for page := 1; page*pageSize < len(d.good); page += 1 + page/8 {
		lengths = append(lengths, page*pageSize-1, page*pageSize, page*pageSize+1, page*pageSize+pageSize/2)
	}
	for _, length := range lengths {
		if err := os.WriteFile(d.path, d.good[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		d.open(t, fmt.Sprint("the first ", length, " bytes"))
	}
	t.Logf("%d damaged files refused, %d opened", d.refused, d.opened)
	if d.refused < len(lengths)/2 {
		t.Errorf("of %d short files, only %d were refused", len(lengths), d.refused)
	}
}

func TestWhatIsNoStoreIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	refuses := func(name string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want ErrCorrupt and the path", name, err)
		}
	}
	_, err := store.OpenFile(dir, store.FileOptions{})
	refuses("a directory", err)
	for name, text := range map[string]string{
		"an empty file":  "",
		"a short text":   "hello",
		"a long text":    strings.Repeat("hello ", 100_000),
		"only zeros":     strings.Repeat("\x00", 1<<16),
		"only ones":      strings.Repeat("\xff", 1<<16),
		"a SQLite file?": "SQLite format 3\x00" + strings.Repeat("\x10", 1<<15),
	} {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := store.OpenFile(path, store.FileOptions{})
		refuses(name, err)
		if got := readFile(t, path); string(got) != text {
			t.Errorf("%s was changed", name)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, file *os.File, b []byte, offset int) {
	t.Helper()
	if _, err := file.WriteAt(b, int64(offset)); err != nil {
		t.Fatal(err)
	}
}
