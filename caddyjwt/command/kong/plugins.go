package kong

import (
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/deckfile"
)

// pluginsThatRefuseNobody do not decide who may send a request, so a route without them is as closed as before. All
// others that are not converted close their routes.
var pluginsThatRefuseNobody = map[string]string{
	"acme":                          "Caddy has certificates of its own",
	"correlation-id":                "Caddy has {http.request.uuid}",
	"cors":                          "write cors into the bearer_auth of its routes",
	"datadog":                       "see Caddy's metrics",
	"file-log":                      "see Caddy's log",
	"http-log":                      "see Caddy's log",
	"loggly":                        "see Caddy's log",
	"opentelemetry":                 "see Caddy's tracing",
	"prometheus":                    "see Caddy's metrics",
	"proxy-cache":                   "Caddy has modules for it",
	"proxy-cache-advanced":          "Caddy has modules for it",
	"rate-limiting":                 "Caddy has modules for it",
	"rate-limiting-advanced":        "Caddy has modules for it",
	"request-size-limiting":         "see Caddy's request_body max_size",
	"response-ratelimiting":         "Caddy has modules for it",
	"response-transformer":          "see Caddy's header",
	"response-transformer-advanced": "see Caddy's header",
	"service-protection":            "Caddy has modules for it",
	"statsd":                        "see Caddy's metrics",
	"statsd-advanced":               "see Caddy's metrics",
	"syslog":                        "see Caddy's log",
	"tcp-log":                       "see Caddy's log",
	"udp-log":                       "see Caddy's log",
	"zipkin":                        "see Caddy's tracing",
}

// A level is how special the place of a plugin is: the most special one of each name counts.
func level(p deckfile.Plugin) int {
	out := 0
	if p.Service >= 0 {
		out++
	}
	if p.Route >= 0 {
		out += 2
	}
	return out
}

// pluginsOf are the plugins that work on the route at a place, one of each name, in the order of their names. Those of
// single consumers are not among them.
func (c *converter) pluginsOf(route int) []deckfile.Plugin {
	best := map[string]deckfile.Plugin{}
	var names []string
	for _, p := range c.file.Plugins {
		if !p.Enabled || p.Consumer >= 0 || p.ConsumerGroup != "" || p.Route >= 0 && p.Route != route ||
			p.Service >= 0 && p.Service != c.file.Routes[route].Service {
			continue
		}
		if before, ok := best[p.Name]; !ok || level(p) > level(before) {
			best[p.Name] = p
		}
		names = append(names, p.Name)
	}
	slices.Sort(names)
	var out []deckfile.Plugin
	for _, name := range slices.Compact(names) {
		out = append(out, best[name])
	}
	return out
}

// checkPlugins fails where nobody can say what a plugin is for.
func (c *converter) checkPlugins() error {
	for _, p := range c.file.Plugins {
		why, harmless := pluginsThatRefuseNobody[p.Name]
		switch {
		case p.Name == "":
			return fmt.Errorf("line %d: a plugin has no name", p.Line)
		case !p.Enabled:
		case p.ConsumerGroup != "" && !harmless:
			return fmt.Errorf("line %d: plugin %q of the consumer group %q: this may refuse consumers, and cannot be "+
				"converted. Remove it from the file, and its consumers with it", p.Line, p.Name, p.ConsumerGroup)
		case harmless:
			c.add("line %d: plugin %s: not converted (%s)", p.Line, p.Name, why)
		}
	}
	return nil
}

// blockedBy is the plugin that may refuse the consumer at a place, everywhere or on some route; it is empty if there is
// none.
func (c *converter) blockedBy(consumer int) string {
	for _, p := range c.file.Plugins {
		if _, harmless := pluginsThatRefuseNobody[p.Name]; !harmless && p.Enabled && p.Consumer == consumer {
			return p.Name
		}
	}
	return ""
}

// worksEverywhere says why a plugin cannot be converted, if it does not work on all requests of its routes.
func worksEverywhere(p deckfile.Plugin) []string {
	var out []string
	for _, protocol := range []string{"http", "https"} {
		if len(p.Protocols) > 0 && !slices.Contains(p.Protocols, protocol) {
			out = append(out, fmt.Sprintf("plugin %s works on %q alone", p.Name, p.Protocols))
			break
		}
	}
	for _, name := range p.Unknown.Names() {
		out = append(out, fmt.Sprintf("plugin %s: the field %q", p.Name, name))
	}
	return out
}
