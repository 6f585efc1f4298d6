package protected

import (
	"cmp"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/reach"
	"github.com/caddyjwt/gateway/internal/resource"
)

// Gate is a gate among the handlers of a configuration.
type Gate interface {
	// Guarded is the identifier of the gate's resource; empty for none.
	Guarded() string
	// LetsStrangersIn reports whether some requests pass without a token.
	LetsStrangersIn() bool
}

// WarnOfUnserved warns about resources whose metadata no request can get, once the configuration of ctx is in force. In
// a Caddyfile that happens to a gate inside of handle or route: its routes stay in that block, and the path of the
// metadata is elsewhere.
func (r *Registry) WarnOfUnserved(ctx caddy.Context, logger *zap.Logger) {
	guarded := r.Guarded()
	if len(guarded) == 0 {
		return
	}
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return // the gates are in an app that we do not know
	}
	servers := reach.Servers(app.(*caddyhttp.App))
	for _, id := range guarded {
		if result := metadataOf(id).In(servers); !result.Reached {
			logger.Warn("nothing serves the metadata of this resource, so clients cannot find out where to get a token: "+
				"write protected_resource and its URL directly in the site, beside handle and route",
				zap.Stringer("resource", id), zap.String("metadata", id.MetadataURL()),
				zap.String("answered_by", cmp.Or(result.By, "nothing")))
		}
	}
}

// metadataOf is the metadata of a resource, for a walk through handlers that run.
func metadataOf(id resource.Identifier) reach.Document {
	return reach.Document{
		Host: id.Host(), Path: id.MetadataPath(), Behind: cmp.Or(id.Path(), "/"),
		Serves: func(handler caddyhttp.MiddlewareHandler) bool {
			h, is := handler.(*Handler)
			return is && h.entry.id == id
		},
		Guards: func(handler caddyhttp.MiddlewareHandler) bool {
			gate, is := handler.(Gate)
			return is && gate.Guarded() == id.String()
		},
		Effect: effectOf,
	}
}

// effectOf is what a handler of ours does with a request without a token.
func effectOf(handler caddyhttp.MiddlewareHandler) (effect reach.Effect, ours bool) {
	switch handler := handler.(type) {
	case *Handler:
		return reach.Passes, true
	case Gate:
		if handler.LetsStrangersIn() {
			return reach.Perhaps, true
		}
		return reach.Ends, true
	default:
		return reach.Perhaps, false
	}
}
