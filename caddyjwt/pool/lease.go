package pool

import (
	"errors"
	"fmt"
	"slices"
)

// Lease is what somebody has taken from a pool, and gives back all at once. It is not safe for concurrent use. Leases
// makes and closes those that requests share.
type Lease struct {
	pool    *Pool
	late    bool
	release []func() error // in the order in which things were taken
	sources []UsedSource
}

// UsedSource is a key source that a lease has taken, and the issuer that it was taken for.
type UsedSource struct {
	*Source
	Issuer string
}

// Late reports whether the lease was opened for a late request, after its configuration had ended.
func (l *Lease) Late() bool { return l.late }

// Sources are the key sources that the lease has taken for issuers, in the order in which it took them.
func (l *Lease) Sources() []UsedSource { return l.sources }

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
