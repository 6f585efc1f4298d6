package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

func logs(t *testing.T, s store.Store) {
	if got := read(t, s, "log", store.Position{}, 10); len(got) > 0 {
		t.Errorf("a log without records has %d", len(got))
	}
	later := time.Now().Add(time.Hour).Truncate(time.Millisecond)
	first := add(t, s, "log", "1", later)
	second := add(t, s, "log", "2", never)
	third := add(t, s, "log", "1", never) // equal records are two
	if first.Compare(store.Position{}) <= 0 || second.Compare(first) <= 0 || third.Compare(second) <= 0 {
		t.Errorf("the positions are %v, %v, %v", first, second, third)
	}
	all := read(t, s, "log", store.Position{}, 10)
	if got, want := texts(all), []string{"1", "2", "1"}; !slices.Equal(got, want) {
		t.Fatalf("the log has %q, want %q", got, want)
	}
	for i, want := range []store.Position{first, second, third} {
		if all[i].Position != want {
			t.Errorf("record %d has position %v, want %v", i, all[i].Position, want)
		}
	}
	if !all[0].Expires.Equal(later) || !all[1].Expires.IsZero() {
		t.Errorf("the records expire at %v and %v, want %v and never", all[0].Expires, all[1].Expires, later)
	}
	if got := texts(read(t, s, "log", first, 10)); !slices.Equal(got, []string{"2", "1"}) {
		t.Errorf("after the first record there are %q", got)
	}
	if got := texts(read(t, s, "log", third, 10)); len(got) > 0 {
		t.Errorf("after the last record there are %q", got)
	}
	far := store.Position{Hi: 1<<64 - 1, Lo: 1<<64 - 1}
	if got := texts(read(t, s, "log", far, 10)); len(got) > 0 {
		t.Errorf("after the last position there are %q", got)
	}
}

func logsDoNotMix(t *testing.T, s store.Store) {
	const many = 40
	put(t, s, "log 1", "a value", never) // a key and a log of the same name are two things
	for round := range 3 {
		for i := range many {
			add(t, s, fmt.Sprint("log ", i), fmt.Sprint(i, " ", round), never)
		}
	}
	for i := range many {
		got := texts(read(t, s, fmt.Sprint("log ", i), store.Position{}, 2))
		if want := []string{fmt.Sprint(i, " 0"), fmt.Sprint(i, " 1"), fmt.Sprint(i, " 2")}; !slices.Equal(got, want) {
			t.Errorf("log %d has %q, want %q", i, got, want)
		}
	}
	has(t, s, "log 1", "a value")
}

// positionsGrow also after all records are gone.
func positionsGrow(t *testing.T, s store.Store) {
	var last store.Position
	for range 4 {
		for range 5 {
			position := add(t, s, "log", "record", time.Now().Add(-time.Minute))
			if position.Compare(last) <= 0 {
				t.Fatalf("position %v comes after %v", position, last)
			}
			last = position
		}
		if err := s.Sweep(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := read(t, s, "log", store.Position{}, 10); len(got) > 0 {
			t.Fatalf("%d expired records were not deleted", len(got))
		}
	}
}

func limit(t *testing.T, s store.Store) {
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprint(i))
		add(t, s, "log", want[i], never)
	}
	for _, limit := range []int{1, 3, 9, 10, 11, 1 << 30} {
		if got := texts(read(t, s, "log", store.Position{}, limit)); !slices.Equal(got, want) {
			t.Errorf("with limit %d the log has %q", limit, got)
		}
	}
	for _, limit := range []int{0, -1} {
		if _, err := s.Read(t.Context(), "log", store.Position{}, limit); err == nil {
			t.Errorf("the limit %d is possible", limit)
		}
	}
}

// muchToRead reads more than what fits into one answer.
func muchToRead(t *testing.T, s store.Store) {
	const many = 9
	for i := range many {
		add(t, s, "log", fmt.Sprint(i, strings.Repeat("x", store.MaxValue-1)), never)
	}
	got := read(t, s, "log", store.Position{}, 100)
	if len(got) != many {
		t.Fatalf("the log has %d records, want %d", len(got), many)
	}
	for i, record := range got {
		if len(record.Data) != store.MaxValue || record.Data[0] != byte('0'+i) {
			t.Errorf("record %d has %d bytes and begins with %q", i, len(record.Data), record.Data[:1])
		}
	}
}

func recordsExpire(t *testing.T, s store.Store) {
	past := time.Now().Add(-time.Minute)
	var want []string
	for i := range 12 {
		race(t, func(int) bool { // more of them than one step of Sweep deletes
			_, err := s.Append(t.Context(), "log", []byte("expired"), past)
			if err != nil {
				t.Error(err)
			}
			return true
		})
		expires := time.Now().Add(time.Hour)
		if i%2 == 0 {
			expires = never
		}
		want = append(want, fmt.Sprint(i))
		add(t, s, "log", want[i], expires)
	}
	if err := s.Sweep(t.Context(), past.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, "log", store.Position{}, 7); len(got) != 12*racers+len(want) {
		t.Errorf("a sweep with an earlier time has left %d records", len(got))
	}
	if err := s.Sweep(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := texts(read(t, s, "log", store.Position{}, 7)); !slices.Equal(got, want) {
		t.Errorf("after a sweep the log has %q, want %q", got, want)
	}
}

func manyAppends(t *testing.T, s store.Store) {
	var mu sync.Mutex
	where := make(map[string]store.Position)
	const each = 20
	race(t, func(i int) bool {
		var last store.Position
		for n := range each {
			text := fmt.Sprint(i, " ", n)
			position, err := s.Append(t.Context(), "log", []byte(text), never)
			if err != nil || position.Compare(last) <= 0 {
				t.Errorf("position %v after %v: %v", position, last, err)
			}
			last = position
			mu.Lock()
			where[text] = position
			mu.Unlock()
		}
		return true
	})
	got := read(t, s, "log", store.Position{}, 100)
	if len(got) != racers*each {
		t.Fatalf("the log has %d records, want %d", len(got), racers*each)
	}
	for _, record := range got {
		if where[string(record.Data)] != record.Position {
			t.Errorf("record %q is at %v, not at %v", record.Data, record.Position, where[string(record.Data)])
		}
	}
}

func wait(t *testing.T, s store.Store) {
	var last store.Position
	for round := range 3 {
		other := fmt.Sprint("other log ", round)
		asleep := make(chan error, 1)
		go func() { asleep <- s.Wait(soon(t), other, store.Position{}) }()
		woken := make(chan error, racers)
		for range racers {
			go func() { woken <- s.Wait(soon(t), "log", last) }()
		}
		next := add(t, s, "log", "record", never)
		for range racers {
			if err := <-woken; err != nil {
				t.Fatalf("waiting after %v: %v", last, err)
			}
		}
		last = next
		select {
		case err := <-asleep:
			t.Errorf("somebody who waits for another log was woken: %v", err)
		default:
		}
		add(t, s, other, "record", never)
		if err := <-asleep; err != nil {
			t.Error(err)
		}
	}
}

func waitForPresent(t *testing.T, s store.Store) {
	first := add(t, s, "log", "1", never)
	second := add(t, s, "log", "2", never)
	for _, after := range []store.Position{{}, first} {
		if err := s.Wait(soon(t), "log", after); err != nil {
			t.Errorf("waiting after %v: %v", after, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Wait(ctx, "log", second); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting after the last record: %v", err)
	}
}

func waitEndsWithContext(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Wait(ctx, "log", store.Position{}) }()
	add(t, s, "other log", "1", never)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the wait ended with %v", err)
	}
}

func waitEndsWithClose(t *testing.T, s store.Store) {
	ended := make(chan error, racers)
	for i := range racers {
		go func() { ended <- s.Wait(soon(t), fmt.Sprint("log ", i%3), store.Position{}) }()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range racers {
		if err := <-ended; !errors.Is(err, store.ErrClosed) {
			t.Errorf("the wait ended with %v", err)
		}
	}
}

// calls are all methods that have a context, with arguments that are good.
func calls(s store.Store) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Put":    func(ctx context.Context) error { return s.Put(ctx, "key", []byte("2"), never) },
		"Get":    func(ctx context.Context) error { _, err := s.Get(ctx, "key"); return err },
		"Take":   func(ctx context.Context) error { _, err := s.Take(ctx, "key"); return err },
		"Swap":   func(ctx context.Context) error { _, err := s.Swap(ctx, "key", []byte("1"), nil, never); return err },
		"Append": func(ctx context.Context) error { _, err := s.Append(ctx, "log", nil, never); return err },
		"Read":   func(ctx context.Context) error { _, err := s.Read(ctx, "log", store.Position{}, 1); return err },
		"Wait":   func(ctx context.Context) error { return s.Wait(ctx, "log", store.Position{}) },
		"Sweep":  func(ctx context.Context) error { return s.Sweep(ctx, time.Now()) },
	}
}

func endedContexts(t *testing.T, s store.Store) {
	put(t, s, "key", "1", never)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range calls(s) {
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
	has(t, s, "key", "1")
	if got := read(t, s, "log", store.Position{}, 1); len(got) > 0 {
		t.Error("a record was appended")
	}
}

func closed(t *testing.T, s store.Store) {
	put(t, s, "key", "1", never)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for name, call := range calls(s) {
			if err := call(t.Context()); !errors.Is(err, store.ErrClosed) {
				t.Errorf("%s: %v, want ErrClosed", name, err)
			}
		}
	}
}
