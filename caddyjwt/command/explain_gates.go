package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// mostGates is how many gates explain judges when nothing selects one.
const mostGates = 10

// siteGate is a bearer_auth handler, and the routes that lead to it.
type siteGate struct {
	number  int // from 1, in the order of the configuration
	handler *caddyjwt.Handler
	stored  bool // the configuration has a store, so tokens can be revoked
	place
}

// place is where a handler is in a configuration.
type place struct {
	server string
	levels []level // the routes that lead to it, the outermost first
	errors bool    // they are error routes
}

// level is what the matchers of one route say. A nil list lets all requests through.
type level struct {
	hosts, paths []string
	others       []string // names of other matchers
}

// gates are the gates to be explained. The request may be nil.
func (o *explainOptions) gates(r *http.Request) ([]*siteGate, error) {
	text, err := o.config.json()
	if err != nil {
		return nil, err
	}
	all, err := findGates(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", o.config.path, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no bearer_auth", o.config.path)
	}
	found, err := o.selected(all)
	if err != nil {
		return nil, err
	}
	if r != nil {
		found = reachedBy(found, r, o)
	}
	if len(found) > mostGates {
		return nil, fmt.Errorf("%d gates fit: choose with --site or --route:\n%s", len(found), list(found))
	}
	return found, nil
}

// selected are the gates that the flags choose.
func (o *explainOptions) selected(all []*siteGate) ([]*siteGate, error) {
	found := all
	if o.site != "" {
		found = slices.DeleteFunc(slices.Clone(found), func(g *siteGate) bool { return !g.hasHost(o.site) })
		if len(found) == 0 {
			return nil, fmt.Errorf("no gate of site %q; there are:\n%s", o.site, list(all))
		}
	}
	if o.route == "" {
		return found, nil
	}
	number, err := strconv.Atoi(o.route)
	if err != nil && !strings.HasPrefix(o.route, "/") {
		return nil, errors.New("--route: expected a path that begins with \"/\", or the number of a gate")
	}
	chosen := slices.DeleteFunc(slices.Clone(found), func(g *siteGate) bool {
		if err == nil {
			return g.number != number
		}
		return !g.hasPath(o.route)
	})
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no gate for --route %q; there are:\n%s", o.route, list(found))
	}
	return chosen, nil
}

// reachedBy narrows the gates to those that a request reaches by its host and path, as far as it reaches any.
func reachedBy(gates []*siteGate, r *http.Request, o *explainOptions) []*siteGate {
	narrow := func(reached func(*siteGate) bool) {
		if some := slices.DeleteFunc(slices.Clone(gates), func(g *siteGate) bool { return !reached(g) }); len(some) > 0 {
			gates = some
		}
	}
	if o.site == "" && r.Host != "" {
		narrow(func(g *siteGate) bool { return g.hasHost(r.Host) })
	}
	if o.route == "" && r.Host != "" { // a header line alone has no path of its own
		narrow(func(g *siteGate) bool { return g.hasPath(r.URL.Path) })
	}
	return gates
}

// title names the gate for people.
func (g *siteGate) title() string {
	text := fmt.Sprintf("gate %d: ", g.number)
	if hosts := g.hosts(); len(hosts) > 0 {
		text += "site " + some(hosts, 5)
	} else {
		text += "any site of server " + g.server
	}
	for _, route := range g.routes() {
		text += ", path " + route
	}
	if others := g.conditions(); len(others) > 0 {
		text += ", further matchers " + strings.Join(others, ", ")
	}
	if g.errors {
		text += ", in error routes"
	}
	return terminal.Printable(text)
}

// list has one gate a line.
func list(gates []*siteGate) string {
	const most = 100
	var lines []string
	for _, g := range gates[:min(len(gates), most)] {
		lines = append(lines, "  "+g.title())
	}
	if left := len(gates) - most; left > 0 {
		lines = append(lines, fmt.Sprintf("  and %d more", left))
	}
	return strings.Join(lines, "\n")
}

// hosts are those of the innermost route that names any.
func (p *place) hosts() []string {
	for _, l := range slices.Backward(p.levels) {
		if len(l.hosts) > 0 {
			return l.hosts
		}
	}
	return nil
}

// routes are the paths of each level that has some.
func (p *place) routes() (routes []string) {
	for _, l := range p.levels {
		if len(l.paths) > 0 {
			routes = append(routes, some(l.paths, 5))
		}
	}
	return routes
}

func (p *place) conditions() (names []string) {
	for _, l := range p.levels {
		names = append(names, l.others...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// hasHost reports whether a request for this host gets past the host matchers.
func (p *place) hasHost(host string) bool {
	r := requestTo(host, "/")
	for _, l := range p.levels {
		if len(l.hosts) == 0 || slices.Contains(l.hosts, host) {
			continue
		}
		if ok, err := caddyhttp.MatchHost(l.hosts).MatchWithError(r); err != nil || !ok {
			return false
		}
	}
	return true
}

// hasPath reports whether a request for this path gets past the path matchers.
func (p *place) hasPath(path string) bool {
	r := requestTo("", path)
	for _, l := range p.levels {
		if len(l.paths) == 0 {
			continue
		}
		matcher := caddyhttp.MatchPath(slices.Clone(l.paths))
		if err := matcher.Provision(caddy.Context{}); err != nil {
			return false
		}
		if ok, err := matcher.MatchWithError(r); err != nil || !ok {
			return false
		}
	}
	return true
}

// requestTo is a request for Caddy's matchers.
func requestTo(host, path string) *http.Request {
	r := &http.Request{Method: http.MethodGet, Host: host, URL: &url.URL{Path: path}, Header: make(http.Header)}
	return r.WithContext(context.WithValue(context.Background(), caddy.ReplacerCtxKey, caddy.NewReplacer()))
}

// findGates finds the bearer_auth handlers anywhere in a config: routes may nest to any depth.
func findGates(config []byte) ([]*siteGate, error) {
	var tree any
	if err := json.Unmarshal(config, &tree); err != nil {
		return nil, err
	}
	f := &finder{stored: hasStore(tree)}
	err := f.walk(tree, place{server: "(unknown)"})
	return f.found, err
}

type finder struct {
	found  []*siteGate
	stored bool
}

// hasStore reports whether a configuration has a store.
func hasStore(tree any) bool {
	for _, name := range []string{"apps", "bearer_auth", "store"} {
		node, _ := tree.(map[string]any)
		tree = node[name]
	}
	return tree != nil
}

func (f *finder) walk(node any, at place) error {
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
		if i := slices.Index(names, "errors"); i >= 0 {
			names = append(slices.Delete(names, i, i+1), "errors") // behind the routes, as in a Caddyfile
		}
		for _, name := range names {
			if err := f.walk(node[name], at.below(name, node)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *finder) add(node map[string]any, at place) error {
	text, err := json.Marshal(node)
	if err != nil {
		return err
	}
	h := new(caddyjwt.Handler)
	if err := json.Unmarshal(text, h); err != nil {
		return fmt.Errorf("a bearer_auth handler: %w", err)
	}
	f.found = append(f.found, &siteGate{len(f.found) + 1, h, f.stored, at})
	return nil
}

// below is the place of a member of a node. Each server of the HTTP app has a member "routes" and a name, which is that
// of the member that holds it.
func (p place) below(name string, node map[string]any) place {
	switch name {
	case "handle":
		p.levels = append(slices.Clip(p.levels), levelOf(node["match"]))
	case "errors":
		p.errors = true
	default:
		if server, ok := node[name].(map[string]any); ok && server["listen"] != nil {
			p.server = name
		}
	}
	return p
}

// levelOf reads the matchers of a route: sets of which one must match. If a set names no host, every host may get
// through, and the same holds for paths.
func levelOf(match any) (l level) {
	sets, _ := match.([]any)
	hosts, paths := true, true
	for _, set := range sets {
		matchers, _ := set.(map[string]any)
		hosts, paths = hosts && matchers["host"] != nil, paths && matchers["path"] != nil
		l.hosts, l.paths = append(l.hosts, texts(matchers["host"])...), append(l.paths, texts(matchers["path"])...)
		for _, name := range slices.Sorted(maps.Keys(matchers)) {
			if name != "host" && name != "path" {
				l.others = append(l.others, name)
			}
		}
	}
	if !hosts {
		l.hosts = nil
	}
	if !paths {
		l.paths = nil
	}
	return l
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
