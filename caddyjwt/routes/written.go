package routes

import (
	"encoding/json"
	"maps"
	"slices"
)

// Written is a gate of a configuration file.
type Written struct {
	Way
	// JSON is the handler.
	JSON []byte
}

// InConfig finds the bearer_auth handlers anywhere in a configuration, which is JSON: routes may nest to any depth.
func InConfig(config []byte) ([]Written, error) {
	var tree any
	if err := json.Unmarshal(config, &tree); err != nil {
		return nil, err
	}
	var f finder
	err := f.walk(tree, Way{Server: "(unknown)"})
	return f.found, err
}

type finder struct{ found []Written }

func (f *finder) walk(node any, at Way) error {
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			if err := f.walk(element, at); err != nil {
				return err
			}
		}
	case map[string]any:
		if node["handler"] == "bearer_auth" {
			return f.add(node, at)
		}
		names := slices.Sorted(maps.Keys(node)) // so that each run gives the same numbers
		for _, last := range []string{"errors", "named_routes"} {
			if i := slices.Index(names, last); i >= 0 {
				names = append(slices.Delete(names, i, i+1), last) // behind the routes, as in a Caddyfile
			}
		}
		for _, name := range names {
			if err := f.walk(node[name], at.member(name, node)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *finder) add(node map[string]any, at Way) error {
	text, err := json.Marshal(node)
	if err != nil {
		return err
	}
	at.Number = len(f.found) + 1
	f.found = append(f.found, Written{at, text})
	return nil
}

// member is the way to a member of a node. Each server of the HTTP app has a member "listen" and a name, which is that
// of the member that holds it.
func (w Way) member(name string, node map[string]any) Way {
	switch name {
	case "handle":
		return w.below(levelOf(node["match"]))
	case "errors":
		return w.inErrors()
	default:
		if server, ok := node[name].(map[string]any); ok && server["listen"] != nil {
			w.Server = name
		}
	}
	return w
}

// levelOf reads the matchers of a route: sets of which one must match. If a set names no host, every host may get
// through, and the same holds for paths.
func levelOf(match any) level {
	sets, _ := match.([]any)
	var l leveler
	for _, set := range sets {
		matchers, _ := set.(map[string]any)
		l.set(texts(matchers["host"]), texts(matchers["path"]))
		for _, name := range slices.Sorted(maps.Keys(matchers)) {
			l.other(name)
		}
	}
	return l.level()
}

func texts(list any) (out []string) {
	elements, _ := list.([]any)
	for _, element := range elements {
		if text, ok := element.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

// leveler makes a level of the sets of matchers of a route.
type leveler struct {
	l                level
	anyHost, anyPath bool
}

// set adds what a set says about hosts and paths; nil if it says nothing.
func (l *leveler) set(hosts, paths []string) {
	l.anyHost, l.anyPath = l.anyHost || hosts == nil, l.anyPath || paths == nil
	l.l.hosts, l.l.paths = append(l.l.hosts, hosts...), append(l.l.paths, paths...)
}

// other adds the name of a matcher.
func (l *leveler) other(name string) {
	if name != "host" && name != "path" {
		l.l.others = append(l.l.others, name)
	}
}

func (l *leveler) level() level {
	if l.anyHost {
		l.l.hosts = nil
	}
	if l.anyPath {
		l.l.paths = nil
	}
	return l.l
}
