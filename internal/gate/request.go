package gate

import (
	"crypto/x509"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/revoke"
)

// Request is an HTTP request together with what only the server that received it knows. The adapter makes it once.
type Request struct {
	// HTTP is the request. Check may read a form body that may hold the token, and then puts it back. It changes
	// nothing else.
	HTTP *http.Request
	// Facts about the request. Direct has those of a server without trusted proxies.
	Facts Facts

	accepted      func(issuer string) []string // see Judge; nil for Check
	handedIn      *HandedIn                    // what Judge finds out; nil for Check
	expiredIsNone bool                         // the token is in a place where it counts as none once it has expired
	withDPoP      bool                         // the token came with the scheme DPoP
	proved        possession.Proved
	tokenHash     string        // see possession.Presented
	dry           bool          // the request is only to be explained, so its DPoP proof stays good
	expires       time.Time     // see Verdict
	revocable     *revoke.Token // see Verdict
}

// Facts are what a server knows about a request beyond its content. Behind trusted proxies they describe the request as
// the outermost of those received it. They are computed only when a rule needs them, so other requests pay nothing.
type Facts interface {
	// Scheme is "https" or "http", as the client used it. It is empty if a trusted proxy does not give exactly one of
	// them.
	Scheme() string
	// Host is the authority that the client addressed, with the port if it gave one. It is empty if a trusted proxy
	// names several.
	Host() string
	// Certificate is the client's. The client has proved possession of its key. Beyond that the certificate is verified
	// only as far as the server's settings require. It is nil if the client has none, or if the connection comes from a
	// trusted proxy.
	Certificate() *x509.Certificate
	// Method is the method in the request line, before any handler changed it. It is empty if it is unknown.
	Method() string
	// Target is the target in the request line, before any handler rewrote it. It is empty if it is unknown.
	Target() string
	// Proxied reports whether the connection comes from a trusted proxy.
	Proxied() bool
	// Client is the client's address, or the zero Addr if it is unknown.
	Client() netip.Addr
}

// Direct returns the facts of the connection itself, without trusting any proxy.
func Direct(r *http.Request) Facts { return direct{r} }

// direct is a single pointer, so converting it to Facts does not allocate.
type direct struct{ *http.Request }

func (d direct) Scheme() string {
	if d.TLS != nil {
		return "https"
	}
	return "http"
}

func (d direct) Host() string { return d.Request.Host }

func (d direct) Method() string { return d.Request.Method }

func (d direct) Target() string { return d.RequestURI }

func (d direct) Proxied() bool { return false }

func (d direct) Certificate() *x509.Certificate {
	if d.TLS == nil || len(d.TLS.PeerCertificates) == 0 {
		return nil
	}
	return d.TLS.PeerCertificates[0]
}

func (d direct) Client() netip.Addr {
	peer, err := netip.ParseAddrPort(d.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}
