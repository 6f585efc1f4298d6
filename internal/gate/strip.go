package gate

import (
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
)

// Strip removes from a request whatever a client must not tell the backend: the managed headers in every spelling,
// their names inside Connection (the reverse proxy would delete ours after we set them, RFC 9110 section 7.6.1), the
// same as trailers, and the token, in trailers always. It is for every outcome, a refusal included: an error route may
// have a backend too.
func (g *Gate) Strip(r *http.Request) {
	g.managed.stripHeader(r.Header)
	if fields := r.Header["Upgrade"]; len(fields) > 0 {
		stripUpgrade(r.Header, fields)
	}
	if fields := r.Header["Connection"]; len(fields) > 0 {
		g.managed.stripConnection(r.Header, fields)
	}
	if !g.keepToken {
		g.extractor.Remove(r)
	}
	if len(r.Trailer) > 0 || r.ContentLength < 0 || r.ProtoMajor > 2 {
		g.stripTrailer(r) // last, since Remove has to know the body again that was read
	}
}

// TakesQuery tells whether a token that is taken out of the request can have been in its query.
func (g *Gate) TakesQuery() bool { return g.queryToken && !g.keepToken }

// StripTarget removes the token from a copy of the request's target that somebody keeps, a URL and the text of the
// request line: Caddy restores both for error routes, and tells them to placeholders, logs and FastCGI backends. The URL
// is changed in place; the text without the token comes back, and whether it is another one.
func (g *Gate) StripTarget(u *url.URL, text string) (stripped string, changed bool) {
	if !g.TakesQuery() || u == nil || u.RawQuery == "" {
		return text, false
	}
	r := &http.Request{Method: http.MethodGet, URL: u, RequestURI: text, Header: make(http.Header)}
	g.extractor.Remove(r)
	return r.RequestURI, r.RequestURI != text
}

// stripHeader deletes by raw key: Del would miss names that are not in canonical form.
func (m *managedHeaders) stripHeader(h http.Header) {
	for name := range h {
		if m.has(name) {
			delete(h, name)
		}
	}
}

// stripUpgrade refuses to pass on an upgrade to HTTP in another dress: to HTTP/2 in clear text (RFC 9113 section 3.1 has
// given it up), to TLS (RFC 2817) and to another version of HTTP. Inside the tunnel that a backend would open, a client
// could send any number of requests that no gate sees. WebSocket and others stay.
func stripUpgrade(h http.Header, fields []string) {
	for _, field := range fields {
		for protocol := range strings.SplitSeq(field, ",") {
			name, _, _ := strings.Cut(textproto.TrimString(protocol), "/")
			switch strings.ToLower(textproto.TrimString(name)) {
			case "h2c", "h2", "http", "tls":
				delete(h, "Upgrade")
				delete(h, "Http2-Settings")
				return
			}
		}
	}
}

// stripConnection drops managed names from the Connection options and leaves the others as they are.
func (m *managedHeaders) stripConnection(h http.Header, fields []string) {
	var kept []string
	found := false
	for _, field := range fields {
		for option := range strings.SplitSeq(field, ",") {
			option = textproto.TrimString(option)
			if m.has(option) {
				found = true
			} else if option != "" {
				kept = append(kept, option)
			}
		}
	}
	switch {
	case !found:
	case len(kept) == 0:
		delete(h, "Connection")
	default:
		h["Connection"] = []string{strings.Join(kept, ", ")}
	}
}

// stripTrailer removes managed names, and those of fields that may hold a token, from the announced trailers now and from
// the received ones when the body ends; the latter also when the token stays, since nobody has looked at these. net/http
// fills the map then, announced or not, and a proxy forwards it whole. A body of known length has no trailers in
// HTTP/1.1; in HTTP/2 it has only those that were announced. In HTTP/3 any body may have any (RFC 9114 section 4.1), and
// the server gives the handler all of them, in a map of their own.
func (g *Gate) stripTrailer(r *http.Request) {
	b := &trailerBody{ReadCloser: r.Body, request: r, gate: g}
	b.strip()
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = b
	}
}

// trailerBody removes the names that must not be there from the trailers of a request when its body has ended, before
// whoever read or closed it looks at them.
type trailerBody struct {
	io.ReadCloser
	request *http.Request
	gate    *Gate
	mu      sync.Mutex // a transport may close the body while it is being read
}

// Unwrap is for bearer.HasRead, which looks for what is inside.
func (b *trailerBody) Unwrap() io.ReadCloser { return b.ReadCloser }

func (b *trailerBody) strip() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.request.Trailer {
		if b.gate.managed.has(name) || b.gate.extractor.InHeader(name) {
			delete(b.request.Trailer, name)
		}
	}
}

func (b *trailerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.strip()
	}
	return n, err
}

// Close may read what is left, trailers included.
func (b *trailerBody) Close() error {
	err := b.ReadCloser.Close()
	b.strip()
	return err
}
