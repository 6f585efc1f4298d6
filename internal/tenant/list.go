package tenant

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// List says which tenants are accepted. It is safe for concurrent use.
type List interface {
	// Has reports whether the tenant is accepted. It neither blocks nor allocates.
	Has(tenant string) bool
	// Len is how many tenants there are; -1 for any.
	Len() int
	// First are the first tenants in the order of the alphabet, at most n of them. Nil for any.
	First(n int) []string
}

// Any is the list of all tenants that there may be.
type Any struct{}

// Has implements List. A name that no tenant can have is not among them.
func (Any) Has(tenant string) bool { return Valid(tenant) }

// Len implements List.
func (Any) Len() int { return -1 }

// First implements List.
func (Any) First(int) []string { return nil }

// Set is a list that never changes.
type Set struct {
	names map[string]struct{}
	first []string // in the order of the alphabet
}

// mostFirst is how many names a Set keeps in order.
const mostFirst = 10

// NewSet makes a list of these tenants. There must be at least one.
func NewSet(names ...string) (*Set, error) {
	if len(names) == 0 {
		return nil, errors.New("there is no tenant in it")
	}
	s := &Set{names: make(map[string]struct{}, len(names))}
	for _, name := range names {
		if err := Check(name); err != nil {
			return nil, err
		}
		s.names[name] = struct{}{}
	}
	sorted := slices.Sorted(slices.Values(names))
	sorted = slices.Compact(sorted)
	s.first = slices.Clone(sorted[:min(len(sorted), mostFirst)])
	return s, nil
}

// Check says why a text cannot be the name of a tenant.
func Check(name string) error {
	if Valid(name) {
		return nil
	}
	return fmt.Errorf("%.80q cannot be a tenant: it is the segment of the issuer that \"*\" stands for, "+
		"1 to %d letters, digits, \".\", \"_\" and \"-\"", name, Longest)
}

// ParseSet reads a list: one tenant on each line. Lines that are empty or begin with "#" do not count.
func ParseSet(text []byte) (*Set, error) {
	var names []string
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(string(text), "\ufeff")) {
		number++
		name := strings.Trim(line, " \t\r\n")
		if name == "" || name[0] == '#' {
			continue
		}
		if err := Check(name); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		names = append(names, strings.Clone(name)) // so that a name does not keep the whole text
	}
	return NewSet(names...)
}

// Has implements List.
func (s *Set) Has(tenant string) bool {
	_, ok := s.names[tenant]
	return ok
}

// All are the tenants in the order of the alphabet.
func (s *Set) All() []string { return slices.Sorted(maps.Keys(s.names)) }

// Len implements List.
func (s *Set) Len() int { return len(s.names) }

// First implements List. It knows ten names at most.
func (s *Set) First(n int) []string { return s.first[:min(n, len(s.first))] }
