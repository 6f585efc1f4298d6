package caddyjwt

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// warnOfDroppedPlaces names headers that may hold the token and never arrive. This is a warning and not an error,
// because only the server knows which ones it drops, and a Caddyfile configures that elsewhere.
func (h *Handler) warnOfDroppedPlaces(ctx caddy.Context, built *compiled) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server == nil {
		return
	}
	for _, place := range built.config.Extractor.Places() {
		if place.Kind == bearer.Header && isDropped(server, place.Name) {
			h.log.warn("no token is found in this header: Caddy drops fields with \"_\" or \".\" in their names; have clients "+
				"send another one, or name it in the server option expected_underscore_headers or expected_dot_headers",
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

// isExpected reports whether a list has a name in lower case, as it stands or by how it begins ("webhook_*").
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
