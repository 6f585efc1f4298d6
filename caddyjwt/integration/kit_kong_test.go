package integration

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
)

// kongRoute is a route of a file of decK, for a model of what Kong does with it.
type kongRoute struct {
	number   int
	hosts    []string
	methods  []string
	headers  []string // with the value 1
	paths    []string
	priority int
	strip    bool
	gate     kongGate
	base     string // the path of its service
}

// kongGate is the plugins of a route, and which callers they let pass: "-" has no token.
type kongGate struct {
	plugins string
	lets    []string
}

const (
	kongStaff = "alice-key" // in the group staff
	kongBoss  = "bob-key"   // in the group boss; the tokens live for a short time
)

var kongGates = []kongGate{
	{``, []string{"-", kongStaff, kongBoss}},
	{`{name: jwt}`, []string{kongStaff, kongBoss}},
	{`{name: jwt}, {name: acl, config: {allow: [staff]}}`, []string{kongStaff}},
	{`{name: jwt}, {name: acl, config: {deny: [staff]}}`, []string{kongBoss}},
	{`{name: jwt}, {name: acl, config: {allow: [staff, boss]}}`, []string{kongStaff, kongBoss}},
	{`{name: jwt, config: {anonymous: guest}}`, []string{"-", kongStaff, kongBoss}},
	{`{name: jwt, config: {claims_to_verify: [exp], maximum_expiration: 60}}`, []string{kongBoss}},
	{`{name: key-auth}`, nil},
}

// some are a few of the values, in any order.
func some(random *rand.Rand, least, most int, of ...string) (out []string) {
	for _, i := range random.Perm(len(of))[:least+random.IntN(most-least+1)] {
		out = append(out, of[i])
	}
	return out
}

func perhaps(random *rand.Rand, then func() []string) []string {
	if random.IntN(3) > 0 {
		return nil
	}
	return then()
}

func randomKongRoute(random *rand.Rand, number int) *kongRoute {
	r := &kongRoute{
		number: number, priority: []int{0, 0, 0, 1, 5, 1023, 1024, 3000}[random.IntN(8)], strip: random.IntN(2) == 0,
		gate: kongGates[random.IntN(len(kongGates))], base: []string{"", "", "/base", "/base/"}[random.IntN(4)],
		hosts:   perhaps(random, func() []string { return some(random, 1, 2, "a.ex", "b.ex", "*.ex", "a.*") }),
		methods: perhaps(random, func() []string { return some(random, 1, 2, "GET", "POST") }),
		headers: perhaps(random, func() []string { return some(random, 1, 3, "X-A", "X-B", "X-C") }),
		paths: some(random, 0, 3, "/", "/a", "/a/", "/a/x", "/b", "/ax", "/a/1", "~/a", "~/[ab]/x", `~/a/\d+$`, "~/a/[^/]+",
			"~/b.*", "~/(a|b)/x", "~/a/x/?", "~/a/", "~/(?i)A", "~/a.*x", "~/b|/a"),
	}
	if r.kinds() == 0 {
		r.paths = []string{"/"}
	}
	return r
}

// deck is the route with its service.
func (r *kongRoute) deck() string {
	list := func(name string, values []string) string {
		if len(values) == 0 {
			return ""
		}
		return name + ": ['" + strings.Join(values, "', '") + "'], "
	}
	headers := ""
	for _, name := range r.headers {
		headers += name + ": ['1'], "
	}
	return fmt.Sprintf("- name: s%[1]d\n  url: http://s%[1]d.internal%[2]s\n  routes:\n  - {name: r%[1]d, %[3]s%[4]s%[5]s"+
		"headers: {%[6]s}, regex_priority: %[7]d, strip_path: %[8]v, plugins: [%[9]s]}\n", r.number, r.base,
		list("hosts", r.hosts), list("methods", r.methods), list("paths", r.paths), headers, r.priority, r.strip,
		r.gate.plugins)
}

// kinds is how many kinds of conditions the route has.
func (r *kongRoute) kinds() (n int) {
	for _, many := range []int{len(r.hosts), len(r.methods), len(r.headers), len(r.paths)} {
		n += min(many, 1)
	}
	return n
}

// parts are what Kong makes of a route: one part for all regular expressions, and one for all paths of each length.
func (r *kongRoute) parts() (out [][]string) {
	places := map[int]int{}
	for _, path := range r.paths {
		length := len(path)
		if path[0] == '~' {
			length = 0
		}
		at, known := places[length]
		if !known {
			at = len(out)
			places[length], out = at, append(out, nil)
		}
		out[at] = append(out[at], path)
	}
	if len(out) == 0 {
		return [][]string{nil}
	}
	return out
}

// kongRequest is a request as Kong's router sees it.
type kongRequest struct {
	method, host, path string
	headers            []string
}

func (r *kongRoute) matches(q kongRequest) bool {
	return (len(r.methods) == 0 || slices.Contains(r.methods, q.method)) &&
		(len(r.hosts) == 0 || slices.ContainsFunc(r.hosts, func(host string) bool {
			switch {
			case strings.HasPrefix(host, "*"):
				return strings.HasSuffix(q.host, host[1:])
			case strings.HasSuffix(host, "*"):
				return strings.HasPrefix(q.host, host[:len(host)-1])
			default:
				return q.host == host
			}
		})) &&
		!slices.ContainsFunc(r.headers, func(name string) bool { return !slices.Contains(q.headers, name) })
}

// matched is what the paths of a part match of a path; it is empty if they match nothing.
func matched(paths []string, path string) string {
	for _, p := range paths {
		if expr, is := strings.CutPrefix(p, "~"); is {
			if found := regexp.MustCompile("^" + expr).FindString(path); found != "" {
				return found
			}
		} else if strings.HasPrefix(path, p) {
			return p
		}
	}
	return ""
}

// rank is the priority of a part as Kong explains it, or as it computes it with shifts of 32 bits.
func (r *kongRoute) rank(paths []string, computed bool) []int {
	regex, length, priority, plain := 0, 0, 0, 0
	if len(paths) > 0 && paths[0][0] == '~' {
		regex, priority = 1, r.priority
	} else if len(paths) > 0 {
		length = len(paths[0])
	}
	if len(r.hosts) > 0 && !strings.Contains(strings.Join(r.hosts, ""), "*") {
		plain = 1
	}
	if !computed {
		return []int{r.kinds(), plain, len(r.headers), regex, priority, length}
	}
	weight := int64(int32(uint32(r.kinds()) << 29)) //nolint:gosec // it overflows, as there
	low := weight | int64(len(r.headers))<<20 | int64(priority)<<19 | int64(length)
	return []int{plain, regex, int(low)}
}

// upstream is the path that the service of a route gets.
func (r *kongRoute) upstream(paths []string, path string) string {
	rest := path
	if r.strip {
		rest = strings.TrimPrefix(path, matched(paths, path))
	}
	base := strings.TrimSuffix(r.base, "/")
	switch {
	case rest == "" && base == "":
		return "/"
	case rest == "" && strings.HasSuffix(path, "/") && path != "/" || rest == "" && path == "/" && base != r.base:
		return base + "/"
	case rest == "":
		return base
	case path == "/" && r.base != "":
		return r.base // with the slash at its end, or without
	default:
		return base + "/" + strings.TrimPrefix(rest, "/")
	}
}
