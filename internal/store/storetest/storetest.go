// Package storetest has the test that every implementation of store.Store passes.
package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// Run tests an implementation. The function opens an empty store, and the test closes it. Stores with clocks and
// goroutines of others pass, too: the test waits for nothing but time itself.
func Run(t *testing.T, open func(*testing.T) store.Store) {
	for name, test := range map[string]func(*testing.T, store.Store){
		"values":                   values,
		"values expire":            valuesExpire,
		"take":                     take,
		"swap":                     swap,
		"swap expired":             swapExpired,
		"any bytes":                anyBytes,
		"sizes":                    sizes,
		"copies":                   copies,
		"one of many takes":        oneTakes,
		"one of many swaps":        oneSwaps,
		"logs":                     logs,
		"logs do not mix":          logsDoNotMix,
		"positions grow":           positionsGrow,
		"limit":                    limit,
		"much to read":             muchToRead,
		"records expire":           recordsExpire,
		"many appends":             manyAppends,
		"wait":                     wait,
		"wait for one that is":     waitForPresent,
		"wait ends with context":   waitEndsWithContext,
		"wait ends with close":     waitEndsWithClose,
		"contexts that have ended": endedContexts,
		"closed":                   closed,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Errorf("closing it: %v", err)
				}
			})
			test(t, s)
		})
	}
}

// never is the time of what does not expire.
var never time.Time

// soon ends what a test has to wait for.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func put(t *testing.T, s store.Store, key, value string, expires time.Time) {
	t.Helper()
	if err := s.Put(t.Context(), key, []byte(value), expires); err != nil {
		t.Fatalf("putting %.20q: %v", key, err)
	}
}

// has fails the test if there is another value under a key, or none.
func has(t *testing.T, s store.Store, key, want string) {
	t.Helper()
	got, err := s.Get(t.Context(), key)
	if err != nil || string(got) != want || got == nil {
		t.Errorf("under %.20q there is %.20q (nil: %v), %v; want %.20q", key, got, got == nil, err, want)
	}
}

// lacks fails the test if there is a value under a key.
func lacks(t *testing.T, s store.Store, key string) {
	t.Helper()
	got, err := s.Get(t.Context(), key)
	if !errors.Is(err, store.ErrNotFound) || got != nil {
		t.Errorf("under %.20q there is %.20q, %v; want ErrNotFound", key, got, err)
	}
}

func add(t *testing.T, s store.Store, log, record string, expires time.Time) store.Position {
	t.Helper()
	position, err := s.Append(t.Context(), log, []byte(record), expires)
	if err != nil {
		t.Fatalf("appending to %.20q: %v", log, err)
	}
	return position
}

// read reads all that a log has after a position.
func read(t *testing.T, s store.Store, log string, after store.Position, limit int) []store.Record {
	t.Helper()
	var all []store.Record
	for {
		some, err := s.Read(t.Context(), log, after, limit)
		if err != nil {
			t.Fatalf("reading %.20q: %v", log, err)
		}
		if len(some) == 0 {
			return all
		}
		if len(some) > limit {
			t.Fatalf("read %d records, and the limit is %d", len(some), limit)
		}
		all = append(all, some...)
		for _, record := range some {
			if record.Position.Compare(after) <= 0 {
				t.Fatalf("position %v comes after %v", record.Position, after)
			}
			after = record.Position
		}
	}
}

// texts are the contents of records.
func texts(records []store.Record) []string {
	var all []string
	for _, record := range records {
		all = append(all, string(record.Data))
	}
	return all
}
