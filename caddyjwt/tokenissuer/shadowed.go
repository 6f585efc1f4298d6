package tokenissuer

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/reach"
)

// maxCompared is how many issuers of a server are compared with each other.
const maxCompared = 100

// warnOfShadow warns about addresses of the issuer whose requests surely get to another one, which is before it at the
// same site. It is for when the configuration of ctx is in force.
func (h *Handler) warnOfShadow(ctx caddy.Context) {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return // the handler is in an app that we do not know
	}
	for _, server := range reach.Servers(app.(*caddyhttp.App)) {
		for _, host := range h.hostsAt(server) {
			h.warnOfShadowAt(server, host)
		}
	}
}

// hostsAt are the hosts of a server at which the issuer is, unless there are too many issuers to compare.
func (h *Handler) hostsAt(server reach.Server) []string {
	issuers := 0
	hosts := server.Hosts(func(handler caddyhttp.MiddlewareHandler) bool {
		other, is := handler.(*Handler)
		if is {
			issuers++
		}
		return is && other == h
	})
	if issuers < 2 || issuers > maxCompared {
		return nil
	}
	return hosts
}

// warnOfShadowAt does that for one host: a line for each other issuer.
func (h *Handler) warnOfShadowAt(server reach.Server, host string) {
	before := make(map[string][]string) // addresses, by the name of the other issuer
	for _, path := range h.issuer.addresses() {
		reached := issuersAt(server, host, path, reach.Ends)
		if len(reached) != 1 || reached[0].built.name == h.built.name {
			continue
		}
		if slices.Contains(issuersAt(server, host, path, reach.Passes), h) {
			before[reached[0].built.name] = append(before[reached[0].built.name], path)
		}
	}
	for other, paths := range before {
		h.logger.Warn("another token_issuer of the site answers these addresses, so nothing gets to this one: give one of "+
			"the two other paths, with oauth_endpoints", zap.String("issuer", h.built.name), zap.String("other", other),
			zap.String("host", host), zap.Strings("endpoints", paths))
	}
}

// issuersAt are those that a request to an address may get to, if those that have the address have an effect: Ends, as
// they do, or Passes, to find those that come after another one. There is none if nobody knows.
func issuersAt(server reach.Server, host, path string, effect reach.Effect) (found []*Handler) {
	result := reach.Walk{
		Method: http.MethodPost, Host: host, Path: path,
		Effect: func(handler caddyhttp.MiddlewareHandler) (reach.Effect, bool) {
			other, is := handler.(*Handler)
			switch {
			case !is:
				return reach.Perhaps, false
			case other.issuer == nil || other.issuer.byPath[path] == nil:
				return reach.Passes, true
			case !slices.Contains(found, other):
				found = append(found, other)
			}
			return effect, true
		},
	}.In(server)
	if result.Reached {
		return nil
	}
	return found
}
