package kong

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/caddytext"
	"github.com/caddyjwt/gateway/caddyjwt/command/kong/deckfile"
)

// A proxy is how requests of a route go to its service.
type proxy struct {
	scheme, host string
	base         string // the path before all paths, without a slash at its end; empty for "/"
	slash        bool   // the service's path has a slash at its end
	servers      []string
	weights      []string
	hostHeader   string
}

// plainPath is a path that needs no regular expression.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9/._-]+$`)

var hostWithPort = regexp.MustCompile(`^[A-Za-z0-9._-]+(?::[0-9]+)?$`)

var basePath = regexp.MustCompile(`^(?:/[A-Za-z0-9._~-]+)*/?$`)

// timing are fields of a service that Caddy has in other words, with Kong's defaults.
var timing = map[string]string{
	"connect_timeout": "60000", "write_timeout": "60000", "read_timeout": "60000", "retries": "5",
}

// unknownServiceFields are the fields of a service that close its routes, since nobody here knows what they decide.
func (c *converter) unknownServiceFields(s deckfile.Service) (why []string) {
	for _, name := range s.Unknown.Names() {
		value := s.Unknown[name].Value
		switch {
		case timing[name] != "":
			if value != timing[name] {
				c.add("line %d: service %q: %s %s: not converted (see transport http and lb_retries of Caddy's reverse_proxy)",
					s.Line, s.Name, name, value)
			}
		case name == "tls_verify" || name == "tls_verify_depth" || name == "tls_sans" || name == "ca_certificates" ||
			name == "client_certificate":
			c.add("line %d: service %q: %s: not converted. Caddy verifies the certificate of a service; "+
				"see transport http of its reverse_proxy", s.Line, s.Name, name)
		default:
			why = append(why, fmt.Sprintf("the field %q of its service", name))
		}
	}
	return why
}

// proxyOf converts the service of a route, and gives its name. why is what cannot be converted.
func (c *converter) proxyOf(r deckfile.Route) (p proxy, name string, why []string) {
	if r.Service < 0 {
		return p, "", []string{"it has no service"}
	}
	s := c.file.Services[r.Service]
	name = cmp.Or(s.Name, s.ID, "(no name)")
	if s.URL != "" {
		if err := readURL(&s); err != nil {
			return p, name, []string{"the url of its service"}
		}
	}
	why = c.unknownServiceFields(s)
	p.scheme = s.Protocol
	if p.scheme != "http" && p.scheme != "https" {
		why = append(why, "the protocol "+p.scheme+" of its service")
	}
	if !basePath.MatchString(s.Path) {
		why = append(why, "the path of its service, "+s.Path)
	}
	p.base = strings.TrimSuffix(s.Path, "/")
	p.slash = strings.HasSuffix(s.Path, "/")
	p.host = s.Host
	port := cmp.Or(s.Port, pick(p.scheme == "https" && s.URL != "", 443, 80)) // as Kong does
	why = append(why, c.servers(&p, port)...)
	return p, name, why
}

// servers finds the servers of a proxy: those of an upstream if there is one with that name.
func (c *converter) servers(p *proxy, port int) (why []string) {
	if net.ParseIP(p.host) == nil && !hostName.MatchString(p.host) {
		return []string{"the host of its service, " + p.host}
	}
	if port < 1 || port > 65535 || p.scheme == "https" && port == 80 {
		return []string{fmt.Sprintf("the port %d of its service", port)}
	}
	address := net.JoinHostPort(p.host, strconv.Itoa(port))
	p.hostHeader = pick(p.isStandard(port), bracketed(p.host), address)
	at := slices.IndexFunc(c.file.Upstreams, func(u deckfile.Upstream) bool { return u.Name == p.host })
	if at < 0 {
		p.servers = []string{address}
		return nil
	}
	upstream := c.file.Upstreams[at]
	c.noteUpstream(upstream)
	p.hostHeader = "{http.reverse_proxy.upstream.host}"
	for _, target := range upstream.Targets {
		host, port, why := readTarget(target.Target)
		if why != nil || p.scheme == "https" && port == 80 {
			return []string{"the target " + target.Target}
		}
		if target.Weight <= 0 {
			continue
		}
		p.servers = append(p.servers, net.JoinHostPort(host, strconv.Itoa(port)))
		p.weights = append(p.weights, strconv.Itoa(target.Weight))
		if !p.isStandard(port) {
			p.hostHeader = "{http.reverse_proxy.upstream.hostport}"
		}
	}
	if upstream.HostHeader != "" {
		if !hostWithPort.MatchString(upstream.HostHeader) {
			return []string{"the host_header of the upstream " + upstream.Name}
		}
		p.hostHeader = upstream.HostHeader
	}
	if len(p.servers) == 0 {
		return []string{fmt.Sprintf("the upstream %q has no targets", upstream.Name)}
	}
	return nil
}

// upstreamDefaults are the values of fields of upstreams that change nothing. Health checks are always noted.
var upstreamDefaults = map[string]string{
	"slots": "10000", "hash_on": "none", "hash_fallback": "none", "hash_on_cookie_path": "/", "use_srv_name": "false",
}

// noteUpstream notes what of an upstream is not converted: how a server is chosen.
func (c *converter) noteUpstream(u deckfile.Upstream) {
	if u.Algorithm != "round-robin" {
		c.add("line %d: upstream %q: algorithm %s: not converted (see lb_policy of Caddy's reverse_proxy)",
			u.Line, u.Name, u.Algorithm)
	}
	for _, name := range u.Unknown.Names() {
		if value := u.Unknown[name].Value; value == "" || value != upstreamDefaults[name] {
			c.add("line %d: upstream %q: %s: not converted (see Caddy's reverse_proxy)", u.Line, u.Name, name)
		}
	}
}

// isStandard reports whether a port need not stand in a Host header.
func (p proxy) isStandard(port int) bool {
	return p.scheme == "http" && port == 80 || p.scheme == "https" && port == 443
}

// readTarget reads the address of a target. Kong's default of the port is 8000.
func readTarget(text string) (host string, port int, err error) {
	port = 8000
	host, digits, err := net.SplitHostPort(text)
	if err != nil {
		host, err = text, nil
	} else if port, err = strconv.Atoi(digits); err == nil && (port < 1 || port > 65535) {
		err = errors.New("no port")
	}
	if net.ParseIP(host) == nil && !hostName.MatchString(host) {
		err = errors.New("no host")
	}
	return host, port, err
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// readURL reads the short way of writing a service.
func readURL(s *deckfile.Service) error {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.User != nil || u.RawPath != "" {
		return fmt.Errorf("the url %q", s.URL)
	}
	s.Protocol, s.Host, s.Path = u.Scheme, u.Hostname(), u.Path
	if u.Port() != "" {
		s.Port, err = strconv.Atoi(u.Port())
	}
	return err
}

// write writes the lines that send a request on.
func (p proxy) write(w *caddytext.Writer, e *entry) {
	p.rewrite(w, e)
	scheme := p.scheme + "://"
	var servers []string
	for _, server := range p.servers {
		servers = append(servers, scheme+server)
	}
	w.Block(func() {
		if len(p.weights) > 1 {
			if allEqual(p.weights) {
				w.Line("lb_policy round_robin")
			} else {
				w.Line("lb_policy weighted_round_robin " + strings.Join(p.weights, " "))
			}
		}
		if !e.route.PreserveHost {
			w.Line("header_up Host", p.hostHeader)
		}
		if e.protection.hideGroups {
			w.Line("header_up -X-Consumer-Groups")
		}
		if p.scheme == "https" && len(p.weights) > 0 {
			w.Block(func() { w.Line("tls_server_name", p.host) }, "transport http")
		}
	}, append([]string{"reverse_proxy"}, servers...)...)
}

func allEqual(texts []string) bool { return len(slices.Compact(slices.Clone(texts))) == 1 }

// rewrite writes the lines that make the path for the service.
func (p proxy) rewrite(w *caddytext.Writer, e *entry) {
	var strips []string
	for _, path := range e.paths {
		if e.route.StripPath && path.pattern.Strip != "" {
			strips = append(strips, path.pattern.Strip)
		}
	}
	switch {
	case len(e.paths) == 1 && len(strips) == 1 && plainPath.MatchString(e.paths[0].text):
		prefix := strings.TrimSuffix(e.paths[0].text, "/")
		if p.base == "" {
			w.Line("uri strip_prefix", prefix)
		} else {
			w.Line("uri path_regexp", "^"+regexp.QuoteMeta(prefix), p.base)
		}
	case len(strips) > 0:
		expr := "^(?:" + strings.Join(strips, "|") + ")(/|$)"
		w.Line("uri path_regexp", caddytext.Pattern(expr), pick(p.base == "", "/", p.base+"$1"))
	case p.base == "":
	case p.slash:
		w.Line("uri path_regexp ^/", p.base+"/")
	default: // without a slash at the end, "/" is the path of the service itself
		w.Line("uri path_regexp ^/(.+)$", p.base+"/$1")
		w.Line("uri path_regexp ^/$", p.base)
	}
}
