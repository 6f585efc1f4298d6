// Package doubts looks for what loads and may not be meant: settings that let in more than they seem to, secrets that
// others may know, and tokens that never arrive. Each doubt is a warning, and never an error, because a configuration
// may have a reason that is written nowhere.
package doubts

import (
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/consumers"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/resource"
)

// Gate is a gate whose settings have passed all checks. Nothing in it changes.
type Gate struct {
	Config *gate.Config
	// Plans of the issuers, in the order of those of Config.
	Plans []issuers.Plan
	// Consumers as they are written, beside those of a file.
	Consumers []consumers.Consumer
	// TenantHeader is the header that gives the backend the tenant. It is empty without one.
	TenantHeader string
	// Resource is what the gate guards, as clients know it. It is nil without one.
	Resource *resource.Identifier
	// AuthServers are the authorization servers that the metadata of Resource names.
	AuthServers []string
	// Proxied is the issuer whose metadata clients get through Caddy. It is nil without one.
	Proxied *issuers.Plan
	// FAPI2 says that the gate keeps the FAPI 2.0 Security Profile.
	FAPI2 bool
	// Server is the HTTP server that has the gate. It is nil when that is not known.
	Server *caddyhttp.Server
}

// Warn takes a warning for operators, and what it is about. It has no secret, and no text of a stranger.
type Warn func(message string, about ...zap.Field)

// Of gives all doubts about a gate to warn, except those that OfResource has.
func Of(g *Gate, warn Warn) {
	g.example(warn)
	g.kinds(warn)
	g.tenants(warn)
	g.names(warn)
	g.secrets(warn)
	g.plainHTTP(warn)
	for _, doubt := range g.Config.Require.Doubts("require ") {
		warn(doubt)
	}
	g.droppedPlaces(warn)
	g.proofs(warn)
}

// forwardsTenant reports whether the backend learns the tenant of a caller.
func (g *Gate) forwardsTenant() bool { return g.TenantHeader != "" || g.tells("iss", "tid") }

// tells reports whether the backend learns one of these claims.
func (g *Gate) tells(names ...string) bool {
	return g.Config.ForwardPayload != "" || g.forwardsClaim(names...)
}

// forwardsClaim reports whether one of these claims has a header of its own.
func (g *Gate) forwardsClaim(names ...string) bool {
	return slices.ContainsFunc(g.Config.ForwardClaims, func(c gate.Forward) bool {
		return c.Path.Is(names...)
	})
}
