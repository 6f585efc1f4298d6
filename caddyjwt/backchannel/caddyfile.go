package backchannel

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// The directive comes after redir, which may send clients to another host, and before everything that rewrites. Every
// gate comes later, so no token is needed. See also order.go in package caddyjwt: the neighbour is no other directive's
// of this project.
func init() {
	httpcaddyfile.RegisterDirective("backchannel_logout", parseCaddyfile)
	httpcaddyfile.RegisterDirectiveOrder("backchannel_logout", httpcaddyfile.After, "redir")
}

// parseCaddyfile reads the directive.
func parseCaddyfile(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	return Route(h, handler), nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	backchannel_logout <path> [<issuer>]
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	args := d.RemainingArgs()
	switch {
	case len(args) == 0:
		return d.Err("backchannel_logout needs the path that an issuer of a gate has: backchannel_logout /backchannel-logout")
	case strings.HasPrefix(args[0], "@"), args[0] == "*":
		return d.Errf("backchannel_logout takes no matcher, because it answers only at its path: remove %q", args[0])
	case len(args) > 2:
		return d.Errf("backchannel_logout takes a path and perhaps an issuer: write a line for each path, and move %q to "+
			"its own", args[2])
	case d.NextBlock(0):
		return d.Errf("backchannel_logout has no block here: write %q into the block \"backchannel_logout\" of an issuer",
			d.Val())
	}
	h.Path = args[0]
	if len(args) == 2 {
		h.Issuer = args[1]
	}
	if err := checkPath(h.Path); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// Route is the route of a handler. The matcher only keeps other requests away from it; the handler compares the path
// itself.
func Route(h httpcaddyfile.Helper, handler *Handler) []httpcaddyfile.ConfigValue {
	return h.NewRoute(caddy.ModuleMap{"path": h.JSON(caddyhttp.MatchPath{handler.Path})}, handler)
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
