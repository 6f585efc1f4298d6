package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/keyset"
)

// Lease is what somebody has taken from a pool, and gives back all at once. It is not safe for concurrent use. Leases
// makes and closes those that requests share.
type Lease struct {
	pool    *Pool
	late    bool
	release []func() error // in the order in which things were taken
	sources []UsedSource
	early   []Preloader
}

// Preloader is a source that can fetch before a request asks it. Preload waits for the end of the first fetch, or of
// ctx.
type Preloader interface{ Preload(ctx context.Context) }

// UsedSource is a key source that a lease has taken, and the issuer that it was taken for.
type UsedSource struct {
	*Source
	Issuer string
}

// Late reports whether the lease was opened for a late request, after its configuration had ended.
func (l *Lease) Late() bool { return l.late }

// Sources are the key sources that the lease has taken for issuers, in the order in which it took them.
func (l *Lease) Sources() []UsedSource { return l.sources }

// Prefetch says that the configuration wants a source to fetch before the first request. Sources that never fetch do
// not count.
func (l *Lease) Prefetch(source keyset.Source) {
	if fetches, ok := source.(Preloader); ok {
		l.early = append(l.early, fetches)
	}
}

// Prefetched are the sources that Prefetch named. A source may occur twice.
func (l *Lease) Prefetched() []Preloader { return l.early }

func (l *Lease) onClose(release func() error) { l.release = append(l.release, release) }

// close gives back what was taken from the pool, the last object first. The order matters: an introspection client
// keeps the key source that it was made with, so whoever finds the client in the pool must find that source there, too.
func (l *Lease) close() error {
	var errs []error
	for _, release := range slices.Backward(l.release) {
		errs = append(errs, release())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("releasing what outlives a configuration: %w", err)
	}
	return nil
}
