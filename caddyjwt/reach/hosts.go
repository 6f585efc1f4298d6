package reach

import (
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// anyLabel stands for a part of a host that is written "*", and for a host that no matcher names.
const anyLabel = "any"

// Hosts are hosts whose requests may get to a handler: those that matchers on the way to it name, with a label in place
// of each "*", or one that no matcher names if there are none. A matcher with a placeholder names none. They are in
// order.
func (s Server) Hosts(is func(caddyhttp.MiddlewareHandler) bool) []string {
	found := make(map[string]struct{})
	s.hosts(s.Routes, nil, 0, func(handler caddyhttp.MiddlewareHandler, named []string) {
		if !is(handler) {
			return
		}
		if len(named) == 0 {
			named = []string{anyLabel + ".invalid"} // RFC 2606 section 2
		}
		for _, host := range named {
			found[host] = struct{}{}
		}
	})
	return slices.Sorted(maps.Keys(found))
}

// hosts visits each handler with the hosts that matchers on the way to it name.
func (s Server) hosts(
	list caddyhttp.RouteList, before []string, depth int, visit func(caddyhttp.MiddlewareHandler, []string),
) {
	if depth > maxDepth {
		return
	}
	for i := range list {
		named := append(slices.Clip(before), hostsOf(list[i].MatcherSets)...)
		for _, handler := range list[i].Handlers {
			switch h := handler.(type) {
			case *caddyhttp.Subroute:
				s.hosts(h.Routes, named, depth+1, visit)
			case *caddyhttp.Invoke:
				if route := s.Named[h.Name]; route != nil {
					s.hosts(caddyhttp.RouteList{*route}, named, depth+1, visit)
				}
			default:
				visit(handler, named)
			}
		}
	}
}

func hostsOf(sets caddyhttp.MatcherSets) (named []string) {
	for _, set := range sets {
		for _, matcher := range set {
			var hosts caddyhttp.MatchHost
			switch m := matcher.(type) {
			case *caddyhttp.MatchHost:
				hosts = *m
			case caddyhttp.MatchHost:
				hosts = m
			}
			for _, host := range hosts {
				if !hasPlaceholder(host) {
					named = append(named, strings.ReplaceAll(host, "*", anyLabel))
				}
			}
		}
	}
	return named
}
