package redis_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
	"github.com/caddyjwt/gateway/internal/store/redis"
)

// never is the end of what does not expire.
var never time.Time

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

const racers = 64

// race runs a function in many goroutines at once.
func race(run func(int)) {
	var all sync.WaitGroup
	for i := range racers {
		all.Go(func() { run(i) })
	}
	all.Wait()
}

func put(t *testing.T, s store.Store, key, value string) {
	t.Helper()
	if err := s.Put(t.Context(), key, []byte(value), never); err != nil {
		t.Fatal(err)
	}
}

// add appends to the log "log".
func add(t *testing.T, s store.Store, record string, expires time.Time) store.Position {
	t.Helper()
	p, err := s.Append(t.Context(), "log", []byte(record), expires)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// read reads the log "log".
func read(t *testing.T, s store.Store) []store.Record {
	t.Helper()
	var all []store.Record
	for after := (store.Position{}); ; {
		some, err := s.Read(t.Context(), "log", after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(some) == 0 {
			return all
		}
		all, after = append(all, some...), some[len(some)-1].Position
	}
}

func condition(t *testing.T, s store.Shared, log string, anchor store.Position) seen {
	t.Helper()
	c, err := s.Check(t.Context(), log, anchor)
	if err != nil {
		t.Fatal(err)
	}
	return seen{c.Epoch, c.Anchor != nil}
}

// seen is a condition, without the record at the anchor.
type seen struct {
	Epoch    string
	Anchored bool
}

// again calls a function until it succeeds. Meanwhile, it may only fail because of the server.
func again(t *testing.T, run func() error) {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		err := run()
		if err == nil {
			return
		}
		if trouble(ignore(err, redis.ErrFewReplicas)) != nil || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// fails fails the test unless an error is of a kind, and calls a function until there is one.
func fails(t *testing.T, kind error, run func() error) error {
	t.Helper()
	for end := time.Now().Add(patience); ; {
		err := run()
		if errors.Is(err, kind) {
			return err
		}
		if err != nil || time.Now().After(end) {
			t.Fatalf("%v, want that it is %q", err, kind)
		}
	}
}

// refused fails the test unless an error is a refusal with a text.
func refused(t *testing.T, err error, text string) {
	t.Helper()
	if !errors.Is(err, redis.ErrRefused) || !strings.Contains(err.Error(), text) {
		t.Errorf("%v, want a refusal with %q", err, text)
	}
}
