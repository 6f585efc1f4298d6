package revocations

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// Status is how a store is: the answer of the admin API.
type Status struct {
	// Store names it, without secrets: the path of a file, "memory", or the address of a server.
	Store string `json:"store"`
	// Shared reports whether several Caddys use it.
	Shared bool `json:"shared"`
	// InSync reports whether it is known now which tokens are revoked.
	InSync bool `json:"in_sync"`
	// SyncedAt is when that was last known, in UTC, and Age is the seconds since then, rounded to tenths. They are absent
	// for a store that is not shared, and before it was known for the first time.
	SyncedAt *time.Time `json:"synced_at,omitempty"`
	Age      *float64   `json:"age_seconds,omitempty"`
	// Trouble is why it is not known now.
	Trouble string `json:"trouble,omitempty"`
	// Revocations is the number of entries that this Caddy knows.
	Revocations int `json:"revocations"`
}

// Initialised is the answer to an order to initialise a store.
type Initialised struct {
	// Made is false if the store was initialised before.
	Made bool `json:"initialised"`
}

// Status is how the store is now. It asks nobody.
func (r *Revocations) Status() (Status, error) {
	book := r.book.Load()
	if book == nil {
		return Status{}, errNotOpen
	}
	return statusOf(book.place.where, book.Sync(), book.List().Len(), time.Now()), nil
}

func statusOf(where string, sync revoke.Sync, revocations int, now time.Time) Status {
	out := Status{Store: where, Shared: sync.Shared, InSync: sync.Trouble == nil, Revocations: revocations}
	if sync.Trouble != nil {
		out.Trouble = causes.Line(sync.Trouble)
	}
	if sync.Shared && !sync.At.IsZero() {
		at, age := sync.At.UTC().Truncate(time.Millisecond), math.Round(max(0, now.Sub(sync.At).Seconds())*10)/10
		out.SyncedAt, out.Age = &at, &age
	}
	return out
}

// errNoInit means that a store could not be initialised.
var errNoInit = errors.New("the store could not be initialised")

// Init gives a store that several Caddys share its beginning, unless it has one.
func (r *Revocations) Init(ctx context.Context) (Initialised, error) {
	held, err := r.hold()
	if err != nil {
		return Initialised{}, err
	}
	defer held.LetGo()
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	made, err := held.Value.Init(ctx)
	switch {
	case errors.Is(err, revoke.ErrNotShared):
		return Initialised{}, err
	case err != nil:
		return Initialised{}, errors.Join(errNoInit, err)
	case made:
		r.logger.Info("store is initialised")
	}
	return Initialised{made}, nil
}

// Sync is how the list stands with the store. ok is false while the store is not open.
func (r *Revocations) Sync() (sync revoke.Sync, ok bool) {
	book := r.book.Load()
	if book == nil {
		return revoke.Sync{}, false
	}
	return book.Sync(), true
}
