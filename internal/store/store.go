// Package store keeps small durable state: values by key, each of which only one of many callers can take, and logs to
// which records are appended. It has two implementations, in memory and in a file. Whoever uses it knows only the
// interface, and package storetest has the test that every implementation passes.
package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Store is small durable state. It is safe for concurrent use.
//
// Every method returns ErrClosed after Close, and the error of its context when that has ended. When a context ends
// while a write runs, the outcome is unknown: the write may still become durable. Keys, names of logs, values and
// records may have any bytes, also none; ErrTooLarge is returned for those over MaxKey and MaxValue. The caller may
// change what it has given as soon as a method returns, and owns what it gets. Times are kept in milliseconds, rounded
// up; the zero time stands for never.
//
// Nothing sweeps by itself: the owner calls Sweep again and again.
type Store interface {
	// Put stores a value under a key, in place of the one that is there. It returns when the value is durable.
	Put(ctx context.Context, key string, value []byte, expires time.Time) error
	// Get returns a value, never nil. The error is ErrNotFound if there is none, or if it has expired.
	Get(ctx context.Context, key string) ([]byte, error)
	// Take returns a value and deletes it: of any number of callers exactly one gets it, and the others get
	// ErrNotFound, also after a crash.
	Take(ctx context.Context, key string) ([]byte, error)
	// Swap stores a fresh value if the present one is old, and reports whether it was. If old is nil, there must be none,
	// or an expired one. If fresh is nil, the value is deleted. Of any number of callers with the same old value, whose
	// fresh ones all differ, exactly one succeeds.
	Swap(ctx context.Context, key string, old, fresh []byte, expires time.Time) (bool, error)

	// Append adds a record to a log, and returns when it is durable. Its position is after those of all records that
	// the log has ever had, also of those that are gone. Names of logs are kept forever: use few of them.
	Append(ctx context.Context, log string, record []byte, expires time.Time) (Position, error)
	// Read returns records after a position, in order, at least one if there is one. There are at most limit of them,
	// which must be 1 or more. There may be fewer although more follow: only an empty answer means that none does. An
	// expired record may be among them until Sweep has deleted it.
	Read(ctx context.Context, log string, after Position, limit int) ([]Record, error)
	// Wait returns nil as soon as there is a record after a position.
	Wait(ctx context.Context, log string, after Position) error

	// Sweep deletes what has expired at a time, in small steps between which others can write.
	Sweep(ctx context.Context, now time.Time) error
	// Close ends all methods that are running. Another call does nothing.
	Close() error
}

// Bounds of what a Store takes, in bytes.
const (
	MaxKey   = 1 << 10 // of a key, and of the name of a log
	MaxValue = 1 << 20 // of a value, and of a record
)

var (
	// ErrNotFound means that there is no value under a key.
	ErrNotFound = errors.New("not in the store")
	// ErrClosed means that the store was closed.
	ErrClosed = errors.New("the store is closed")
	// ErrTooLarge means that a key, a value or a record has more bytes than a Store takes.
	ErrTooLarge = errors.New("too large for the store")
	// ErrCorrupt means that something of what was stored is lost or changed. The error that wraps it says what to do.
	ErrCorrupt = errors.New("the store is damaged")
)

// Position is the place of a record in its log. The zero Position is before the first record. Positions of different
// stores have nothing to do with each other.
type Position struct{ Hi, Lo uint64 }

// Compare returns -1 if p is before q, 1 if it is after q, and 0 if both are the same.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Hi, q.Hi), cmp.Compare(p.Lo, q.Lo))
}

// Record is one element of a log.
type Record struct {
	Position Position
	Data     []byte
	Expires  time.Time // zero: never
}

// sweepStep is how many values and records Sweep deletes until others may write.
const sweepStep = 512

// Bounds of one answer of Read. A reader must not keep the pages of a file in use for long.
const (
	mostRecords = 10_000
	mostBytes   = 4 << 20
)

// AnswerBounds returns the bounds of one answer of Read with a limit. An answer is full when it has as many records, or
// when its contents have as many bytes or more. The error says that the limit is not possible.
func AnswerBounds(limit int) (records, bytes int, err error) {
	if limit < 1 {
		return 0, 0, fmt.Errorf("a limit of %d records: it must be 1 or more", limit)
	}
	return min(limit, mostRecords), mostBytes, nil
}

// answer collects the records of one Read.
type answer struct {
	records []Record
	limit   int
	bytes   int
}

// full reports whether the answer has as many records, or as many bytes, as it may have.
func (a *answer) full() bool { return len(a.records) >= a.limit || a.bytes >= mostBytes }

func (a *answer) add(r Record) {
	a.records = append(a.records, r)
	a.bytes += len(r.Data)
}

func newAnswer(limit int) (answer, error) {
	records, _, err := AnswerBounds(limit)
	return answer{limit: records}, err
}

// CheckArguments returns the error of a context that has ended, or of a key or a content that is too large.
func CheckArguments(ctx context.Context, key string, contents ...[]byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(key) > MaxKey {
		return fmt.Errorf("a key of %d bytes, and at most %d are possible: %w", len(key), MaxKey, ErrTooLarge)
	}
	for _, content := range contents {
		if len(content) > MaxValue {
			return fmt.Errorf("a content of %d bytes, and at most %d are possible: %w", len(content), MaxValue, ErrTooLarge)
		}
	}
	return nil
}

// Millis is a time as it is kept: milliseconds since 1970, rounded up, so that nothing is forgotten too early. Zero
// stands for never, so the beginning of 1970 becomes the millisecond after it.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return max(ms, 1)
}

// TimeOf is the reverse of Millis.
func TimeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Expired reports whether something with this end has expired at a time. Both are milliseconds.
func Expired(expires, now int64) bool { return expires != 0 && expires <= now }
