package authserver

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/hashing"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/keyset"
	"github.com/caddyjwt/gateway/internal/refresh"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/strictjson"
)

// MirrorOptions are the settings of a Mirror.
type MirrorOptions struct {
	// Issuer is the issuer identifier. The document must have this very text as its issuer (RFC 8414 section 3.3).
	Issuer string
	// URL is that of the document. Empty means the places that the standards name: RFC 8414's first, because clients of
	// OAuth ask for that one, then OpenID Connect's.
	URL string
	// Fetch has the TLS settings and the header fields for the server.
	Fetch fetch.Options
	// MaxStale is how long a copy is given out after the last successful fetch. Default: 24h.
	MaxStale time.Duration
	// Logger gets changes of state; nil for none. It must outlive whoever made the mirror.
	Logger *slog.Logger `fingerprint:"-"` // what it writes does not change the document

	transport refresh.Getter `fingerprint:"-"` // for tests
}

// Fingerprint is a hash of all settings but the logger. Owners with the same fingerprint can share one mirror.
func (o MirrorOptions) Fingerprint() [32]byte { return hashing.Fingerprint(o) }

// strangersPause is the shortest time between two attempts to fetch a document that is not there. Anybody may ask a
// mirror, without a token, so its requests must not become a burden on a server that is down.
const strangersPause = 5 * time.Second

// Mirror has a copy of the document in which an authorization server describes itself, for clients that ask the wrong
// host for it. It keeps the copy fresh in the background, from the first request on. It is safe for concurrent use.
type Mirror struct {
	document *refresh.Document[[]byte]
	logger   *slog.Logger
}

// NewMirror makes a mirror. It does not touch the network: the first request does, or Preload. Its error is a
// setting.Error.
func NewMirror(options MirrorOptions) (*Mirror, error) {
	l := &mirrorLoader{issuer: options.Issuer, addresses: []string{options.URL}, client: options.transport}
	if options.URL == "" {
		found, err := keyset.WellKnownOver(options.Fetch.Plain, options.Issuer)
		if err != nil {
			return nil, setting.Errorf("Issuer", "issuer: %w", err)
		}
		l.addresses = []string{found[1], found[0]}
	} else if _, err := options.Fetch.Plain.CheckURL(options.URL); err != nil {
		return nil, setting.Errorf("URL", "metadata: %w", err)
	}
	timing := refresh.Timing{MaxStale: options.MaxStale, MinBackoff: strangersPause}
	if err := timing.Defaults(); err != nil {
		return nil, setting.In("Timing", err)
	}
	if l.client == nil {
		if options.Fetch.Timeout == 0 {
			options.Fetch.Timeout = timing.Timeout
		}
		client, err := fetch.NewClient(options.Fetch)
		if err != nil {
			return nil, setting.In("Fetch", err)
		}
		l.client = client
	}
	m := &Mirror{logger: options.Logger}
	if m.logger == nil {
		m.logger = slog.New(slog.DiscardHandler)
	}
	m.logger = m.logger.With("issuer", options.Issuer)
	m.document = refresh.New(timing, l, refresh.Hooks[[]byte]{Report: m.log})
	return m, nil
}

// Document is the present copy. If there is none, it waits for a fetch, but not long, and starts one only if the last
// is long enough ago. Without an error, the bytes must not be changed. With one, retryAfter is when to ask again.
func (m *Mirror) Document(ctx context.Context) (document []byte, retryAfter time.Duration, err error) {
	if copied := m.document.Current(); copied != nil {
		return *copied, 0, nil
	}
	err = m.document.Await(ctx)
	if copied := m.document.Current(); copied != nil {
		return *copied, 0, nil
	}
	l := m.document.Lock()
	defer l.Unlock()
	return nil, l.RetryAfter(), err
}

// Preload fetches the document unless that was tried before. It waits for the end of the fetch, or of ctx.
func (m *Mirror) Preload(ctx context.Context) { m.document.Preload(ctx) }

// Close ends all fetches and closes the connections.
func (m *Mirror) Close() error { return m.document.Close() }

// Destruct is Close, under the name that pools call it by.
func (m *Mirror) Destruct() error { return m.Close() }

func (m *Mirror) log(e refresh.Event[[]byte]) {
	level, message := slog.LevelInfo, ""
	switch e.Kind {
	case refresh.Failing:
		level, message = slog.LevelWarn, "the metadata for clients of this host cannot be fetched"
	case refresh.Expired:
		level, message = slog.LevelError, "the metadata for clients of this host is too old to be given out"
	case refresh.Recovered:
		message = "the metadata for clients of this host can be fetched again"
	case refresh.Ready, refresh.Changed:
		return
	}
	attrs := []slog.Attr{slog.Duration("failing_for", e.Since)}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", causes.Line(e.Err)))
	}
	m.logger.LogAttrs(context.Background(), level, message, attrs...)
}

// mirrorLoader gets the document.
type mirrorLoader struct {
	client    refresh.Getter
	issuer    string
	addresses []string // where to look, the last good one first
	resource  refresh.Resource
}

// Close implements refresh.Loader.
func (l *mirrorLoader) Close() error { return l.client.Close() }

// Load implements refresh.Loader. It takes the first address that has the right document.
func (l *mirrorLoader) Load(ctx context.Context) (refresh.Outcome[[]byte], error) {
	var failure error
	for i, address := range l.addresses {
		var document []byte
		same, life, err := l.resource.Get(ctx, l.client, address, "application/json", func(body []byte) error {
			document = jose.WithoutMark(body)
			return l.check(document)
		})
		switch {
		case err != nil:
			if failure == nil {
				failure = err
			}
			if ctx.Err() != nil {
				return refresh.Outcome[[]byte]{}, failure
			}
			continue
		case same:
			return refresh.Outcome[[]byte]{Life: life}, nil
		}
		l.addresses[0], l.addresses[i] = l.addresses[i], l.addresses[0]
		return refresh.Outcome[[]byte]{Value: &document, Life: life}, nil
	}
	return refresh.Outcome[[]byte]{}, failure
}

// Bounds on the document, as in package keyset.
var mirrorLimits = strictjson.Limits{Depth: 16, Members: 4096}

// check checks that a document is that of the issuer. A host must not give out the document of another server: clients
// that do not compare the issuer would log in there.
func (l *mirrorLoader) check(text []byte) error {
	document, err := strictjson.ParseObject(text, mirrorLimits)
	if err != nil {
		return fmt.Errorf("%w: %w", keyset.ErrFormat, err)
	}
	if name, has := document.Member("issuer"); !has || !name.Equal(l.issuer) {
		found, _ := name.Str()
		return &keyset.IssuerError{Found: found, Want: l.issuer}
	}
	return nil
}
