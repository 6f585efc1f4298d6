package gate

import (
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/fields"
	"github.com/caddyjwt/gateway/internal/possession"
)

// Strip removes whatever the client must not pass to the backend: the managed headers in every spelling, also as
// trailers, and the token, unless ForwardToken keeps it. A token in a trailer always goes. Strip also prevents the
// client from removing headers by means of Connection. Call it for every outcome, refusals included: an error route may
// have a backend, too.
func (g *Gate) Strip(r *http.Request) {
	if g.passesAsPreflight(r) {
		stripPreflight(r)
	}
	g.outputs.Strip(r.Header)
	if g.takesDPoP() {
		delete(r.Header, possession.Field)
	}
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
		g.stripTrailer(r) // last, since Remove must recognise the body that Extract read
	}
}

// TakesQuery reports whether a token in the query is removed from a request with this outcome.
func (g *Gate) TakesQuery(outcome Outcome) bool {
	return g.queryToken && (!g.keepToken || outcome == Public)
}

// StripTarget removes the token from a copy of the request target: a URL, and the text of the request line. Caddy keeps
// such a copy, restores it for error routes, and passes it to placeholders, logs and FastCGI backends. StripTarget
// changes the URL in place. It returns the text without the token, and reports whether the text has changed. Call it
// only if TakesQuery says so.
func (g *Gate) StripTarget(u *url.URL, text string) (stripped string, changed bool) {
	if u == nil || u.RawQuery == "" {
		return text, false
	}
	r := &http.Request{Method: http.MethodGet, URL: u, RequestURI: text, Header: make(http.Header)}
	g.extractor.Remove(r)
	return r.RequestURI, r.RequestURI != text
}

// stripUpgrade removes upgrades to other forms of HTTP: to HTTP/2 in clear text (deprecated by RFC 9113 section 3.1),
// to TLS (RFC 2817) and to another version of HTTP. In the tunnel that a backend would open, a client could send any
// number of requests that no gate sees. WebSocket and other protocols stay.
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

// methodOverrides are fields with which some backends replace the method of the request line.
var methodOverrides = fields.Of("X-HTTP-Method", "X-HTTP-Method-Override", "X-Method-Override", "X-Original-Method")

// stripPreflight makes sure that the backend sees a preflight, which passes without a token, as nothing else: its
// method stays OPTIONS, and it has no body. The query stays, since it is part of what the preflight asks about.
// Frameworks that read a method from the query, such as "_method", do so for POST only.
func stripPreflight(r *http.Request) {
	methodOverrides.Strip(r.Header)
	bearer.DropBody(r)
}

// settleConnection does what Connection asks of the proxy behind the gate (RFC 9110 section 7.6.1): it removes the
// fields that Connection names. The proxy would do so after the gate and the operator have set headers, and so the
// client could have them removed. Connection cannot name credentials and identity headers: those stay.
func (g *Gate) settleConnection(h http.Header, fields []string) {
	kept := make([]string, 0, 4) // usually on the stack
	settled := true
	for _, field := range fields {
		for option := range strings.SplitSeq(field, ",") {
			switch option = textproto.TrimString(option); {
			case aboutConnection.Has(option):
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

// aboutConnection lists the options that say something about the connection itself, whether or not they name a field.
var aboutConnection = fields.Of("close", "keep-alive", "Upgrade", "HTTP2-Settings", "TE")

// concernsIdentity reports whether a field, in whatever spelling, says who is calling: credentials, whether or not they
// are forwarded, and the headers that outputs set. A client may neither send such a field as a trailer nor name it in
// Connection.
func (g *Gate) concernsIdentity(name string) bool {
	return g.outputs.Has(name) || credentials.Has(name) || g.extractor.Needs(name) || g.proof.Names(name)
}

var credentials = fields.Of("Authorization", "Cookie")

// stripTrailer removes fields that concern identity or name another target from the trailers, which must have neither
// (RFC 9110 section 6.5.1): from the announced ones now, and from the received ones when the body ends. It does so even
// if the request keeps the token, since no token in a trailer was verified.
//
// When the body ends, net/http puts all received trailers into the map, announced or not, and a proxy forwards all of
// them. A body of known length has no trailers in HTTP/1.1, and in HTTP/2 only those that were announced. In HTTP/3 any
// body may have any trailers (RFC 9114 section 4.1), and the server passes all of them to the handler in a new map.
func (g *Gate) stripTrailer(r *http.Request) {
	b := &trailerBody{ReadCloser: r.Body, request: r, gate: g}
	b.strip()
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = b
	}
}

// trailerBody removes fields from a request's trailers when its body has ended, before the reader of the body sees
// them.
type trailerBody struct {
	io.ReadCloser
	request *http.Request
	gate    *Gate
	mu      sync.Mutex // a transport may close the body while it is being read
}

// Unwrap is for bearer.HasRead, which looks for the body inside.
func (b *trailerBody) Unwrap() io.ReadCloser { return b.ReadCloser }

func (b *trailerBody) strip() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.request.Trailer {
		if b.gate.concernsIdentity(name) || methodOverrides.Has(name) || targetOverrides.Has(name) {
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

// Close closes the body, which may read the rest of it, trailers included.
func (b *trailerBody) Close() error {
	err := b.ReadCloser.Close()
	b.strip()
	return err
}
