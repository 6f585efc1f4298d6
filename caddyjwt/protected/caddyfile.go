package protected

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/internal/resource"
)

// The directive comes after redir, which may send clients to another host, and before everything that rewrites. Every
// gate comes later, so no token is needed. See also order.go in package caddyjwt: the neighbour is no other directive's
// of this project.
func init() {
	httpcaddyfile.RegisterDirective("protected_resource", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("protected_resource", httpcaddyfile.Before, "method")
}

// parseCaddyfile reads the directive. Its matcher follows from the resource. The gate, which may be in another file,
// decides whether there is metadata of an authorization server. So there is a route for each of the two paths.
func parseCaddyfile(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return Routes(h, handler.Resource, true), nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	protected_resource <url>
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	args := d.RemainingArgs()
	switch {
	case len(args) == 0:
		return d.Err("protected_resource needs the URL of a resource, as it is in the gate that guards it: " +
			"protected_resource https://mcp.example.com/mcp")
	case strings.HasPrefix(args[0], "/"), strings.HasPrefix(args[0], "@"), args[0] == "*":
		return d.Errf("protected_resource takes no matcher, because it answers only at the address of the metadata: "+
			"remove %q", args[0])
	case len(args) > 1:
		return d.Errf("protected_resource takes one URL: write a line for each resource, and move %q to its own", args[1])
	case d.NextBlock(0):
		return d.Errf("protected_resource has no block: write %q into the block \"resource\" of the gate", d.Val())
	}
	h.Resource = args[0]
	if strings.ContainsAny(h.Resource, "{}") { // known when the configuration loads
		return nil
	}
	if _, err := resource.Parse(h.Resource); err != nil {
		return d.Errf("protected_resource %s: %w", h.Resource, err)
	}
	return nil
}

// Routes are the routes that serve the metadata of a resource. server says that they may also serve the metadata of an
// authorization server. The matchers only keep other requests away from the handler, which compares the path itself.
//
// Each path has a route of its own. Caddy sorts the routes of a directive by their paths, and cannot compare a route
// with several: the gates before such a route and those behind it would not be sorted either.
func Routes(h httpcaddyfile.Helper, url string, server bool) (routes []httpcaddyfile.ConfigValue) {
	paths := []string{resource.WellKnown + "*"}
	if id, err := resource.Parse(url); err == nil && !strings.ContainsAny(url, "{}") {
		paths[0] = id.MetadataPath()
	}
	if server {
		paths = append(paths, AuthServerPath)
	}
	for _, path := range paths {
		matcher := caddy.ModuleMap{"path": h.JSON(caddyhttp.MatchPath{path})}
		routes = append(routes, h.NewRoute(matcher, &Handler{Resource: url})...)
	}
	return routes
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
