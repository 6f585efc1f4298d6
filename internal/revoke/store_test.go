package revoke_test

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/store"
)

var errDisk = errors.New("the disk is gone")

// shaky is a store that can fail.
type shaky struct {
	store.Store
	noAppend, noRead, noSweep atomic.Bool
	appends                   atomic.Int64
}

func (s *shaky) Append(ctx context.Context, log string, record []byte, expires time.Time) (store.Position, error) {
	s.appends.Add(1)
	if s.noAppend.Load() {
		return store.Position{}, errDisk
	}
	return s.Store.Append(ctx, log, record, expires)
}

func (s *shaky) Read(ctx context.Context, log string, after store.Position, limit int) ([]store.Record, error) {
	if s.noRead.Load() {
		return nil, errDisk
	}
	return s.Store.Read(ctx, log, after, limit)
}

func (s *shaky) Sweep(ctx context.Context, now time.Time) error {
	if s.noSweep.Load() {
		return errDisk
	}
	return s.Store.Sweep(ctx, now)
}

// logName is the log in which a ledger has its records.
const logName = "revocations"
