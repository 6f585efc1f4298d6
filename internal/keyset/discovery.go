package keyset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/lastgood"
	"github.com/caddyjwt/gateway/internal/refresh"
	"github.com/caddyjwt/gateway/internal/setting"
)

// DiscoveryOptions are the settings of a source behind the metadata of an issuer.
type DiscoveryOptions struct {
	// Issuer is the issuer identifier. The metadata must have this very text as its issuer.
	Issuer string
	// URL is that of the metadata document. Empty means the places that the standards name: first the issuer with
	// "/.well-known/openid-configuration" after it (OpenID Connect Discovery 1.0 section 4), then with
	// "/.well-known/oauth-authorization-server" between host and path (RFC 8414 section 3.1).
	URL string
	// Fetch has the TLS settings for all requests. Its header fields and its client certificate go only to the origin of
	// the metadata.
	Fetch fetch.Options
	// Taken says which keys of the set are wanted; the zero value works.
	Taken Selection
	// Timing says when to fetch; the zero value works. Metadata and keys are fetched together.
	Timing Timing
	// MetadataOnly is for issuers whose metadata is wanted, but not their keys: there never are any.
	MetadataOnly bool
	// Logger gets changes of state; nil for none. If the source is shared, the logger must outlive whoever made the
	// source.
	Logger *slog.Logger `fingerprint:"-"` // what it writes does not change the keys
	// Kept keeps the last good metadata and keys over restarts; nil for nothing. With MetadataOnly, nothing is kept. It
	// must outlive the source.
	Kept *lastgood.Shelf `fingerprint:"-"` // what it keeps are the documents of these very settings

	// Client makes the requests in place of one of its own, for an owner of many sources at one server. Stranger makes
	// those to other origins than that of the metadata, without what identifies us: see fetch.Options.ForStrangers. For
	// each that is nil, the source makes one. It closes both.
	Client, Stranger refresh.Getter `fingerprint:"-"` // the owner makes them from Fetch
	// MaxAsked is how many questions for unknown keys are remembered. Zero means DefaultMaxAsked.
	MaxAsked int
}

// Fingerprint is a hash of all settings but the logger. Owners with the same fingerprint can share one source.
func (o DiscoveryOptions) Fingerprint() [32]byte { return hashing.Fingerprint(o) }

// Discovery is a source behind the metadata of an issuer.
type Discovery struct {
	*fetched
	metadata *metadataLoader
}

var _ Source = (*Discovery)(nil)

// NewDiscovery makes a source of the keys that an issuer's metadata points to. It does not touch the network: Start
// does, or the first request for a key or for the metadata. Its error is a setting.Error.
func NewDiscovery(options DiscoveryOptions) (*Discovery, error) {
	addresses := []string{options.URL}
	if options.URL == "" {
		var err error
		if addresses, err = WellKnownOver(options.Fetch.Plain, options.Issuer); err != nil {
			return nil, setting.Errorf("Issuer", "issuer: %w", err)
		}
	} else if _, err := options.Fetch.Plain.CheckURL(options.URL); err != nil {
		return nil, setting.Errorf("URL", "metadata: %w", err)
	}
	if options.Issuer == "" {
		return nil, setting.Errorf("Issuer", "there is no issuer")
	}
	if err := setting.In("Taken", options.Taken.check()); err != nil {
		return nil, err
	}
	if err := setting.In("Timing", options.Timing.Defaults()); err != nil {
		return nil, err
	}
	client, err := newGetter(options.Client, options.Fetch, options.Timing)
	if err != nil {
		return nil, setting.In("Fetch", err)
	}
	l := &metadataLoader{
		client: client, issuer: options.Issuer, addresses: addresses, plain: options.Fetch.Plain,
		maxStale: options.Timing.MaxStale, only: options.MetadataOnly,
		keys: jwksLoader{client: client, taken: options.Taken},
	}
	l.keepIn(&options)
	if stranger, differs := options.Fetch.ForStrangers(); differs {
		if l.stranger, err = newGetter(options.Stranger, stranger, options.Timing); err != nil {
			return nil, setting.In("Fetch", err)
		}
	}
	source := &Discovery{newFetched(options.Issuer, options.Timing, l, options.Logger), l}
	if l.keys.ca, err = source.follow(options.Taken); err != nil {
		return nil, setting.In("Taken", err)
	}
	source.asked.most = cmp.Or(options.MaxAsked, DefaultMaxAsked)
	if options.MetadataOnly {
		source.notify.what = "metadata"
	}
	return source, nil
}

// CheckDiscoverable returns a setting.Error for "Issuer" when an issuer identifier cannot lead to its metadata.
func CheckDiscoverable(plain fetch.PlainHTTP, issuer string) error {
	_, err := WellKnownOver(plain, issuer)
	return setting.In("Issuer", err)
}

// WellKnown is WellKnownOver for fetch.LoopbackHTTP.
func WellKnown(issuer string) ([]string, error) { return WellKnownOver(fetch.LoopbackHTTP, issuer) }

// WellKnownOver returns where the metadata of an issuer may be: OpenID Connect Discovery's address, then RFC 8414's.
// Both standards first remove a slash from the end of the identifier. Its scheme may be http as far as plain allows it.
func WellKnownOver(plain fetch.PlainHTTP, issuer string) ([]string, error) {
	u, err := plain.CheckURL(issuer)
	if err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.ForceQuery {
		return nil, fmt.Errorf("%w: an issuer identifier has no query (RFC 8414 section 2)", fetch.ErrAddress)
	}
	origin := (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() // String encodes the zone of an address again
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	return []string{
		origin + path + "/.well-known/openid-configuration",
		origin + "/.well-known/oauth-authorization-server" + path,
	}, nil
}

// Metadata returns the issuer's metadata. When there is none yet, it waits for a fetch as Find does. The error is an
// *UnavailableError.
func (d *Discovery) Metadata(ctx context.Context) (*Metadata, error) {
	if m := d.metadata.present(); m != nil {
		return m, nil
	}
	err := d.doc.Await(ctx)
	if m := d.metadata.present(); m != nil {
		return m, nil
	}
	doc := d.doc.Lock()
	defer doc.Unlock()
	return nil, &UnavailableError{RetryAfter: time.Second, Err: err, FailingSince: doc.FailingSince()}
}

// Found returns the metadata that is there now, and the address where it was found, without its query. It is nil when
// there is none. It never waits.
func (d *Discovery) Found() (*Metadata, string) {
	found := d.metadata.current.Load()
	if found == nil || d.metadata.present() == nil {
		return nil, ""
	}
	return found.metadata, label(found.address)
}

// metadataLoader gets the metadata of an issuer, and then the keys that it points to. It reads the metadata every time:
// an authorization server that moves its keys changes the metadata first.
type metadataLoader struct {
	client    refresh.Getter
	stranger  refresh.Getter // for other origins than that of the metadata; nil when it makes no difference
	issuer    string
	addresses []string
	plain     fetch.PlainHTTP
	maxStale  time.Duration
	only      bool // only metadata, no keys
	keys      jwksLoader
	resource  refresh.Resource

	current atomic.Pointer[dated]
}

// dated is metadata, where it was found, and when it was last seen.
type dated struct {
	metadata *Metadata
	address  string
	seen     time.Time
}

// Close implements refresh.Loader.
func (l *metadataLoader) Close() error {
	if l.stranger != nil {
		l.stranger.Close()
	}
	l.current.Store(nil)
	return l.client.Close()
}

// present is the metadata; nil when there is none or it is too old.
func (l *metadataLoader) present() *Metadata {
	d := l.current.Load()
	if d == nil || time.Since(d.seen) >= l.maxStale {
		return nil
	}
	return d.metadata
}

// Load implements refresh.Loader.
func (l *metadataLoader) Load(ctx context.Context) (refresh.Outcome[Set], error) {
	if wrong, err := l.refresh(ctx); wrong || err != nil && l.present() == nil {
		return refresh.Outcome[Set]{}, err
	}
	if l.only {
		return refresh.Outcome[Set]{Nothing: true, Life: -1}, nil
	}
	d := l.current.Load()
	if d.metadata.JWKSURI == "" {
		return refresh.Outcome[Set]{}, fmt.Errorf(`metadata: %s: %w: there is no "jwks_uri"`, label(d.address), ErrFormat)
	}
	l.turnTo(d)
	outcome, err := l.keys.Load(ctx)
	if err == nil {
		outcome.Keep = l.keeping(outcome.Keep)
	}
	return outcome, err
}

// turnTo makes the loader fetch keys from where the metadata says that they are.
func (l *metadataLoader) turnTo(d *dated) {
	if l.keys.url != d.metadata.JWKSURI {
		l.keys.url = d.metadata.JWKSURI
		l.keys.client = l.clientFor(d)
	}
}

// clientFor returns the client that fetches the keys. The operator has chosen the address of the metadata. If the keys
// are at another origin, the client leaves out what identifies us.
func (l *metadataLoader) clientFor(d *dated) refresh.Getter {
	from, err1 := url.Parse(d.address)
	to, err2 := url.Parse(d.metadata.JWKSURI)
	if l.stranger != nil && (err1 != nil || err2 != nil || !fetch.SameOrigin(from, to)) {
		return l.stranger
	}
	return l.client
}

// refresh reads the metadata from where it was found before, or else from the first place that has it. If there is
// metadata already, it leaves half of the time for the keys: a server that does not answer about metadata must not keep
// the keys away.
//
// wrong reports that the place that had the right document now has a wrong one: then there is nothing to go by. When
// that place does not answer, the keys may still be where they were. A wrong document at the other place proves
// nothing, because many servers answer every path with the same page.
func (l *metadataLoader) refresh(ctx context.Context) (wrong bool, err error) {
	if deadline, bounded := ctx.Deadline(); bounded && !l.only && l.present() != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	var failures []error
	for i, address := range l.addresses {
		err := l.read(ctx, address)
		if err != nil {
			err = fmt.Errorf("%s: %w", label(address), err)
		}
		if err == nil {
			l.addresses[0], l.addresses[i] = l.addresses[i], l.addresses[0] // look here first next time
			return false, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	wrong = errors.Is(failures[0], ErrFormat) || errors.Is(failures[0], fetch.ErrAddress)
	if len(failures) == 2 { // on one line, for the log
		return wrong, fmt.Errorf("metadata: %w; %w", failures[0], failures[1])
	}
	return wrong, fmt.Errorf("metadata: %w", failures[0])
}

// read gets the document at one address and judges it.
func (l *metadataLoader) read(ctx context.Context, address string) error {
	var metadata *Metadata
	same, _, err := l.resource.Get(ctx, l.client, address, "application/json", func(body []byte) (err error) {
		metadata, err = parseMetadata(body, l.issuer, address, l.plain)
		return err
	})
	if err != nil {
		return err
	}
	if same {
		metadata = l.current.Load().metadata
	}
	l.current.Store(&dated{metadata, address, time.Now()})
	return nil
}
