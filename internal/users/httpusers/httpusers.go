// Package httpusers has a directory of users that an HTTP server judges: it gets a name and a password, and answers yes
// or no.
//
// A request is a POST with {"user": "...", "password": "..."} in JSON. A status of 2xx is a yes, 401 and 403 are a no,
// and anything else is no answer. With a yes, the server may send a JSON object with "sub", the name of the user in its
// own spelling; "roles", a list of texts; and "claims", an object with more claims. All may be missing. But a server
// that does not compare names exactly must send "sub": otherwise a user has as many identities as there are spellings.
//
// A password is sent at most once: no redirect is followed with it, and nothing is repeated.
package httpusers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/internal/fetch"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/users"
)

const (
	// DefaultInFlight is how many questions are under way at once.
	DefaultInFlight = 64
	// MaxBody is the greatest length of an answer, in bytes.
	MaxBody = 16 << 10

	maxInFlight = 1 << 10
	maxTimeout  = time.Minute
)

// Config says which server to ask.
type Config struct {
	// URL is where to ask. It is https, or http as far as Options.Plain allows.
	URL string
	// Options are the settings towards the server. Their header fields say who asks, and are sent along. Their Timeout
	// bounds a question from beginning to end, also while it waits for others.
	Options fetch.Options
	// MaxInFlight is how many questions are under way at once. Others wait. 0 means DefaultInFlight.
	MaxInFlight int
}

// Directory has the users of a server. It is safe for concurrent use.
type Directory struct {
	url     *url.URL
	client  *fetch.Client
	http    *http.Client
	timeout time.Duration
	slots   chan struct{}
}

var _ users.Remoter = (*Directory)(nil)

// New checks the settings. It does not look whether the server is there. The error is a *setting.Error. The caller
// closes the Directory.
func New(c Config) (*Directory, error) {
	u, err := c.Options.Plain.CheckURL(c.URL)
	if err != nil {
		return nil, setting.In("URL", err)
	}
	switch {
	case c.MaxInFlight < 0 || c.MaxInFlight > maxInFlight:
		return nil, setting.Errorf("MaxInFlight", "the questions under way are from 1 to %d", maxInFlight)
	case c.Options.Timeout < 0 || c.Options.Timeout > maxTimeout:
		return nil, setting.Errorf("Options.Timeout", "the time for a question is up to %s", maxTimeout)
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = DefaultInFlight
	}
	if c.Options.Timeout == 0 {
		c.Options.Timeout = fetch.DefaultTimeout
	}
	client, err := fetch.NewClient(c.Options)
	switch {
	case errors.Is(err, fetch.ErrHeaderField):
		return nil, setting.In("Options.Header", err)
	case err != nil:
		return nil, setting.In("Options", err)
	}
	return &Directory{
		url: u, client: client, http: client.HTTPAt(u), timeout: c.Options.Timeout,
		slots: make(chan struct{}, c.MaxInFlight),
	}, nil
}

// Close closes all connections. Questions under way have no answer, and so have later ones.
func (d *Directory) Close() error { return d.client.Close() }

// Remote implements users.Remoter.
func (d *Directory) Remote(string) bool { return true }

// Find implements users.Directory. It always returns an ErrCannotKnow.
func (d *Directory) Find(context.Context, string) (*users.User, error) {
	return nil, users.ErrCannotKnow
}

// Check implements users.Directory.
func (d *Directory) Check(ctx context.Context, name, password string) (*users.User, error) {
	if err := users.Acceptable(name, password); err != nil {
		return nil, err
	}
	if !utf8.ValidString(password) { // JSON would send another one
		return nil, fmt.Errorf("%w: the password is not UTF-8", users.ErrRefused)
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	case <-ctx.Done():
		return nil, d.unavailable(fmt.Errorf("too many questions are under way: %w", ctx.Err()))
	}
	user, err := d.ask(ctx, name, password)
	if err != nil && !errors.Is(err, users.ErrRefused) {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, d.unavailable(err)
	}
	return user, err
}

// unavailable says that the server cannot be asked, or that its answer is of no use.
func (d *Directory) unavailable(err error) error {
	return fmt.Errorf("%w: %s://%s: %w", users.ErrUnavailable, d.url.Scheme, d.url.Host, err)
}

// request makes a request that net/http never sends twice: the server could count two attempts. It has a connection of
// its own, and no GetBody. On a connection from before, the server may just have hung up. A POST is not repeated then
// (RFC 9110 section 9.2.2), and the user would wait for nothing.
func (d *Directory) request(ctx context.Context, name, password string) (*http.Request, error) {
	body, err := json.Marshal(map[string]string{"user": name, "password": password})
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fetch.Discreet(err)
	}
	r.GetBody, r.Close = nil, true
	r.Header = d.client.Identified(http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json"},
	})
	return r, nil
}

func (d *Directory) ask(ctx context.Context, name, password string) (*users.User, error) {
	r, err := d.request(ctx, name, password)
	if err != nil {
		return nil, err
	}
	answer, err := d.http.Do(r)
	if err != nil {
		return nil, fetch.Discreet(err)
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("%w: the server answers with status %d", users.ErrRefused, answer.StatusCode)
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		return nil, fmt.Errorf("it answers with status %d", answer.StatusCode)
	}
	body, err := read(answer)
	if err != nil {
		return nil, err
	}
	return userOf(name, body)
}

// read reads an answer of at most MaxBody bytes. An answer of another type than JSON says nothing about the user.
func read(answer *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(answer.Body, MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", fetch.Discreet(err))
	}
	if len(body) > MaxBody {
		return nil, fmt.Errorf("the answer has more than %d bytes", MaxBody)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, errors.New("the answer is not of the type application/json; it may be empty")
	}
	return body, nil
}
