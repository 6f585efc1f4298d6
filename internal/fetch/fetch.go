// Package fetch is the HTTP client for talking to authorization servers: key sets, metadata, introspection.
//
// Others have a say in what it fetches: a metadata document names the address of the keys, a server answers with a
// redirect, a name resolves to whatever its owner chooses. So every address is checked where it is used, down to the IP
// address that is dialled. Answers are bounded in size and time. Nothing but https is spoken beyond this machine,
// unless the operator allows http for private addresses.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
)

const (
	// DefaultTimeout bounds one Get from beginning to end, including redirects and the body.
	DefaultTimeout = 5 * time.Second

	// MaxBody is the greatest length of a body in bytes, after decompression.
	MaxBody = 1 << 20

	// maxRedirects is how many redirects Get follows.
	maxRedirects = 3

	// maxHeader bounds the header of an answer, in bytes.
	maxHeader = 64 << 10
)

var (
	// ErrAddress: CheckURL refuses the address, or what it resolves to must not be dialled.
	ErrAddress = errors.New("address not allowed")

	// ErrRedirect: a redirect that is not followed.
	ErrRedirect = errors.New("redirect not followed")

	// ErrTooLarge: the body is longer than MaxBody.
	ErrTooLarge = errors.New("answer too large")

	// ErrPin: no certificate of the server has a pinned key.
	ErrPin = errors.New("no certificate matches the pins")
)

// Client fetches from one authorization server with one set of TLS settings. It is safe for concurrent use. It has its
// own connections, and opens none before it is used.
type Client struct {
	transport *transport
	fields    fields // that every Get sends
	timeout   time.Duration
}

// Response is an answer to Get. Body is filled for status 200 only.
type Response struct {
	Status      int
	Body        []byte
	Header      http.Header
	NotModified bool // the document still has the ETag that was sent
}

// NewClient makes a client. It touches neither the network nor files. The error says which option is unusable.
func NewClient(options Options) (*Client, error) {
	fields, err := newFields(options)
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(options)
	if err != nil {
		return nil, err
	}
	return &Client{transport: transport, fields: fields, timeout: timeout(options)}, nil
}

// HTTP returns a client with the same connections, TLS settings and address checks, for requests that Get cannot make.
// It follows no redirects, because such requests carry credentials. It sets no deadline and adds no header fields. It
// shows the client certificate to every host that it talks to: see HTTPAt.
func (c *Client) HTTP() *http.Client { return direct(c.transport) }

// HTTPAt is HTTP, but shows the client certificate only to the origin of home.
func (c *Client) HTTPAt(home *url.URL) *http.Client { return direct(homebound{c.transport, home}) }

func direct(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Identified is a header with the header fields of the options, as they are at this moment, for a request of HTTP or
// HTTPAt to the configured server. Those of own win.
func (c *Client) Identified(own http.Header) http.Header {
	header, _ := c.fields.with(own)
	return header
}

// Close closes all connections. Requests under way fail, and so do later ones.
func (c *Client) Close() error {
	c.transport.closeIdle()
	c.transport.connections.close()
	return nil
}

// Get fetches a document. With an etag it asks for the document only if it has changed (RFC 9110 section 13.1.2). A
// status other than 200 is not an error.
//
// Get follows up to three redirects. Each target is checked like the address itself, and must have the same scheme. If
// more than LoopbackHTTP is allowed, http may lead to https, but never the reverse. The options' header fields and
// client certificate go only to the origin of the address, not to another that a redirect leads to.
//
// An etag belongs to the document at this very address. Two documents may well have the same one (RFC 9110 section
// 8.8.3), for example two files of the same length that were made in the same second. So it is not sent on after a
// redirect, and none is returned.
func (c *Client) Get(ctx context.Context, address, accept, etag string) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	plain := c.transport.plain
	target, err := plain.CheckURL(address)
	if err != nil {
		return nil, err
	}
	client, home := c.HTTPAt(target), target
	for redirects := 0; ; redirects++ {
		if redirects > 0 {
			etag = ""
		}
		response, err := c.get(ctx, client, target, accept, etag, SameOrigin(target, home))
		if err != nil && redirects > 0 {
			err = fmt.Errorf("redirected to %s: %w", target.Host, err)
		}
		if err != nil {
			return nil, err
		}
		next, err := plain.redirect(response, target)
		if err != nil {
			response.Body.Close()
			return nil, err
		}
		if next == nil {
			if redirects > 0 {
				response.Header.Del("ETag")
			}
			return read(response, etag != "")
		}
		response.Body.Close()
		if redirects == maxRedirects {
			return nil, fmt.Errorf("%w: more than %d", ErrRedirect, maxRedirects)
		}
		target = next
	}
}

// get asks once or, if the server refuses credentials that have changed in the meantime, twice. own says that the
// target may see them.
func (c *Client) get(
	ctx context.Context, client *http.Client, target *url.URL, accept, etag string, own bool,
) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAddress, err)
	}
	request.Header.Set("Accept", accept)
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	if !own {
		return do(client, request)
	}
	plain := request.Header
	var sent []uint64
	request.Header, sent = c.fields.with(plain)
	response, err := do(client, request)
	if err != nil || response.StatusCode != http.StatusUnauthorized || !c.fields.changed(sent) {
		return response, err
	}
	response.Body.Close()
	request = request.Clone(ctx)
	request.Header, _ = c.fields.with(plain)
	return do(client, request)
}

func do(client *http.Client, request *http.Request) (*http.Response, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, Discreet(err)
	}
	return response, nil
}

// Discreet returns an error of net/http without the parts that must not be logged: the address, whose query may contain
// a key, and what a server sent instead of HTTP, which may echo what it got. Errors of this package stay as they are.
func Discreet(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return errors.New("a malformed header")
	}
	text := err.Error()
	first, last := strings.IndexByte(text, '"'), strings.LastIndexByte(text, '"')
	switch {
	case first < 0 || errors.Is(err, ErrAddress):
		return err
	case first == last: // where the quoted text ends is unknown
		return errors.New(text[:first] + "...")
	}
	return errors.New(text[:first] + "..." + text[last+1:])
}

// redirect is where an answer leads; nil when it is not a redirect (RFC 9110 section 15.4).
func (p PlainHTTP) redirect(response *http.Response, from *url.URL) (*url.URL, error) {
	switch response.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return nil, nil
	}
	location, err := from.Parse(response.Header.Get("Location"))
	if err != nil || response.Header.Get("Location") == "" {
		return nil, fmt.Errorf("%w: no usable Location", ErrRedirect)
	}
	upgrade := p != LoopbackHTTP && from.Scheme == "http" && location.Scheme == "https"
	if location.Scheme != from.Scheme && !upgrade {
		return nil, fmt.Errorf("%w: from %s to another scheme", ErrRedirect, from.Scheme)
	}
	location.Fragment, location.RawFragment = "", ""
	next, err := p.CheckURL(location.String())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRedirect, err)
	}
	return next, nil
}

// read reads the body of an answer with status 200, and closes the body in any case. The transport has undone gzip by
// then. So the bound holds for what is kept in memory, whatever the length on the wire.
func read(response *http.Response, conditional bool) (*Response, error) {
	defer response.Body.Close()
	result := &Response{
		Status:      response.StatusCode,
		Header:      response.Header,
		NotModified: conditional && response.StatusCode == http.StatusNotModified,
	}
	if response.StatusCode != http.StatusOK {
		return result, nil
	}
	if response.ContentLength > MaxBody {
		return nil, ErrTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", Discreet(err))
	}
	if len(body) > MaxBody {
		return nil, ErrTooLarge
	}
	result.Body = body
	return result, nil
}
