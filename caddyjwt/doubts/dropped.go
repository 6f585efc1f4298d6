package doubts

import (
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/bearer"
)

// droppedPlaces names headers that are places for a token, or for a certificate, and never arrive. This is a warning,
// not an error: only the server knows which fields it drops, and a Caddyfile configures that elsewhere.
func (g *Gate) droppedPlaces(warn Warn) {
	if g.Server == nil {
		return
	}
	check := func(what, name string) {
		if isDropped(g.Server, name) {
			warn(what+" in this header never arrive: Caddy drops fields with \"_\" or \".\" in their names; use another "+
				"header, or list this one in the server option expected_underscore_headers or expected_dot_headers",
				zap.String("header", name))
		}
	}
	for _, place := range g.Config.Extractor.Places() {
		if place.Kind == bearer.Header {
			check("tokens", place.Name)
		}
	}
	if p := g.Config.Proof; p != nil && p.Certificates != nil {
		check("client certificates", p.Certificates.Header)
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
