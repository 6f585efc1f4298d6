package caddyjwt

import (
	"context"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/facts"
	"github.com/caddyjwt/gateway/internal/gate"
)

// strip removes from the request what must not travel on. It also removes the token from the original target, which
// Caddy keeps for error routes, placeholders and FastCGI. Caddy keeps that target by value, so the request gets a
// context with another one. A handler before the gate, such as tracing, may have passed on a copy of the request. Caddy
// still evaluates the placeholder of the target against the first request, so strip sets the placeholder by name, too.
func (h *Handler) strip(r *http.Request, verdict gate.Verdict) {
	switch {
	case verdict.Outcome == gate.Public:
		h.gate.StripPublic(r)
	case verdict.TokenExpired:
		h.gate.RemoveToken(r)
	}
	h.gate.StripCertificate(r, facts.Of(r).Proxied())
	h.gate.Strip(r)
	if !h.gate.TakesQuery(verdict.Outcome) {
		return
	}
	original, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if !ok {
		return
	}
	text := original.RequestURI
	repl, known := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if known {
		if told, ok := repl.GetString(originalURI); ok {
			text = told // another gate may have removed its token from it already
		}
	}
	text, changed := h.gate.StripTarget(original.URL, text)
	if !changed {
		return
	}
	if known {
		repl.Set(originalURI, text)
	}
	original.RequestURI = text
	*r = *r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, original))
}

// originalURI is the placeholder for the original request line.
const originalURI = "http.request.orig_uri"
