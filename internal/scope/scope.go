// Package scope knows which OAuth scopes imply others: a token with a broad scope has the narrow ones as well.
package scope

import (
	"fmt"
	"slices"
	"strings"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/setting"
)

// MaxImplications bounds the pairs of a broad and a narrow scope in a list of implications. What follows from them may
// be the square of that.
const MaxImplications = 512

// Implication says that a token with the scope Broad has the scopes Narrow, too, and in turn what those imply.
type Implication struct {
	Broad  string
	Narrow []string
}

// Hierarchy knows which scopes imply others. It is immutable. In nil, no scope implies another.
type Hierarchy struct {
	broader map[string][]string // by narrow scope: all that imply it, also in several steps
}

// NewHierarchy checks implications and follows each of them to its end. It refuses a scope that implies itself, in
// however many steps: whoever writes that has mixed up broad and narrow. Without implications, the hierarchy is nil.
func NewHierarchy(implications []Implication) (*Hierarchy, error) {
	if len(implications) == 0 {
		return nil, nil
	}
	if err := validateImplications(implications); err != nil {
		return nil, err
	}
	narrower := make(map[string][]string)
	for _, i := range implications {
		for _, narrow := range i.Narrow {
			if !slices.Contains(narrower[i.Broad], narrow) {
				narrower[i.Broad] = append(narrower[i.Broad], narrow)
			}
		}
	}
	h := &Hierarchy{broader: make(map[string][]string)}
	for i, implication := range implications {
		if slices.ContainsFunc(implications[:i], func(e Implication) bool { return e.Broad == implication.Broad }) {
			continue
		}
		if cycle := h.follow(implication.Broad, narrower); cycle != nil {
			return nil, setting.Errorf(fmt.Sprintf("[%d]", i), "scope_implies: the scope %q implies itself: %s; "+
				"remove one of these implications", implication.Broad, strings.Join(cycle, " implies "))
		}
	}
	return h, nil
}

// validateImplications checks each implication on its own.
func validateImplications(implications []Implication) error {
	pairs := 0
	for i, implication := range implications {
		at := fmt.Sprintf("[%d]", i)
		if err := bearer.ValidScope(implication.Broad); err != nil {
			return setting.Errorf(at+".Broad", "scope_implies: %w", err)
		}
		if len(implication.Narrow) == 0 {
			return setting.Errorf(at+".Narrow", "scope_implies %s: no scope follows that it implies", implication.Broad)
		}
		for _, narrow := range implication.Narrow {
			if err := bearer.ValidScope(narrow); err != nil {
				return setting.Errorf(at+".Narrow", "scope_implies %s: %w", implication.Broad, err)
			}
		}
		if pairs += len(implication.Narrow); pairs > MaxImplications {
			return setting.Errorf(at, "scope_implies: more than %d implications: have the authorization server put the "+
				"scopes themselves into its tokens", MaxImplications)
		}
	}
	return nil
}

// follow adds a broad scope to every scope that it implies. If it implies itself, follow returns the way from it to
// itself.
func (h *Hierarchy) follow(broad string, narrower map[string][]string) (cycle []string) {
	cameFrom := make(map[string]string)
	for next := []string{broad}; len(next) > 0; next = next[1:] {
		for _, narrow := range narrower[next[0]] {
			if narrow == broad {
				cycle = []string{broad}
				for at := next[0]; at != broad; at = cameFrom[at] {
					cycle = append(cycle, at)
				}
				cycle = append(cycle, broad)
				slices.Reverse(cycle)
				return cycle
			}
			if _, seen := cameFrom[narrow]; !seen {
				cameFrom[narrow] = next[0]
				h.broader[narrow] = append(h.broader[narrow], broad)
				next = append(next, narrow)
			}
		}
	}
	return nil
}

// Has reports whether a token has a scope, or one that implies it. It does not allocate. The set may be nil.
func (h *Hierarchy) Has(set *claims.Set, scope string) bool {
	switch {
	case set == nil:
		return false
	case set.HasScope(scope):
		return true
	case h == nil:
		return false
	}
	return slices.ContainsFunc(h.broader[scope], set.HasScope)
}

// Missing returns those of these scopes that a token does not have, nor one that implies them. The set may be nil.
func (h *Hierarchy) Missing(set *claims.Set, scopes []string) []string {
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return h.Has(set, scope) })
}

// HasAll reports whether a token has all of these scopes.
func (h *Hierarchy) HasAll(set *claims.Set, scopes []string) bool {
	for _, scope := range scopes {
		if !h.Has(set, scope) {
			return false
		}
	}
	return true
}

// HasAny reports whether a token has one of these scopes.
func (h *Hierarchy) HasAny(set *claims.Set, scopes []string) bool {
	for _, scope := range scopes {
		if h.Has(set, scope) {
			return true
		}
	}
	return false
}

// Above lists the scopes that imply one of these.
func (h *Hierarchy) Above(scopes []string) (broader []string) {
	if h == nil {
		return nil
	}
	for _, scope := range scopes {
		for _, broad := range h.broader[scope] {
			if !slices.Contains(broader, broad) {
				broader = append(broader, broad)
			}
		}
	}
	return broader
}
