package reach

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// Written is a handler of a configuration that is not loaded. It cannot serve.
type Written struct {
	Name string                     // as in "handler"
	JSON map[string]json.RawMessage // all of its members
}

// ServeHTTP implements caddyhttp.MiddlewareHandler. It always fails.
func (*Written) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error {
	return errors.New("this handler is only read")
}

// effect is effectOf for a handler that is not loaded.
func (h *Written) effect() Effect {
	has := func(member string) bool { text := string(h.JSON[member]); return text != "" && text != "null" }
	switch {
	case h.Name == "file_server" && string(h.JSON["pass_thru"]) == "true",
		h.Name == "reverse_proxy" && has("handle_response"):
		return Perhaps
	case h.Name == "headers" && has("request"):
		return Rewrites
	}
	return effects[h.Name]
}

// Read reads the HTTP servers of a configuration in JSON without loading it, in the order of their names.
func Read(config []byte) ([]Server, error) {
	var tree struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes []route          `json:"routes"`
					Named  map[string]route `json:"named_routes"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if err := json.Unmarshal(config, &tree); err != nil {
		return nil, err
	}
	var servers []Server
	for _, name := range slices.Sorted(maps.Keys(tree.Apps.HTTP.Servers)) {
		written := tree.Apps.HTTP.Servers[name]
		server := Server{Name: name, Named: make(map[string]*caddyhttp.Route)}
		var err error
		if server.Routes, err = loaded(written.Routes); err != nil {
			return nil, err
		}
		for name, route := range written.Named {
			one, err := route.load()
			if err != nil {
				return nil, err
			}
			server.Named[name] = &one
		}
		servers = append(servers, server)
	}
	return servers, nil
}

// route is a route as it is written.
type route struct {
	Group    string                       `json:"group"`
	Match    []map[string]json.RawMessage `json:"match"`
	Handle   []json.RawMessage            `json:"handle"`
	Terminal bool                         `json:"terminal"`
}

func loaded(written []route) (list caddyhttp.RouteList, err error) {
	for i := range written {
		one, err := written[i].load()
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

func (r *route) load() (caddyhttp.Route, error) {
	out := caddyhttp.Route{Group: r.Group, Terminal: r.Terminal}
	for _, text := range r.Handle {
		handler, err := readHandler(text)
		if err != nil {
			return out, err
		}
		out.Handlers = append(out.Handlers, handler)
	}
	var err error
	out.MatcherSets, err = readSets(r.Match)
	return out, err
}

func readHandler(text json.RawMessage) (caddyhttp.MiddlewareHandler, error) {
	h := new(Written)
	if err := json.Unmarshal(text, &h.JSON); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(h.JSON["handler"], &h.Name); err != nil {
		return nil, err
	}
	switch h.Name {
	case "subroute":
		var written struct {
			Routes []route `json:"routes"`
		}
		if err := json.Unmarshal(text, &written); err != nil {
			return nil, err
		}
		routes, err := loaded(written.Routes)
		return &caddyhttp.Subroute{Routes: routes}, err
	case "invoke":
		invoke := new(caddyhttp.Invoke)
		return invoke, json.Unmarshal(h.JSON["name"], &invoke.Name)
	default:
		return h, nil
	}
}

func readSets(written []map[string]json.RawMessage) (sets caddyhttp.MatcherSets, err error) {
	for _, matchers := range written {
		set := caddyhttp.MatcherSet{}
		for _, name := range slices.Sorted(maps.Keys(matchers)) {
			matcher, err := readMatcher(name, matchers[name])
			if err != nil {
				return nil, err
			}
			set = append(set, matcher)
		}
		sets = append(sets, set)
	}
	return sets, nil
}

// undecided stands for a matcher that the walk does not know.
type undecided struct{}

func readMatcher(name string, text json.RawMessage) (any, error) {
	var matcher interface{ Provision(caddy.Context) error }
	switch name {
	case "host":
		matcher = new(caddyhttp.MatchHost)
	case "path":
		matcher = new(caddyhttp.MatchPath)
	case "path_regexp":
		matcher = new(caddyhttp.MatchPathRE)
	case "method":
		method := new(caddyhttp.MatchMethod)
		return method, json.Unmarshal(text, method)
	case "not":
		var written []map[string]json.RawMessage
		if err := json.Unmarshal(text, &written); err != nil {
			return nil, err
		}
		sets, err := readSets(written)
		return &caddyhttp.MatchNot{MatcherSets: sets}, err
	default:
		return undecided{}, nil
	}
	if err := json.Unmarshal(text, matcher); err != nil {
		return nil, err
	}
	return matcher, matcher.Provision(caddy.Context{})
}
