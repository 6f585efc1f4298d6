package kong

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/deckfile"
	"github.com/caddyjwt/gateway/caddyjwt/command/kong/pathmatch"
)

// An entry is a route with one of its paths, or with several that follow each other in the order of all.
type entry struct {
	place      int // of the route in the file
	route      deckfile.Route
	service    string // its name, for comments
	paths      []path
	protection protection
	proxy      proxy
	priority   priority
	conditions conditions
	hosts      map[string]bool // see plainSet
	methods    map[string]bool
	remark     string   // about its place among others
	why        []string // what could not be converted: the entry stays closed
}

func (e *entry) isClosed() bool { return len(e.why) > 0 }

// who are the callers that an entry lets pass.
func (e *entry) who() callers {
	if e.isClosed() {
		return callers{kind: nobody}
	}
	return e.protection.who
}

// name is the name of the route for people.
func (e *entry) name() string { return cmp.Or(e.route.Name, e.route.ID, "(no name)") }

// A path is a path of a route, as decK has it.
type path struct {
	text    string
	pattern pathmatch.Pattern
}

func (p path) isRegex() bool { return strings.HasPrefix(p.text, "~") }

// mostEntries bounds what the order of all costs, which is more than their number.
const mostEntries = 5000

// entries are all entries, in the order in which they must be tried.
func (c *converter) entries() ([]entry, error) {
	var out []entry
	for i, r := range c.file.Routes {
		if value, ok := r.Unknown["expression"]; ok && !deckfile.IsEmpty(value) {
			return nil, fmt.Errorf("line %d: route %q has an expression: this converter reads routes of the router flavors "+
				"traditional and traditional_compatible", r.Line, r.Name)
		}
		if r.Service >= 0 && !c.file.Services[r.Service].Enabled {
			c.add("line %d: route %q: not converted: its service is disabled", r.Line, r.Name)
			continue
		}
		out = append(out, c.entriesOf(i)...)
	}
	if len(out) > mostEntries {
		return nil, fmt.Errorf("%d routes, counted with their paths: convert at most %d at a time", len(out), mostEntries)
	}
	return merged(c.ordered(out)), nil
}

// entriesOf makes an entry of each path of the route at a place.
func (c *converter) entriesOf(place int) []entry {
	r := c.file.Routes[place]
	e := entry{place: place, route: r, protection: c.protectionOf(place)}
	e.conditions, e.why = conditionsOf(r)
	e.hosts = plainSet(r.Hosts, func(host string) bool { return !isWildcard(host) && lowerHost.MatchString(host) })
	e.methods = plainSet(r.Methods, methodName.MatchString)
	var why []string
	e.proxy, e.service, why = c.proxyOf(r)
	e.why = slices.Concat(e.why, unknownFields(r), e.protection.why, why)
	e.priority = priority{
		kinds:      e.conditions.kinds,
		plainHosts: len(r.Hosts) > 0 && !slices.ContainsFunc(r.Hosts, isWildcard),
		headers:    len(r.Headers),
		vague:      r.Hosts != nil && len(r.Hosts) == 0, // an empty list counts in some versions
	}
	for _, many := range []int{len(r.Hosts), len(r.Headers), len(r.Paths), len(r.Methods)} {
		e.priority.categories = e.priority.categories<<1 + min(many, 1)
	}
	if len(r.Paths) == 0 {
		if e.conditions.kinds == 0 {
			e.why = append(e.why, "it has no conditions")
		}
		return []entry{e}
	}
	e.priority.kinds++
	var out []entry
	for _, text := range r.Paths {
		each := e
		each.priority.length = len(text)
		p := path{text: text}
		if p.isRegex() {
			p.pattern = pathmatch.Regex(text[1:], r.StripPath)
			each.priority.regex, each.priority.priority, each.priority.length = true, r.Priority, 0
		} else {
			p.pattern = pathmatch.Prefix(text, r.StripPath)
		}
		if p.pattern.Sure == "" {
			each.why = append(slices.Clone(e.why), "the path "+text)
		}
		each.paths = []path{p}
		out = append(out, each)
	}
	return out
}

// unknownFields are the fields of a route that would decide which requests it takes or who may send them.
func unknownFields(r deckfile.Route) []string {
	var out []string
	for _, name := range r.Unknown.Names() {
		value := r.Unknown[name]
		switch {
		case name == "request_buffering" || name == "response_buffering": // Caddy sends on what it has
		case name == "path_handling" && value.Value == "v0":
		default:
			out = append(out, fmt.Sprintf("the field %q", name))
		}
	}
	return out
}

// merged joins entries of one route that follow each other: which of them takes a request makes no difference.
func merged(all []entry) []entry {
	var out []entry
	for _, e := range all {
		if last := len(out) - 1; last >= 0 && out[last].joins(&e) {
			out[last].paths = append(out[last].paths, e.paths...)
			continue
		}
		out = append(out, e)
	}
	return out
}

// joins reports whether two entries differ only in their paths.
func (e *entry) joins(next *entry) bool {
	return e.place == next.place && !e.isClosed() && !next.isClosed() && len(e.paths) > 0 &&
		e.strips() == next.strips() && !e.doubts(next)
}

// doubts reports whether a request that an entry may take could be for another one.
func (e *entry) doubts(next *entry) bool {
	unsure := slices.DeleteFunc(slices.Clone(e.paths), func(p path) bool { return p.pattern.Maybe == "" })
	return (&entry{paths: unsure}).sharesPaths(next)
}

// strips reports whether something of the paths is removed.
func (e *entry) strips() bool { return e.paths[0].pattern.Strip != "" }
