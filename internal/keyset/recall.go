package keyset

import (
	"context"
	"errors"
	"time"

	"github.com/caddyjwt/gateway/internal/lastgood"
	"github.com/caddyjwt/gateway/internal/refresh"
)

// keepIn has the last good metadata and keys kept.
func (l *metadataLoader) keepIn(options *DiscoveryOptions) {
	if options.MetadataOnly {
		return
	}
	origin := lastgood.Origin{Issuer: options.Issuer, Fetch: options.Fetch, MaxStale: options.Timing.MaxStale}
	origin.Document = "metadata"
	l.resource.Archive = options.Kept.For(origin)
	origin.Document = "key set"
	l.keys.resource.Archive = options.Kept.For(origin)
}

// keeping returns what keeps the metadata and the keys after both are there; nil for nothing.
func (l *metadataLoader) keeping(keys func(context.Context)) func(context.Context) {
	metadata := l.resource.Keeping()
	switch {
	case metadata == nil:
		return keys
	case keys == nil:
		return metadata
	}
	return func(ctx context.Context) {
		metadata(ctx)
		keys(ctx)
	}
}

// Recall implements refresh.Lasting. Keys are taken only if the last metadata says that they are at this address.
func (l *metadataLoader) Recall(ctx context.Context) (*Set, time.Time, error) {
	if l.present() == nil {
		if err := l.recallMetadata(ctx); err != nil {
			return nil, time.Time{}, err
		}
	}
	d := l.current.Load()
	if l.present() == nil || d.metadata.JWKSURI == "" {
		return nil, time.Time{}, refresh.ErrNoAnswer
	}
	l.turnTo(d)
	return l.keys.Recall(ctx)
}

// recallMetadata gets the metadata that an earlier process has read at one of the addresses. It stays as long as what
// this process would have read at that time.
func (l *metadataLoader) recallMetadata(ctx context.Context) (err error) {
	for _, address := range l.addresses {
		var metadata *Metadata
		seen, failed := l.resource.Recall(ctx, address, func(body []byte) (err error) {
			metadata, err = parseMetadata(body, l.issuer, address, l.plain)
			return err
		})
		if failed == nil {
			l.current.Store(&dated{metadata, address, seen})
			return nil
		}
		if err == nil || errors.Is(err, refresh.ErrNoAnswer) {
			err = failed
		}
	}
	return err
}
