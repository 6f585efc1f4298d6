package keyset

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/caddyjwt/gateway/internal/fetch"
)

// RemoteOptions are the settings of a source behind a JWKS URL.
type RemoteOptions struct {
	// URL of the JWK Set; see fetch.CheckURL for what it may be.
	URL string
	// Fetch has the TLS settings and header fields towards the server.
	Fetch fetch.Options
	// Taken says which keys of the set are wanted; the zero value is fine.
	Taken Selection
	// Timing; the zero value is fine.
	Timing Timing
	// Logger gets changes of state; nil for none. It outlives whoever makes the source if the source is shared.
	Logger *slog.Logger

	transport getter // for tests
}

// Fingerprint is a hash of all settings but the logger. One source can serve all who want the same fingerprint.
func (o RemoteOptions) Fingerprint() [sha256.Size]byte {
	h := newFingerprint("remote")
	hashText(h, o.URL)
	settings := o.Fetch.Fingerprint()
	h.Write(settings[:])
	o.Taken.fingerprint(h)
	o.Timing.fingerprint(h)
	return [sha256.Size]byte(h.Sum(nil))
}

// Remote is a source behind a JWKS URL.
type Remote struct{ *refresher }

var _ Source = (*Remote)(nil)

// NewRemote makes a source of the keys behind a JWKS URL. It does not touch the network: the first request for a key
// does, or Start.
func NewRemote(options RemoteOptions) (*Remote, error) {
	if _, err := fetch.CheckURL(options.URL); err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	if err := errors.Join(options.Taken.check(), options.Timing.defaults()); err != nil {
		return nil, err
	}
	client, err := newGetter(options.transport, options.Fetch, options.Timing)
	if err != nil {
		return nil, err
	}
	l := &jwksLoader{client: client, url: options.URL, taken: options.Taken}
	return &Remote{newRefresher(label(options.URL), options.Timing, l, options.Logger)}, nil
}

// label is an address as it is logged: a query may contain something that is not for logs.
func label(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}

// getter is what sources want of fetch.Client.
type getter interface {
	Get(ctx context.Context, url, accept, etag string) (*fetch.Response, error)
	Close() error
}

func newGetter(given getter, options fetch.Options, timing Timing) (getter, error) {
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
	client getter
	url    string
	taken  Selection
	etag   string // of the last set that was usable
}

func (l *jwksLoader) close() error { return l.client.Close() }

// load gets the set. Its errors name the address, which is the metadata's choice with discovery.
func (l *jwksLoader) load(ctx context.Context) (loaded, error) {
	result, err := l.get(ctx)
	if err != nil {
		return loaded{}, fmt.Errorf("key set %s: %w", label(l.url), err)
	}
	return result, nil
}

func (l *jwksLoader) get(ctx context.Context) (loaded, error) {
	etag := l.etag
	l.etag = "" // what failed is asked for anew: it may be the tag that the server, or something before it, cannot bear
	response, err := l.client.Get(ctx, l.url, acceptJWKS, etag)
	if err != nil {
		return loaded{}, err
	}
	// Only a good answer has a say in when to ask again: an error page may be cacheable for a year.
	life := lifetime(response.Header, time.Now())
	switch {
	case response.NotModified && etag != "":
		l.etag = etag
		return loaded{notModified: true, life: life}, nil
	case response.Status != http.StatusOK:
		err := fmt.Errorf("the server answered with status %d", response.Status)
		return loaded{}, askedToWait(err, response, time.Now())
	}
	keys, skipped, err := parseJWKS(response.Body, l.taken)
	if err != nil {
		return loaded{}, describe(err, response)
	}
	l.etag = entityTag(response.Header)
	return loaded{keys: keys, skipped: skipped, life: life}, nil
}

// maxTag bounds entity tags: real ones are hashes and times.
const maxTag = 256

// entityTag is the tag of an answer (RFC 9110 section 8.8.3), empty when there is none that is worth sending back.
func entityTag(header http.Header) string {
	if tag := header.Get("ETag"); len(tag) <= maxTag {
		return tag
	}
	return ""
}

// describe adds what the server said that its answer was, if that is the likely reason: a media type and nothing else that
// it may have sent.
func describe(err error, response *fetch.Response) error {
	kind, _, mimeErr := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if mimeErr != nil || len(kind) > 100 || !strings.Contains(kind, "/") {
		return err
	}
	return fmt.Errorf("%w (Content-Type %q)", err, kind)
}
