package reach

import "github.com/caddyserver/caddy/v2/modules/caddyhttp"

// Document is a document that describes something behind a gate, and that clients get without a token.
type Document struct {
	// Host is that of the addresses of both, and Path and Behind are their paths.
	Host, Path, Behind string
	// Serves reports whether a handler answers requests for the document.
	Serves func(caddyhttp.MiddlewareHandler) bool
	// Guards reports whether a handler is a gate of what the document describes.
	Guards func(caddyhttp.MiddlewareHandler) bool
	// Effect is what other handlers do with a request without a token: see Walk.
	Effect func(caddyhttp.MiddlewareHandler) (effect Effect, ok bool)
}

// In looks for the document in servers.
//
// If requests for the host get to the gate, those for the document must get to its handler. Otherwise a proxy before
// Caddy changes the host, and no host matcher says anything.
func (d Document) In(servers []Server) Result {
	w := Walk{Host: d.Host, Path: d.Path, Effect: d.without}
	result := w.InAny(servers)
	if result.Reached {
		return result
	}
	gate := Walk{Host: d.Host, Path: d.Behind, Effect: d.with}
	if gate.InAny(servers).Reached {
		return result
	}
	w.AnyHost = true
	return w.InAny(servers)
}

// without is Effect, for a walk to the document.
func (d Document) without(handler caddyhttp.MiddlewareHandler) (Effect, bool) {
	if d.Serves(handler) {
		return Found, true
	}
	return d.Effect(handler)
}

// with is Effect, for a walk to the gate by a request that every other gate lets through.
func (d Document) with(handler caddyhttp.MiddlewareHandler) (Effect, bool) {
	if d.Guards(handler) {
		return Found, true
	}
	effect, ok := d.Effect(handler)
	if ok && effect == Ends {
		effect = Passes
	}
	return effect, ok
}
