package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/roster"
)

// Lease is what somebody has taken from a pool, and gives back all at once. It is not safe for concurrent use. Leases
// makes and closes those that requests share.
type Lease struct {
	pool    *Pool
	late    bool
	release []func() error // in the order in which things were taken
	sources []UsedSource
	early   []Preloader
	guest   *roster.Guest // see Guest
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

// Guest is how the lease uses a file of consumers; nil if it uses none. In the lease of a late request it is, before
// Join, the one of the lease before, which still has the consumers that it had last.
func (l *Lease) Guest() *roster.Guest { return l.guest }

// Consumers is the file of consumers that the lease uses; nil if it uses none.
func (l *Lease) Consumers() *roster.File {
	if l.guest == nil {
		return nil
	}
	return l.guest.File()
}

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
