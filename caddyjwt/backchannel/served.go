package backchannel

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/reach"
)

// gate is a gate among the handlers of a configuration.
type gate interface {
	// LetsStrangersIn reports whether some requests pass without a token.
	LetsStrangersIn() bool
}

// WarnOfUnserved warns about receivers that no logout request gets to, once the configuration of ctx is in force. In a
// Caddyfile that happens to a gate inside of handle or route: its routes stay in that block, and the path is elsewhere.
func (r *Registry) WarnOfUnserved(ctx caddy.Context, logger *zap.Logger) {
	servers := serversOf(ctx)
	if len(servers) == 0 {
		return // the gates are in an app that we do not know
	}
	served, known := make(map[*Receiver]bool), true
	for _, path := range r.paths(1) {
		eachHost(servers, path, func(host string, server reach.Server) {
			reached, all := receiversAt(server, host, path, reach.Ends)
			for _, x := range reached {
				served[x] = true
			}
			known = known && all
		})
	}
	for _, x := range r.receivers {
		if known && !served[x] {
			logger.Warn("nothing gets the logout requests of this issuer, so sessions that it ends live on here: write "+
				"backchannel_logout and the path directly in the site, beside handle and route",
				zap.String("issuer", x.Settings.Issuer), zap.String("path", x.Path))
		}
	}
}

// collide returns an error if requests for one path of one host would get to one of two receivers, so that the server
// of the other is refused for ever.
func (r *Registry) collide(ctx caddy.Context) (err error) {
	servers := serversOf(ctx)
	for _, path := range r.paths(2) {
		eachHost(servers, path, func(host string, server reach.Server) {
			reached, known := receiversAt(server, host, path, reach.Ends)
			present, _ := receiversAt(server, host, path, reach.Passes)
			for _, x := range present {
				if err == nil && known && !slices.Contains(reached, x) {
					err = fmt.Errorf("backchannel_logout %s: gates of the host %s have different settings for this path, and "+
						"only the first is ever asked. They differ in %s: give each its own path", path, host,
						reached[0].difference(x))
				}
			}
		})
	}
	return err
}

// paths are those that at least n receivers have, in order.
func (r *Registry) paths(n int) (paths []string) {
	count := make(map[string]int)
	for _, x := range r.receivers {
		count[x.Path]++
	}
	for _, path := range slices.Sorted(maps.Keys(count)) {
		if count[path] >= n {
			paths = append(paths, path)
		}
	}
	return paths
}

// serversOf are the HTTP servers of a configuration.
func serversOf(ctx caddy.Context) []reach.Server {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return nil
	}
	return reach.Servers(app.(*caddyhttp.App))
}

// eachHost visits the hosts at which there is a handler with a path.
func eachHost(servers []reach.Server, path string, visit func(host string, server reach.Server)) {
	for _, server := range servers {
		hosts := server.Hosts(func(handler caddyhttp.MiddlewareHandler) bool {
			h, is := handler.(*Handler)
			return is && h.Path == path
		})
		for _, host := range hosts {
			visit(host, server)
		}
	}
}

// receiversAt are those that a logout request may get to, each once, if handlers with its path have an effect: Ends,
// as they do, or Passes, to find those that come after another one. all is false if there may be more, because the
// server has too many routes.
func receiversAt(server reach.Server, host, path string, effect reach.Effect) (reached []*Receiver, all bool) {
	result := reach.Walk{
		Method: http.MethodPost, Host: host, Path: path,
		Effect: func(handler caddyhttp.MiddlewareHandler) (reach.Effect, bool) {
			switch h := handler.(type) {
			case *Handler:
				if h.Path != path {
					return reach.Passes, true
				}
				if !slices.Contains(reached, h.receiver) {
					reached = append(reached, h.receiver)
				}
				return effect, true
			case gate:
				if h.LetsStrangersIn() {
					return reach.Perhaps, true
				}
				return reach.Ends, true
			default:
				return reach.Perhaps, false
			}
		},
	}.In(server)
	return reached, !result.Reached
}
