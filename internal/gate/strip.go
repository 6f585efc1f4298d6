package gate

import (
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// Strip removes from a request whatever a client must not tell the backend: the managed headers in every spelling, the
// same as trailers, and the token, in trailers always; and it takes Connection out of the client's hands. It is for
// every outcome, a refusal included: an error route may have a backend too.
func (g *Gate) Strip(r *http.Request) {
	if g.letsPreflight(r) {
		stripPreflight(r)
	}
	g.managed.stripHeader(r.Header)
	if fields := r.Header["Upgrade"]; len(fields) > 0 {
		stripUpgrade(r.Header, fields)
	}
	if fields := r.Header["Connection"]; len(fields) > 0 {
		g.settleConnection(r.Header, fields)
	}
	if !g.keepToken {
		g.extractor.Remove(r)
	}
	if len(r.Trailer) > 0 || r.ContentLength < 0 || r.ProtoMajor > 2 {
		g.stripTrailer(r) // last, since Remove has to know the body again that was read
	}
}

// TakesQuery reports whether a token that is taken out of the request can have been in its query.
func (g *Gate) TakesQuery() bool { return g.queryToken && !g.keepToken }

// StripTarget removes the token from a copy of the request's target that somebody keeps, a URL and the text of the
// request line: Caddy restores both for error routes, and tells them to placeholders, logs and FastCGI backends. The
// URL is changed in place; the text without the token comes back, and whether it is another one.
func (g *Gate) StripTarget(u *url.URL, text string) (stripped string, changed bool) {
	if !g.TakesQuery() || u == nil || u.RawQuery == "" {
		return text, false
	}
	r := &http.Request{Method: http.MethodGet, URL: u, RequestURI: text, Header: make(http.Header)}
	g.extractor.Remove(r)
	return r.RequestURI, r.RequestURI != text
}

// stripHeader deletes by raw key: Del would miss names that are not in canonical form.
func (m *headerNames) stripHeader(h http.Header) {
	for name := range h {
		if m.has(name) {
			delete(h, name)
		}
	}
}

// stripUpgrade refuses to pass on an upgrade to HTTP in another dress: to HTTP/2 in clear text (RFC 9113 section 3.1
// has given it up), to TLS (RFC 2817) and to another version of HTTP. Inside the tunnel that a backend would open, a
// client could send any number of requests that no gate sees. WebSocket and others stay.
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

// methodOverrides are the fields by which some backends take another method than that of the request line.
var methodOverrides = namesOf("X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override")

// stripPreflight makes sure that a preflight, which passes without a token, is no more than that for the backend: it
// stays OPTIONS, and has no body. The query stays: it belongs to what the preflight asks about, and frameworks that
// read a method there, such as "_method", do so for POST.
func stripPreflight(r *http.Request) {
	methodOverrides.stripHeader(r.Header)
	bearer.DropBody(r)
}

// settleConnection does at the gate what Connection asks of a proxy behind it (RFC 9110 section 7.6.1): fields that it
// names are removed now, so that nothing that is set from here on can be removed by a client's word: our identity
// headers, and what an operator sets. Credentials and identity are not the client's to remove; they stay where they
// are.
func (g *Gate) settleConnection(h http.Header, fields []string) {
	kept := make([]string, 0, 4) // on the stack, as a rule
	settled := true
	for _, field := range fields {
		for option := range strings.SplitSeq(field, ",") {
			switch option = textproto.TrimString(option); {
			case aboutConnection.has(option):
				kept = append(kept, option)
			case option != "":
				settled = false
				if !g.concernsIdentity(option) {
					delete(h, textproto.CanonicalMIMEHeaderKey(option))
				}
			}
		}
	}
	switch {
	case settled:
	case len(kept) == 0:
		delete(h, "Connection")
	default:
		h["Connection"] = []string{strings.Join(kept, ", ")}
	}
}

// aboutConnection are the options that say something about the connection itself, beside or in place of a field.
var aboutConnection = namesOf("close", "keep-alive", "Upgrade", "HTTP2-Settings", "TE")

// concernsIdentity reports whether a field says who is calling: credentials, whether or not they travel on, and what we
// tell the backend, in every spelling. A client may neither send such a field as a trailer nor name it in Connection.
func (g *Gate) concernsIdentity(name string) bool {
	return g.managed.has(name) || credentials.has(name) || g.extractor.Needs(name)
}

var credentials = namesOf("Authorization", "Cookie")

// stripTrailer removes managed names, and those of fields that may hold a token, from the announced trailers now and
// from the received ones when the body ends; the latter also when the token stays, since nobody has looked at these.
// net/http fills the map then, announced or not, and a proxy forwards it whole. A body of known length has no trailers
// in HTTP/1.1; in HTTP/2 it has only those that were announced. In HTTP/3 any body may have any (RFC 9114 section 4.1),
// and the server gives the handler all of them, in a map of their own.
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
		if b.gate.concernsIdentity(name) {
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
