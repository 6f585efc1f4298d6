package caddyjwt

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// warnOfDroppedPlaces names headers that are places for a token and never arrive. This is a warning, not an error: only
// the server knows which fields it drops, and a Caddyfile configures that elsewhere.
func (h *Handler) warnOfDroppedPlaces(ctx caddy.Context, built *compiled) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server == nil {
		return
	}
	for _, place := range built.config.Extractor.Places() {
		if place.Kind == bearer.Header && isDropped(server, place.Name) {
			h.log.warn("tokens in this header never arrive: Caddy drops fields with \"_\" or \".\" in their names; use another "+
				"header, or list this one in the server option expected_underscore_headers or expected_dot_headers",
				zap.String("header", place.Name))
		}
	}
}

// isDropped reports whether a server drops header fields with this name (caddyhttp.Server.ExpectedUnderscoreHeaders and
// ExpectedDotHeaders).
func isDropped(server *caddyhttp.Server, name string) bool {
	name = strings.ToLower(name)
	underscore, dot := strings.Contains(name, "_"), strings.Contains(name, ".")
	return (underscore || dot) &&
		!(underscore && isExpected(server.ExpectedUnderscoreHeaders, name, !dot)) &&
		!(dot && isExpected(server.ExpectedDotHeaders, name, !underscore))
}

// isExpected reports whether a list has a name in lower case: the name itself, or a prefix of it ("webhook_*").
func isExpected(list []string, name string, globs bool) bool {
	for _, entry := range list {
		entry = strings.ToLower(entry)
		prefix, glob := strings.CutSuffix(entry, "*")
		if entry == name || glob && globs && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
