package gate

import (
	"crypto/x509"
	"net/http"
	"net/netip"
)

// Request is a request, and what only the server that took it knows about it. It is made once, by the adapter.
type Request struct {
	// HTTP is the request. Check reads a form body that may hold the token and gives it back; nothing else changes.
	HTTP *http.Request
	// Facts about the request. Direct gives those of a server without proxies in front.
	Facts Facts
}

// Facts are what a server knows about a request beside what the client wrote into it. Where proxies stand in front of
// the server, the facts are about what happened before the outermost one that is trusted. They are computed when a rule
// needs them: a request that no such rule looks at pays nothing.
type Facts interface {
	// Scheme is "https" or "http", as the client used it; empty when a trusted proxy does not say exactly that.
	Scheme() string
	// Host is the authority that the client addressed, with a port where it gave one; empty when a trusted proxy names
	// several.
	Host() string
	// Certificate is that of the client, whose key it proved to have; nil when there is none, or when the connection is
	// that of a trusted proxy. Nobody has verified more of it than the server's own settings ask for.
	Certificate() *x509.Certificate
	// Client is the client's address; the zero Addr when it is not known.
	Client() netip.Addr
}

// Direct gives the facts of the connection itself: there is no proxy to be trusted.
func Direct(r *http.Request) Facts { return direct{r} }

// direct is one pointer, so that it becomes Facts without an allocation.
type direct struct{ *http.Request }

func (d direct) Scheme() string {
	if d.TLS != nil {
		return "https"
	}
	return "http"
}

func (d direct) Host() string { return d.Request.Host }

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
