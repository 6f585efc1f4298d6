package kong

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/caddytext"
	"github.com/caddyjwt/gateway/caddyjwt/command/kong/deckfile"
)

// conditions are what a route demands of a request beside its path, as lines of a matcher. They take at least what the
// route takes.
type conditions struct {
	lines []string
	kinds int // of conditions, in Kong's count
}

var (
	hostName   = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	lowerHost  = regexp.MustCompile(`^[a-z0-9._-]+$`) // Kong compares a host as it is
	headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	methodName = regexp.MustCompile(`^[A-Z]+$`)
)

func isWildcard(host string) bool { return strings.Contains(host, "*") }

// conditionsOf converts the conditions of a route. why is what is left out of them, which then take more.
func conditionsOf(r deckfile.Route) (c conditions, why []string) {
	why = append(why, c.hosts(r.Hosts)...)
	why = append(why, c.methods(r.Methods)...)
	why = append(why, c.headers(r.Headers)...)
	why = append(why, protocols(r.Protocols)...)
	if value, ok := r.Unknown["snis"]; ok && len(value.Content) > 0 {
		c.kinds++ // unknownFields says why
	}
	return c, why
}

// hosts converts hosts. A wildcard stands for any number of labels in Kong, and for one in Caddy's matcher.
func (c *conditions) hosts(hosts []string) (why []string) {
	if len(hosts) == 0 {
		return nil
	}
	c.kinds++
	var each []string
	for _, host := range hosts {
		rest := strings.TrimSuffix(strings.TrimPrefix(host, "*."), ".*")
		switch {
		case !lowerHost.MatchString(rest):
			return []string{"the host " + host}
		case strings.HasPrefix(host, "*."):
			each = append(each, `[^:]*\.`+regexp.QuoteMeta(rest))
		case strings.HasSuffix(host, ".*"):
			each = append(each, regexp.QuoteMeta(rest)+`\.[^:]*`)
		default:
			each = append(each, regexp.QuoteMeta(rest))
		}
	}
	if slices.ContainsFunc(hosts, isWildcard) {
		expr := `^(?:` + strings.Join(each, "|") + `)(?::.*)?$`
		c.lines = append(c.lines, "header_regexp Host "+caddytext.Pattern(expr))
		return nil
	}
	c.lines = append(c.lines, "host "+strings.Join(hosts, " "))
	return nil
}

func (c *conditions) methods(methods []string) (why []string) {
	if len(methods) == 0 {
		return nil
	}
	c.kinds++
	for _, method := range methods {
		if !methodName.MatchString(method) {
			return []string{"the method " + method}
		}
	}
	c.lines = append(c.lines, "method "+strings.Join(methods, " "))
	return nil
}

// headers converts headers. Kong compares one of the values, in any case.
func (c *conditions) headers(headers map[string][]string) (why []string) {
	if len(headers) > 0 {
		c.kinds++
	}
	for _, name := range sortedKeys(headers) {
		var each []string
		for _, value := range headers[name] {
			if strings.HasPrefix(value, "~*") {
				why = append(why, fmt.Sprintf("the header %s with a regular expression", name))
				each = nil
				break
			}
			each = append(each, anyCase(value))
		}
		switch expr := `^(?:` + strings.Join(each, "|") + `)$`; {
		case len(each) == 0:
			if len(headers[name]) == 0 {
				why = append(why, "the header "+name+" without values")
			}
		case !headerName.MatchString(name) || madeByServers[http.CanonicalHeaderKey(name)] || !isPlainText(expr):
			why = append(why, "the header "+name)
		default:
			c.lines = append(c.lines, "header_regexp "+name+" "+caddytext.Pattern(expr))
		}
	}
	return why
}

// madeByServers are fields that a server changes before a matcher sees them.
var madeByServers = map[string]bool{
	"Host": true, "Cache-Control": true, "Connection": true, "Content-Length": true, "Transfer-Encoding": true,
	"Trailer": true,
}

// anyCase is the expression of a value in any case of its ASCII letters, as Kong compares it.
func anyCase(value string) string {
	var out strings.Builder
	for _, r := range value {
		upper, lower := unicode.ToUpper(r), unicode.ToLower(r)
		if r < unicode.MaxASCII && upper != lower {
			fmt.Fprintf(&out, "[%c%c]", upper, lower)
		} else {
			out.WriteString(regexp.QuoteMeta(string(r)))
		}
	}
	return out.String()
}

// isPlainText reports whether a text has visible ASCII characters and blanks alone, and no backtick.
func isPlainText(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '`' }) < 0
}

// protocols says which protocols cannot be served.
func protocols(protocols []string) (why []string) {
	for _, protocol := range protocols {
		if protocol != "http" && protocol != "https" {
			why = append(why, "the protocol "+protocol)
		}
	}
	return why
}

// onlyHTTPS reports whether a route refuses requests in clear.
func onlyHTTPS(r deckfile.Route) bool {
	return slices.Contains(r.Protocols, "https") && !slices.Contains(r.Protocols, "http")
}
