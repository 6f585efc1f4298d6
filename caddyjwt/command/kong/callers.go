package kong

import "slices"

// callers are those who may send requests to a route.
type callers struct {
	kind        kindOfCallers
	rules       string   // all that the gate demands beside what follows
	anonymous   string   // the consumer that callers without a token are; empty if they are refused
	allow, deny []string // groups, of which a consumer must be in one, or in none
}

type kindOfCallers int

const (
	nobody    kindOfCallers = iota // the route is closed
	consumers                      // those in the groups, if there are groups
	everybody                      // whatever the token is
)

// within reports whether all who are among these are surely among others, too.
func (c callers) within(others callers) bool {
	switch {
	case c.kind == nobody || others.kind == everybody:
		return true
	case c.kind != others.kind || c.rules != others.rules || c.anonymous != "" && c.anonymous != others.anonymous:
		return false
	case len(others.allow)+len(others.deny) == 0:
		return true
	case len(others.allow) > 0:
		return len(c.allow) > 0 && subset(c.allow, others.allow)
	default:
		return subset(others.deny, c.deny)
	}
}

func subset(of, in []string) bool {
	return !slices.ContainsFunc(of, func(one string) bool { return !slices.Contains(in, one) })
}
