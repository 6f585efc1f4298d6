// Package routes knows where in a configuration a gate is: in which HTTP server, and behind which matchers. It finds
// the gates of a configuration file, and those of the running Caddy, in the same order. The exception are gates inside
// of handlers that are no routes, such as handle_response of reverse_proxy: of the running Caddy, they come last.
package routes

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/internal/terminal"
)

// Way is the way of a request to a gate.
type Way struct {
	// Number is that of the gate, counted from 1 in the whole configuration: by the names of its servers, and in each in
	// the order of its routes, its error routes and its named routes.
	Number int
	// Server is Caddy's name of the HTTP server.
	Server string
	// Errors says that the gate is in error routes.
	Errors bool

	levels []level // the routes that lead to it, the outermost first
}

// level is what the matchers of one route say. A nil list lets all requests through.
type level struct {
	hosts, paths []string
	others       []string // names of other matchers
}

// Site is a way as reports show it. docs/tools.md documents its JSON.
type Site struct {
	Number   int      `json:"number"`
	Name     string   `json:"name,omitempty"`
	Server   string   `json:"server"`
	Hosts    []string `json:"hosts,omitempty"`
	Paths    []string `json:"paths,omitempty"`
	Matchers []string `json:"matchers,omitempty"`
	Errors   bool     `json:"error_routes,omitempty"`
}

// Site shows the way to a gate with a name, which may be empty.
func (w *Way) Site(name string) Site {
	return Site{w.Number, name, w.Server, w.hosts(), w.paths(), w.conditions(), w.Errors}
}

// Title names the gate for people.
func (s *Site) Title() string {
	text := fmt.Sprintf("gate %d: ", s.Number)
	if s.Name != "" {
		text = fmt.Sprintf("gate %d, %q: ", s.Number, s.Name)
	}
	if len(s.Hosts) > 0 {
		text += "site " + terminal.Some(s.Hosts)
	} else {
		text += "any site of server " + s.Server
	}
	for _, path := range s.Paths {
		text += ", path " + path
	}
	if len(s.Matchers) > 0 {
		text += ", further matchers " + strings.Join(s.Matchers, ", ")
	}
	if s.Errors {
		text += ", in error routes"
	}
	return terminal.Printable(text)
}

// hosts are those of the innermost route that names any.
func (w *Way) hosts() []string {
	for _, l := range slices.Backward(w.levels) {
		if len(l.hosts) > 0 {
			return l.hosts
		}
	}
	return nil
}

// paths are those of each level that has some.
func (w *Way) paths() (paths []string) {
	for _, l := range w.levels {
		if len(l.paths) > 0 {
			paths = append(paths, terminal.Some(l.paths))
		}
	}
	return paths
}

func (w *Way) conditions() (names []string) {
	for _, l := range w.levels {
		names = append(names, l.others...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// HasHost reports whether a request for this host gets past the host matchers.
func (w *Way) HasHost(host string) bool {
	r := requestTo(host, "/")
	for _, l := range w.levels {
		if len(l.hosts) == 0 || slices.Contains(l.hosts, host) {
			continue
		}
		if ok, err := caddyhttp.MatchHost(l.hosts).MatchWithError(r); err != nil || !ok {
			return false
		}
	}
	return true
}

// HasPath reports whether a request for this path gets past the path matchers.
func (w *Way) HasPath(path string) bool {
	r := requestTo("", path)
	for _, l := range w.levels {
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

// below is the way past a route with these matchers.
func (w Way) below(l level) Way {
	w.levels = append(slices.Clip(w.levels), l)
	return w
}

// inErrors is the way into error routes.
func (w Way) inErrors() Way {
	w.Errors = true
	return w
}
