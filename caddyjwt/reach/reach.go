// Package reach finds out, without a request, whether a request without a token would get to a handler. It walks the
// routes of a configuration as Caddy does, with a request that it makes up.
//
// A configuration can do more than a walk can know: handlers of other plugins, matchers of a client's address, and
// variables. So there are three answers to everything: yes, no, and perhaps. A caller warns only about a sure "no".
package reach

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Effect is what a handler does with a request.
type Effect int

// The effects.
const (
	Perhaps  Effect = iota // it may answer, rewrite, or call the next handler: nobody knows
	Passes                 // it calls the next handler, with the same target
	Rewrites               // it calls the next handler, perhaps with another target
	Ends                   // it answers, or fails
	Found                  // it is the handler that is looked for
)

// Server is the routes of one of Caddy's HTTP servers, with their handlers and matchers.
type Server struct {
	Name   string
	Routes caddyhttp.RouteList
	Named  map[string]*caddyhttp.Route // for the handler "invoke"
}

// Servers are the servers of a provisioned app, in the order of their names.
func Servers(app *caddyhttp.App) []Server {
	var servers []Server
	for name, server := range app.Servers {
		servers = append(servers, Server{name, server.Routes, server.NamedRoutes})
	}
	slices.SortFunc(servers, func(a, b Server) int { return strings.Compare(a.Name, b.Name) })
	return servers
}

// Walk is what to look for.
type Walk struct {
	// Method, Host and Path of the request, which has no header fields. The default method is GET.
	Method, Host, Path string
	// AnyHost makes host matchers undecided. It is for configurations behind a proxy that changes the host.
	AnyHost bool
	// Effect says what a handler does with this request. ok is false if the package should judge by itself, by what
	// Caddy's own handlers do.
	Effect func(handler caddyhttp.MiddlewareHandler) (effect Effect, ok bool)
}

// Result is how a walk has ended.
type Result struct {
	// Server is the name of the server in which the walk has ended.
	Server string
	// Reached is set if the request gets to the handler, or perhaps does.
	Reached bool
	// By is the handler that surely takes the request before, such as "reverse_proxy". It is empty if no handler surely
	// does.
	By string
}

// In walks through one server.
func (w Walk) In(s Server) Result {
	at := &walker{Walk: w, server: s, request: made(w.Method, w.Host, w.Path), groups: make(map[string]truth)}
	at.routes(s.Routes, yes)
	return Result{Server: s.Name, Reached: at.found, By: at.by}
}

// InAny walks through servers until one of them reaches the handler. Otherwise By is of the first that names one.
func (w Walk) InAny(servers []Server) (result Result) {
	for _, s := range servers {
		one := w.In(s)
		if one.Reached {
			return one
		}
		if result.By == "" {
			result = one
		}
	}
	return result
}

// Bounds of a walk. Named routes can invoke themselves, and each other.
const (
	maxDepth = 64
	maxSteps = 100_000
)

// walker is a walk through one server.
type walker struct {
	Walk
	server    Server
	request   *http.Request
	rewritten bool             // the target may be another one by now
	groups    map[string]truth // whether a route of the group has matched
	depth     int
	steps     int

	found bool
	by    string
}

// routes walks through a list. sure says how sure it is that the request comes here at all. It returns whether the
// request surely goes no further than this list.
func (w *walker) routes(list caddyhttp.RouteList, sure truth) (ended bool) {
	w.depth++
	defer func() { w.depth-- }()
	for i := range list {
		if w.steps++; w.steps > maxSteps || w.depth > maxDepth {
			w.found = true // nobody knows
			return true
		}
		if w.route(&list[i], sure) {
			return true
		}
	}
	return false
}

// route walks through one route. It returns whether the request surely goes no further.
func (w *walker) route(r *caddyhttp.Route, sure truth) (ended bool) {
	matches := sure.and(w.anySet(r.MatcherSets))
	if r.Group != "" {
		before := w.groups[r.Group]
		matches = matches.and(before.not())
		w.groups[r.Group] = max(before, matches)
	}
	if matches == no {
		return false
	}
	for _, handler := range r.Handlers {
		if w.handler(handler, matches) {
			return matches == yes || w.found
		}
	}
	return r.Terminal && matches == yes
}

// handler walks into one handler. It returns whether what comes after it in its route is never reached.
func (w *walker) handler(handler caddyhttp.MiddlewareHandler, sure truth) (ended bool) {
	effect, ok := w.Effect(handler)
	if !ok {
		switch h := handler.(type) {
		case *caddyhttp.Subroute:
			return w.routes(h.Routes, sure)
		case *caddyhttp.Invoke:
			if route := w.server.Named[h.Name]; route != nil {
				return w.routes(caddyhttp.RouteList{*route}, sure)
			}
			effect = Ends
		default:
			effect = effectOf(handler)
		}
	}
	switch effect {
	case Found:
		w.found = true
		return true
	case Ends:
		if sure == yes && w.by == "" {
			w.by = nameOf(handler)
		}
		return true
	case Perhaps, Rewrites:
		w.rewritten = true
	case Passes:
	}
	return false
}
