package kong

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/caddytext"
	"github.com/caddyjwt/gateway/caddyjwt/command/kong/pathmatch"
)

// target is the placeholder for the target of the request line, as it was sent.
const target = "{http.request.orig_uri}"

// site writes the whole Caddyfile.
func (c *converter) site(entries []entry) string {
	gates := c.gateSnippets(entries)
	var routes caddytext.Writer
	for i := range entries {
		c.entry(&routes, &entries[i], gates)
	}
	var w caddytext.Writer
	w.Comment("Made from %s by \"caddy bearer-auth convert kong\".", c.options.Source)
	if len(c.all) > 0 {
		w.Comment("Not all was converted. The end of this file lists what was not (%d), and NOT CONVERTED marks its place.",
			len(c.all))
	}
	if c.strictExp {
		w.Comment("Tokens without exp are refused. In Kong they pass where claims_to_verify has no exp: see tolerate " +
			"missing_exp.")
	}
	for _, name := range sortedKeys(c.snippets) {
		w.Gap()
		w.Block(func() { w.Lines(c.snippets[name]) }, "("+name+")")
	}
	for _, gate := range gates.order {
		w.Gap()
		w.Block(func() { w.Lines(gate) }, "("+gates.names[gate]+")")
	}
	w.Gap()
	w.Block(func() { common(&w) }, "(kong-requests)")
	w.Gap()
	w.Block(func() { open(&w) }, "("+openSnippet+")")
	w.Gap()
	w.Block(func() {
		w.Block(func() {
			w.Line("import kong-requests")
			w.Gap()
			w.Lines(routes.String())
			w.Block(func() { w.Line("respond 404") }, "handle")
		}, "route")
	}, c.options.Site)
	c.writeNotes(&w)
	return w.String()
}

// clearHost is what a Host field looks like that Kong and Caddy take for the same host.
const clearHost = `^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]+)?$`

// common writes what comes before all routes.
func common(w *caddytext.Writer) {
	w.Comment("Kong decodes and cleans a path before it matches it, and the matchers of the site see what was sent.")
	w.Comment("So a path that would change is refused.")
	w.Line("@unclear vars_regexp", target, caddytext.Pattern(pathmatch.Unclear))
	w.Line("respond @unclear 400")
	w.Comment("Kong compares a host in this case alone, and cuts a port of digits.")
	w.Line("@unclear-host not header_regexp Host", caddytext.Pattern(clearHost))
	w.Line("respond @unclear-host 400")
}

// openSnippet is for routes without a gate.
const openSnippet = "kong-open"

// open writes what a route without a gate does to a request. Routes are chosen before that, as by these headers.
func open(w *caddytext.Writer) {
	w.Comment("Only a gate says who the caller is.")
	for _, name := range []string{
		"X-Consumer-ID", "X-Consumer-Custom-ID", "X-Consumer-Username", "X-Consumer-Groups", "X-Credential-Identifier",
		"X-Anonymous-Consumer",
	} {
		w.Line("request_header -" + name)
	}
}

func (c *converter) writeNotes(w *caddytext.Writer) {
	if len(c.all) == 0 {
		return
	}
	w.Gap()
	w.Comment("NOT CONVERTED")
	for _, note := range c.all {
		w.Comment("- %s", note)
	}
}

// gateSnippets are the gates that more than one entry has.
type gateSnippets struct {
	names map[string]string
	order []string
}

func (c *converter) gateSnippets(entries []entry) gateSnippets {
	times := map[string]int{}
	out := gateSnippets{names: map[string]string{}}
	for _, e := range entries {
		gate := e.protection.gate
		if gate == "" || e.isClosed() {
			continue
		}
		if times[gate]++; times[gate] == 2 {
			out.names[gate] = fmt.Sprintf("kong-gate-%d", len(out.order)+1)
			out.order = append(out.order, gate)
		}
	}
	return out
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// matcherName is a name for the matchers of an entry that no other one has.
func (c *converter) matcherName(e *entry) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(e.name()), "-"), "-")
	if name == "" || name == "unclear" || name == "unclear-host" {
		name = "route-" + name
	}
	c.names[name]++
	if n := c.names[name]; n > 1 {
		return fmt.Sprintf("%s--%d", name, n)
	}
	return name
}

// entry writes the blocks of an entry.
func (c *converter) entry(w *caddytext.Writer, e *entry, gates gateSnippets) {
	name := c.matcherName(e)
	w.Comment("Route %q%s, service %q", e.name(), pathsText(e), e.service)
	if e.remark != "" {
		w.Comment("%s", e.remark)
	}
	sure, maybe := e.patterns()
	if e.isClosed() {
		text := c.add("line %d: route %q: closed (501), because this cannot be converted: %s",
			e.route.Line, e.name(), strings.Join(e.why, "; "))
		w.Comment("NOT CONVERTED: %s", text)
		c.handle(w, name, e, maybe, func() { w.Line("respond 501") })
		w.Gap()
		return
	}
	if onlyHTTPS(e.route) {
		c.handle(w, name+"--clear", e, sure, func() { w.Line(inClear(e.route.RedirectCode)) }, "protocol http")
	}
	c.handle(w, name, e, sure, func() {
		c.gate(w, e, gates)
		e.proxy.write(w, e)
	})
	if maybe != sure {
		w.Comment("What this route may take in Kong, and what cannot be told here from what it leaves")
		c.handle(w, name+"--unclear", e, maybe, func() { w.Line("respond 400") })
	}
	w.Gap()
}

// inClear is the answer of a route for HTTPS to a request without.
func inClear(code int) string {
	if slices.Contains([]int{301, 302, 307, 308}, code) {
		return fmt.Sprintf("redir https://{host}{uri} %d", code)
	}
	return "respond 426"
}

func (c *converter) gate(w *caddytext.Writer, e *entry, gates gateSnippets) {
	if e.protection.gate == "" {
		w.Line("import", openSnippet)
		return
	}
	if name, ok := gates.names[e.protection.gate]; ok {
		w.Line("import", name)
		return
	}
	w.Lines(e.protection.gate)
}

// handle writes a matcher and its handlers.
func (c *converter) handle(w *caddytext.Writer, name string, e *entry, pattern string, inside func(), more ...string) {
	lines := slices.Concat(e.conditions.lines, more)
	if pattern != "" {
		lines = append(lines, "vars_regexp "+target+" "+caddytext.Pattern(pattern))
	}
	if len(lines) == 0 {
		w.Block(inside, "handle")
		return
	}
	w.Block(func() {
		for _, line := range lines {
			w.Line(line)
		}
	}, "@"+name)
	w.Block(inside, "handle", "@"+name)
}

// patterns are the patterns of all paths of an entry together.
func (e *entry) patterns() (sure, maybe string) {
	var sures, maybes []string
	for _, p := range e.paths {
		sures = append(sures, p.pattern.Sure)
		maybes = append(maybes, cmp.Or(p.pattern.Maybe, p.pattern.Sure))
	}
	return strings.Join(sures, "|"), strings.Join(maybes, "|")
}

func pathsText(e *entry) string {
	var out []string
	for _, p := range e.paths {
		out = append(out, p.text)
	}
	if len(out) == 0 {
		return ""
	}
	return ", " + strings.Join(out, " ")
}
