package keyset

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/certchain"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/lastgood"
	"github.com/caddyjwt/gateway/internal/refresh"
	"github.com/caddyjwt/gateway/internal/setting"
)

// RemoteOptions are the settings of a source behind a JWKS URL.
type RemoteOptions struct {
	// URL of the JWK Set; see fetch.PlainHTTP.CheckURL for what it may be.
	URL string
	// Fetch has the TLS settings and header fields towards the server.
	Fetch fetch.Options
	// Taken says which keys of the set are wanted; the zero value works.
	Taken Selection
	// Timing says when to fetch; the zero value works.
	Timing Timing
	// Logger gets changes of state; nil for none. If the source is shared, the logger must outlive whoever made the
	// source.
	Logger *slog.Logger `fingerprint:"-"` // what it writes does not change the keys
	// Kept keeps the last good keys over restarts; nil for nothing. It must outlive the source.
	Kept *lastgood.Shelf `fingerprint:"-"` // what it keeps are the keys of these very settings

	transport refresh.Getter `fingerprint:"-"` // for tests
}

// Fingerprint is a hash of all settings but the logger. Owners with the same fingerprint can share one source.
func (o RemoteOptions) Fingerprint() [32]byte { return hashing.Fingerprint(o) }

// Remote is a source behind a JWKS URL.
type Remote struct{ *fetched }

var _ Source = (*Remote)(nil)

// NewRemote makes a source of the keys behind a JWKS URL. It does not touch the network: Start does, or the first
// request for a key. Its error is a setting.Error.
func NewRemote(options RemoteOptions) (*Remote, error) {
	if _, err := options.Fetch.Plain.CheckURL(options.URL); err != nil {
		return nil, setting.Errorf("URL", "key set: %w", err)
	}
	if err := setting.In("Taken", options.Taken.check()); err != nil {
		return nil, err
	}
	if err := setting.In("Timing", options.Timing.Defaults()); err != nil {
		return nil, err
	}
	client, err := newGetter(options.transport, options.Fetch, options.Timing)
	if err != nil {
		return nil, setting.In("Fetch", err)
	}
	l := &jwksLoader{client: client, url: options.URL, taken: options.Taken}
	source := newFetched(label(options.URL), options.Timing, l, options.Logger)
	if l.ca, err = source.follow(options.Taken); err != nil {
		return nil, setting.In("Taken", err)
	}
	l.resource.Archive = options.Kept.For(lastgood.Origin{
		Document: "key set", Fetch: options.Fetch, MaxStale: options.Timing.MaxStale,
	})
	return &Remote{source}, nil
}

// label is an address as it is logged. It leaves out the query, which may contain secrets.
func label(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}

func newGetter(given refresh.Getter, options fetch.Options, timing Timing) (refresh.Getter, error) {
	if given != nil {
		return given, nil
	}
	if options.Timeout == 0 {
		options.Timeout = timing.Timeout
	}
	return fetch.NewClient(options)
}

// acceptJWKS is RFC 7517 section 8.5, and what servers really send.
const acceptJWKS = "application/jwk-set+json, application/json"

// jwksLoader gets a JWK Set, or a single JWK.
type jwksLoader struct {
	client   refresh.Getter
	url      string
	taken    Selection
	ca       *certchain.Authorities // nil unless only keys with certificates count
	resource refresh.Resource
}

// Close implements refresh.Loader.
func (l *jwksLoader) Close() error { return l.client.Close() }

// Load implements refresh.Loader. Its errors name the address, because with discovery it comes from the metadata.
func (l *jwksLoader) Load(ctx context.Context) (refresh.Outcome[Set], error) {
	var set *Set // stays nil when the set is unchanged since the load before
	_, life, err := l.resource.Get(ctx, l.client, l.url, acceptJWKS, l.readInto(&set))
	if err != nil {
		return refresh.Outcome[Set]{}, fmt.Errorf("key set %s: %w", label(l.url), err)
	}
	return refresh.Outcome[Set]{Value: set, Life: life, Keep: l.resource.Keeping()}, nil
}

// Recall implements refresh.Lasting.
func (l *jwksLoader) Recall(ctx context.Context) (set *Set, got time.Time, err error) {
	if got, err = l.resource.Recall(ctx, l.url, l.readInto(&set)); err != nil {
		return nil, got, fmt.Errorf("key set %s: %w", label(l.url), err)
	}
	return set, got, nil
}

// readInto returns what reads a key set.
func (l *jwksLoader) readInto(into **Set) func(body []byte) error {
	return func(body []byte) error {
		d, err := readJWKS(body, l.taken)
		if err != nil {
			return err
		}
		set, err := d.set(l.ca)
		if err != nil {
			return err
		}
		*into = set
		return nil
	}
}
