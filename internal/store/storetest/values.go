package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

func values(t *testing.T, s store.Store) {
	lacks(t, s, "a")
	put(t, s, "a", "1", never)
	put(t, s, "b", "2", time.Now().Add(time.Hour))
	has(t, s, "a", "1")
	has(t, s, "b", "2")
	put(t, s, "a", "3", never)
	put(t, s, "b", "4", never)
	has(t, s, "a", "3")
	has(t, s, "b", "4")
	has(t, s, "b", "4")
}

// valuesExpire also checks that Sweep deletes only what has expired.
func valuesExpire(t *testing.T, s store.Store) {
	put(t, s, "past", "1", time.Now().Add(-time.Second))
	put(t, s, "long past", "1", time.Unix(0, 0))
	put(t, s, "future", "2", time.Now().Add(time.Hour))
	put(t, s, "never", "3", never)
	put(t, s, "no longer", "4", never)
	put(t, s, "no longer", "4", time.Now().Add(-time.Second))
	put(t, s, "again", "5", time.Now().Add(-time.Second))
	put(t, s, "again", "6", never)
	put(t, s, "soon", "7", time.Now().Add(30*time.Millisecond))
	for range 2 {
		lacks(t, s, "past")
		lacks(t, s, "long past")
		lacks(t, s, "no longer")
		has(t, s, "future", "2")
		has(t, s, "never", "3")
		has(t, s, "again", "6")
		if err := s.Sweep(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Take(t.Context(), "past"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an expired value can be taken: %v", err)
	}
	for ctx := soon(t); ; {
		_, err := s.Get(ctx, "soon")
		if errors.Is(err, store.ErrNotFound) {
			break
		}
		if err != nil {
			t.Fatalf("a value never expires: %v", err)
		}
	}
}

func take(t *testing.T, s store.Store) {
	put(t, s, "a", "1", never)
	put(t, s, "b", "2", time.Now().Add(time.Hour))
	for key, want := range map[string]string{"a": "1", "b": "2"} {
		if got, err := s.Take(t.Context(), key); err != nil || string(got) != want {
			t.Errorf("took %q, %v; want %q", got, err, want)
		}
		lacks(t, s, key)
		if got, err := s.Take(t.Context(), key); !errors.Is(err, store.ErrNotFound) || got != nil {
			t.Errorf("took %q twice: %v", got, err)
		}
	}
	put(t, s, "a", "3", never)
	if got, err := s.Take(t.Context(), "a"); err != nil || string(got) != "3" {
		t.Errorf("took %q, %v; want what was put last", got, err)
	}
}

func swap(t *testing.T, s store.Store) {
	text := func(value string) []byte { return []byte(value) }
	for i, step := range []struct {
		old, new []byte
		want     bool
		then     string // "-" for none
	}{
		{text("1"), text("2"), false, "-"}, // absent
		{text(""), text("2"), false, "-"},  // empty is not absent
		{text("1"), nil, false, "-"},
		{nil, nil, true, "-"},
		{nil, text(""), true, ""},
		{nil, text("1"), false, ""}, // present, though empty
		{nil, nil, false, ""},
		{text(""), text("1"), true, "1"},
		{nil, text("2"), false, "1"},
		{text("2"), text("3"), false, "1"},
		{text("12"), text("3"), false, "1"},
		{text("1"), text("1"), true, "1"},
		{text("1"), text("2"), true, "2"},
		{text("1"), nil, false, "2"},
		{text("2"), nil, true, "-"},
		{nil, text("3"), true, "3"},
	} {
		got, err := s.Swap(t.Context(), "key", step.old, step.new, never)
		if err != nil || got != step.want {
			t.Errorf("step %d: %v, %v; want %v", i, got, err, step.want)
		}
		if step.then == "-" {
			lacks(t, s, "key")
		} else {
			has(t, s, "key", step.then)
		}
	}
}

func swapExpired(t *testing.T, s store.Store) {
	past := time.Now().Add(-time.Second)
	put(t, s, "key", "1", past)
	if ok, err := s.Swap(t.Context(), "key", []byte("1"), []byte("2"), never); ok || err != nil {
		t.Errorf("an expired value was swapped: %v", err)
	}
	if ok, err := s.Swap(t.Context(), "key", nil, []byte("3"), never); !ok || err != nil {
		t.Errorf("an expired value counts as one: %v", err)
	}
	has(t, s, "key", "3")
	if ok, err := s.Swap(t.Context(), "key", []byte("3"), []byte("4"), past); !ok || err != nil {
		t.Errorf("the value was not swapped: %v", err)
	}
	lacks(t, s, "key")
}

func anyBytes(t *testing.T, s store.Store) {
	names := []string{"", "\x00", "\x00\x00", "\xff", "=", "a", "a\x00", "a b\r\n", "ä", "{a}", "*", "a:b", "a:b:c"}
	for i := range 256 {
		names = append(names, "byte "+string([]byte{byte(i)}))
	}
	race(t, func(racer int) bool {
		for i := racer; i < len(names); i += racers {
			if err := s.Put(t.Context(), names[i], fmt.Append(nil, "value ", i, names[i]), never); err != nil {
				t.Error(err)
			}
		}
		return true
	})
	for i, name := range names {
		has(t, s, name, fmt.Sprint("value ", i, name))
	}
	for i, name := range names[:20] {
		add(t, s, name, fmt.Sprint("record ", i, name), never)
	}
	for i, name := range names[:20] {
		if got := texts(read(t, s, name, store.Position{}, 10)); len(got) != 1 || got[0] != fmt.Sprint("record ", i, name) {
			t.Errorf("the log %q has %q", name, got)
		}
	}
	for i, name := range names[:20] {
		if got, err := s.Take(t.Context(), name); err != nil || string(got) != fmt.Sprint("value ", i, name) {
			t.Errorf("took %q from %q: %v", got, name, err)
		}
	}
}

func sizes(t *testing.T, s store.Store) {
	longest, largest := strings.Repeat("k", store.MaxKey), strings.Repeat("v", store.MaxValue)
	put(t, s, longest, largest, never)
	has(t, s, longest, largest)
	put(t, s, "nothing", "", never)
	has(t, s, "nothing", "")
	if err := s.Put(t.Context(), "nil", nil, never); err != nil {
		t.Error(err)
	}
	has(t, s, "nil", "")
	add(t, s, longest, largest, never)
	add(t, s, longest, "", never)
	if got := texts(read(t, s, longest, store.Position{}, 10)); len(got) != 2 || got[0] != largest || got[1] != "" {
		t.Errorf("the log has %d records", len(got))
	}

	longer, larger := longest+"k", []byte(largest+"v")
	for name, call := range map[string]func() error{
		"put a key":   func() error { return s.Put(t.Context(), longer, nil, never) },
		"put a value": func() error { return s.Put(t.Context(), "key", larger, never) },
		"get":         func() error { _, err := s.Get(t.Context(), longer); return err },
		"take":        func() error { _, err := s.Take(t.Context(), longer); return err },
		"swap a key":  func() error { _, err := s.Swap(t.Context(), longer, nil, nil, never); return err },
		"swap old":    func() error { _, err := s.Swap(t.Context(), "key", larger, nil, never); return err },
		"swap new":    func() error { _, err := s.Swap(t.Context(), "key", nil, larger, never); return err },
		"append to":   func() error { _, err := s.Append(t.Context(), longer, nil, never); return err },
		"append":      func() error { _, err := s.Append(t.Context(), "key", larger, never); return err },
		"read":        func() error { _, err := s.Read(t.Context(), longer, store.Position{}, 1); return err },
		"wait":        func() error { return s.Wait(t.Context(), longer, store.Position{}) },
	} {
		if err := call(); !errors.Is(err, store.ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", name, err)
		}
	}
	lacks(t, s, "key")
}

// copies changes all slices after each call.
func copies(t *testing.T, s store.Store) {
	given := func() []byte { return []byte("given") }
	spoil := func(b []byte) { copy(b, bytes.Repeat([]byte("x"), len(b))) }
	b := given()
	if err := s.Put(t.Context(), "key", b, never); err != nil {
		t.Fatal(err)
	}
	spoil(b)
	got, err := s.Get(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	spoil(got)
	has(t, s, "key", "given")
	old, fresh := given(), []byte("fresh")
	if ok, err := s.Swap(t.Context(), "key", old, fresh, never); !ok || err != nil {
		t.Fatal(ok, err)
	}
	spoil(old)
	spoil(fresh)
	has(t, s, "key", "fresh")
	b = given()
	if _, err := s.Append(t.Context(), "log", b, never); err != nil {
		t.Fatal(err)
	}
	spoil(b)
	spoil(read(t, s, "log", store.Position{}, 1)[0].Data)
	if got := texts(read(t, s, "log", store.Position{}, 1)); got[0] != "given" {
		t.Errorf("the record is %q", got)
	}
}

const racers = 64

func oneTakes(t *testing.T, s store.Store) {
	for round := range 5 {
		key := fmt.Sprint("key ", round)
		put(t, s, key, "one time", never)
		winners := race(t, func(int) bool {
			got, err := s.Take(t.Context(), key)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
			return err == nil && string(got) == "one time"
		})
		if winners != 1 {
			t.Errorf("%d of %d took the value", winners, racers)
		}
	}
}

func oneSwaps(t *testing.T, s store.Store) {
	var old []byte // at first there is none
	for round := range 5 {
		winners := race(t, func(i int) bool {
			ok, err := s.Swap(t.Context(), "key", old, fmt.Appendf(nil, "%d of %d", round, i), never)
			if err != nil {
				t.Error(err)
			}
			return ok
		})
		if winners != 1 {
			t.Errorf("%d of %d swapped the value", winners, racers)
		}
		var err error
		if old, err = s.Get(t.Context(), "key"); err != nil {
			t.Fatal(err)
		}
	}
}

// race runs a function in many goroutines at once, and counts those for which it returned true.
func race(t *testing.T, run func(int) bool) int64 {
	t.Helper()
	var won atomic.Int64
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		all.Go(func() {
			<-start
			if run(i) {
				won.Add(1)
			}
		})
	}
	close(start)
	all.Wait()
	return won.Load()
}
