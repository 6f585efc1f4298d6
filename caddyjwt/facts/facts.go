// Package facts has what Caddy knows about a request beyond its content.
package facts

import (
	"crypto/x509"
	"net/http"
	"net/netip"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/internal/gate"
)

// Of is what Caddy knows about a request. It does not allocate.
func Of(r *http.Request) gate.Facts { return facts{r} }

// facts are what Caddy knows about a request. X-Forwarded-* fields count only from a proxy that Caddy trusts (the
// server's trusted_proxies). The struct is one pointer, so turning it into gate.Facts does not allocate.
type facts struct{ *http.Request }

// Scheme implements gate.Facts.
func (f facts) Scheme() string {
	said, told := f.forwarded("X-Forwarded-Proto")
	switch {
	case !told:
		return gate.Direct(f.Request).Scheme()
	case strings.EqualFold(said, "https"), strings.EqualFold(said, "wss"): // as Traefik says of a WebSocket
		return "https"
	case strings.EqualFold(said, "http"), strings.EqualFold(said, "ws"):
		return "http"
	default:
		return ""
	}
}

// Host implements gate.Facts. The request that Caddy keeps as the original one has no host. So if an earlier handler
// has changed the host, that is what counts.
func (f facts) Host() string {
	if said, told := f.forwarded("X-Forwarded-Host"); told {
		return said
	}
	return f.Request.Host
}

// Method implements gate.Facts. Without the original request nobody knows what handlers have made of it.
func (f facts) Method() string {
	original, _ := f.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	return original.Method
}

// Target implements gate.Facts. Without the original request nobody knows what handlers have rewritten.
func (f facts) Target() string {
	original, _ := f.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	return original.RequestURI
}

// Certificate implements gate.Facts. The certificate of a trusted proxy is not the client's.
func (f facts) Certificate() *x509.Certificate {
	if f.Proxied() {
		return nil
	}
	return gate.Direct(f.Request).Certificate()
}

// Client implements gate.Facts. Caddy has determined the address already.
func (f facts) Client() netip.Addr {
	text, known := caddyhttp.GetVar(f.Context(), caddyhttp.ClientIPVarKey).(string)
	if !known {
		return gate.Direct(f.Request).Client()
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap()
}

// forwarded is a field of a trusted proxy. It is "" if the field has more than one value. told is false without a
// trusted proxy or the field.
func (f facts) forwarded(field string) (said string, told bool) {
	values := f.Header[field]
	if len(values) == 0 || !f.Proxied() {
		return "", false
	}
	if len(values) > 1 || strings.Contains(values[0], ",") {
		return "", true
	}
	return strings.TrimSpace(values[0]), true
}

// Proxied implements gate.Facts.
func (f facts) Proxied() bool {
	trusted, _ := caddyhttp.GetVar(f.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted
}
