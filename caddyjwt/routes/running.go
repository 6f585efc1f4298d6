package routes

import (
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// maxDepth is how deep routes may nest. It is far beyond what people write.
const maxDepth = 64

// Running finds handlers in the routes of a provisioned app, in the order of InConfig. take is called for each handler,
// with the way to it. The numbers of ways are zero: take counts. Handlers inside of handlers that only other modules
// know are not found.
func Running(app *caddyhttp.App, take func(caddyhttp.MiddlewareHandler, Way)) {
	for _, name := range slices.Sorted(maps.Keys(app.Servers)) {
		server, w := app.Servers[name], walker{take}
		at := Way{Server: name}
		w.list(server.Routes, at, 0)
		if server.Errors != nil {
			w.list(server.Errors.Routes, at.inErrors(), 0)
		}
		for _, route := range slices.Sorted(maps.Keys(server.NamedRoutes)) {
			if named := server.NamedRoutes[route]; named != nil {
				w.list(caddyhttp.RouteList{*named}, at, 0)
			}
		}
	}
}

type walker struct {
	take func(caddyhttp.MiddlewareHandler, Way)
}

func (w walker) list(list caddyhttp.RouteList, at Way, depth int) {
	if depth > maxDepth {
		return
	}
	for i := range list {
		below := at.below(levelOfSets(list[i].MatcherSets))
		for _, handler := range list[i].Handlers {
			w.take(handler, below)
			if sub, ok := handler.(*caddyhttp.Subroute); ok {
				w.list(sub.Routes, below, depth+1)
				if sub.Errors != nil {
					w.list(sub.Errors.Routes, below.inErrors(), depth+1)
				}
			}
		}
	}
}

// levelOfSets is levelOf for matchers that were provisioned.
func levelOfSets(sets caddyhttp.MatcherSets) level {
	var l leveler
	for _, set := range sets {
		var hosts, paths []string
		for _, matcher := range set {
			switch m := matcher.(type) {
			case *caddyhttp.MatchHost:
				hosts = *m
			case caddyhttp.MatchHost:
				hosts = m
			case *caddyhttp.MatchPath:
				paths = *m
			case caddyhttp.MatchPath:
				paths = m
			case caddy.Module:
				l.other(m.CaddyModule().ID.Name())
			}
		}
		l.set(hosts, paths)
	}
	slices.Sort(l.l.others)
	return l.level()
}
