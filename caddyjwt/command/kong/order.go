package kong

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Kong tries routes by a priority. What it computes is not what it explains, and some routes have the same. So an order
// counts only where both agree, and where they do not, the stricter route is tried first.

// The values of router_flavor in Kong whose routes have conditions.
const (
	flavorCompatible  = "traditional_compatible"
	flavorTraditional = "traditional"
)

// A priority is what decides about the place of an entry in the order in which Kong tries them.
type priority struct {
	kinds      int // of conditions
	plainHosts bool
	headers    int
	regex      bool
	priority   int // regex_priority
	length     int // of a path that is no regular expression
	categories int // which kinds: hosts count more than headers, those more than paths, and those more than methods
	vague      bool
}

// documented is the priority of the router flavor "traditional_compatible", the default, as its source explains it:
// more kinds of conditions first, then hosts without wildcards, more headers, regular expressions by their priority,
// and longer paths.
func (p priority) documented(other priority) int {
	return cmp.Or(
		cmp.Compare(other.kinds, p.kinds), compareBool(other.plainHosts, p.plainHosts),
		cmp.Compare(other.headers, p.headers), compareBool(other.regex, p.regex),
		cmp.Compare(other.priority, p.priority), cmp.Compare(other.length, p.length))
}

// computed is the priority that the same flavor computes: some shifts of its 64 bits are those of 32, so that hosts
// without wildcards and regular expressions come before all else, and headers mix with regex_priority.
func (p priority) computed(other priority) int { return cmp.Compare(other.bits(), p.bits()) }

func (p priority) bits() uint64 {
	bits := uint64(p.kinds)<<29 | uint64(p.headers)<<20 | uint64(p.length)&0x7FFFF
	if p.regex {
		bits |= 1<<51 | uint64(p.priority)<<19
	}
	if p.plainHosts {
		bits |= 1 << 60
	}
	return bits
}

// traditional is the order of the router flavor "traditional": which kinds of conditions there are comes before all
// that is in them.
func (p priority) traditional(other priority) int {
	return cmp.Or(cmp.Compare(other.kinds, p.kinds), cmp.Compare(other.categories, p.categories), p.documented(other))
}

// isVague reports whether the computed priority overflows: nobody should rely on it.
func (p priority) isVague() bool {
	return p.vague || p.kinds > 3 || p.headers > math.MaxUint8 || p.priority < 0 || p.priority > 4095
}

func compareBool(a, b bool) int { return cmp.Compare(pick(a, 1, 0), pick(b, 1, 0)) }

// before is the order of two entries in all routers of a flavor: negative if the first is tried first in all of them,
// positive if the second is, and 0 if they do not agree.
func (c *converter) before(a, b *entry) int {
	if a.priority.isVague() || b.priority.isVague() {
		return 0
	}
	if c.options.Flavor == flavorTraditional {
		return a.priority.traditional(b.priority)
	}
	documented, computed := a.priority.documented(b.priority), a.priority.computed(b.priority)
	if documented == computed {
		return documented
	}
	return 0
}

// excludes reports whether no request can be for both entries, as far as that is plain to see.
func (e *entry) excludes(other *entry) bool {
	return disjoint(e.hosts, other.hosts) || disjoint(e.methods, other.methods) ||
		len(e.paths) > 0 && len(other.paths) > 0 && !e.sharesPaths(other)
}

// sharesPaths reports whether a path of one entry may be one of the other.
func (e *entry) sharesPaths(other *entry) bool {
	for _, a := range e.paths {
		for _, b := range other.paths {
			if strings.HasPrefix(a.pattern.Begins, b.pattern.Begins) || strings.HasPrefix(b.pattern.Begins, a.pattern.Begins) {
				return true
			}
		}
	}
	return false
}

// plainSet is the set of values that a condition demands, in lower case. It is nil if there is no condition, or if not
// all of it was converted: then it excludes nothing.
func plainSet(values []string, plain func(string) bool) map[string]bool {
	if len(values) == 0 {
		return nil
	}
	out := make(map[string]bool, len(values))
	for _, value := range values {
		if !plain(value) {
			return nil
		}
		out[strings.ToLower(value)] = true
	}
	return out
}

// disjoint reports whether two sets have nothing in common.
func disjoint(a, b map[string]bool) bool {
	if a == nil || b == nil {
		return false
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	for value := range a {
		if b[value] {
			return false
		}
	}
	return true
}

// ordered brings entries into the order in which the site tries them: that of Kong where its routers agree, and else
// the stricter one first. Of two entries that neither is stricter, no order is right: both are closed.
func (c *converter) ordered(all []entry) []entry {
	slices.SortStableFunc(all, func(a, b entry) int { return a.priority.computed(b.priority) })
	after := c.constraints(all)
	var out []entry
	waiting := make([]int, len(all)) // how many must come before
	for _, later := range after {
		for _, i := range later {
			waiting[i]++
		}
	}
	for len(out) < len(all) {
		next := slices.IndexFunc(waiting, func(n int) bool { return n == 0 })
		if next < 0 {
			next = breakCircle(all, waiting)
		}
		waiting[next] = -1 // it is in its place
		out = append(out, all[next])
		for _, i := range after[next] {
			if waiting[i] > 0 {
				waiting[i]--
			}
		}
	}
	return out
}

// constraints are, for each entry, the places of those that must come after it.
func (c *converter) constraints(all []entry) [][]int {
	after := make([][]int, len(all))
	for i := range all {
		for j := i + 1; j < len(all); j++ {
			a, b := &all[i], &all[j]
			if a.excludes(b) {
				continue
			}
			order := c.before(a, b)
			switch {
			case order != 0:
			case a.place == b.place:
				order = -1 // in the order of the file
			case !a.isLike(b):
				order = c.stricter(a, b)
			}
			switch {
			case order > 0:
				after[j] = append(after[j], i)
			case order < 0:
				after[i] = append(after[i], j)
			}
		}
	}
	return after
}

// isLike reports whether it makes no difference which of two entries takes a request.
func (e *entry) isLike(other *entry) bool {
	return e.protection.gate == other.protection.gate && e.isClosed() == other.isClosed() &&
		e.route.Service == other.route.Service && e.laxness() == other.laxness()
}

// laxness is how lax an entry is beside the gate: about HTTPS, and about what the backend learns.
func (e *entry) laxness() int {
	return pick(onlyHTTPS(e.route), 0, 2) + pick(e.protection.hideGroups, 0, 1)
}

// stricter is the order of two entries about which the routers do not agree.
func (c *converter) stricter(a, b *entry) int {
	first, second := a.who().within(b.who()), b.who().within(a.who())
	switch {
	case first && second && a.laxness() > b.laxness():
		c.addTie(b, a)
		return 1
	case first:
		c.addTie(a, b)
		return -1
	case second:
		c.addTie(b, a)
		return 1
	}
	for _, e := range []*entry{a, b} {
		e.why = append(e.why, "its order among routes with other rules")
	}
	return -1
}

// addTie notes once for each route that it is tried before others.
func (c *converter) addTie(first, second *entry) {
	if first.isClosed() || c.ties[first.place] {
		return
	}
	c.ties[first.place] = true
	first.remark = c.add("line %d: route %q is tried before others that are not stricter, such as %q of line %d: Kong "+
		"does not say which comes first", first.route.Line, first.name(), second.name(), second.route.Line)
}

// breakCircle closes the first entry of those that wait for each other.
func breakCircle(all []entry, waiting []int) int {
	next := -1
	for i := range all {
		if waiting[i] >= 0 && (next < 0 || waiting[i] < waiting[next]) {
			next = i
		}
	}
	all[next].why = append(all[next].why, "its order among other routes")
	return next
}
