package scope_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/scope"
	"github.com/caddyjwt/gateway/internal/setting"
)

// implies is one implication.
func implies(broad string, narrow ...string) scope.Implication {
	return scope.Implication{Broad: broad, Narrow: narrow}
}

func TestMistakesInImplications(t *testing.T) {
	long := implies("a")
	for i := range scope.MaxImplications + 1 {
		long.Narrow = append(long.Narrow, fmt.Sprint(i))
	}
	for name, c := range map[string]struct {
		implied     []scope.Implication
		field, want string
	}{
		"itself": {[]scope.Implication{implies("x", "y"), implies("a", "b", "a")}, "[1]",
			`the scope "a" implies itself: a implies a;`},
		"in two steps": {[]scope.Implication{implies("a", "b"), implies("b", "a")}, "[0]",
			`the scope "a" implies itself: a implies b implies a;`},
		"in three steps, beside others": {
			[]scope.Implication{implies("x", "a"), implies("a", "z", "b"), implies("b", "c"), implies("c", "z", "a")},
			"[1]", `the scope "a" implies itself: a implies b implies c implies a;`},
		"nothing":           {[]scope.Implication{implies("a")}, "[0].Narrow", "no scope follows"},
		"an empty scope":    {[]scope.Implication{implies("a", "")}, "[0].Narrow", "scope is empty"},
		"an empty broad":    {[]scope.Implication{implies("", "a")}, "[0].Broad", "scope is empty"},
		"a blank":           {[]scope.Implication{implies("a", "b"), implies("a", "b c")}, "[1].Narrow", `"b c" has`},
		"a quote":           {[]scope.Implication{implies(`a"`, "b")}, "[0].Broad", `scope "a\"" has`},
		"more than we take": {[]scope.Implication{long}, "[0]", "more than 512 implications"},
	} {
		_, err := scope.NewHierarchy(c.implied)
		if err == nil || setting.Field(err) != c.field || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: field %q, error %v; want %q, %q", name, setting.Field(err), err, c.field, c.want)
		}
	}
	diamond := []scope.Implication{
		implies("a", "b", "c"), implies("b", "d"), implies("c", "d"), implies("a", "d", "d"),
	}
	if _, err := scope.NewHierarchy(diamond); err != nil {
		t.Errorf("two ways to the same scope are no cycle: %v", err)
	}
}

// The longest chain that a configuration may have stays small, and its ends are joined.
func TestLongestChainOfImplications(t *testing.T) {
	var chain []scope.Implication
	for i := range scope.MaxImplications {
		chain = append(chain, implies(fmt.Sprint(i), fmt.Sprint(i+1)))
	}
	h, err := scope.NewHierarchy(chain)
	if err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprint(scope.MaxImplications)
	if !h.Has(scopesOf(t, "0"), last) || h.Has(scopesOf(t, last), "0") {
		t.Error("the first scope does not imply the last one, or the last one implies the first")
	}
	_, err = scope.NewHierarchy(append(chain[:len(chain)-1], implies(fmt.Sprint(len(chain)-1), "0")))
	if err == nil {
		t.Error("a cycle of all scopes loads")
	}
}

// scopesOf is a claims set with these scopes.
func scopesOf(tb testing.TB, scopes ...string) *claims.Set {
	tb.Helper()
	set, err := claims.Decode([]byte(`{"scope": "` + strings.Join(scopes, " ") + `"}`))
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// The methods agree about what a token has. Nil is a hierarchy in which no scope implies another, and a token without
// claims has nothing.
func TestHierarchy(t *testing.T) {
	levels, err := scope.NewHierarchy([]scope.Implication{implies("admin", "write"), implies("write", "read", "list")})
	if err != nil {
		t.Fatal(err)
	}
	none, err := scope.NewHierarchy(nil)
	if none != nil || err != nil {
		t.Fatalf("%v, %v", none, err)
	}
	above := []string{"admin", "write"}
	for name, c := range map[string]struct {
		h                      *scope.Hierarchy
		set                    *claims.Set
		wanted, missing, above []string
	}{
		"in two steps":         {levels, scopesOf(t, "admin"), []string{"read", "write"}, nil, above},
		"not upwards":          {levels, scopesOf(t, "read"), []string{"read", "write"}, []string{"write"}, above},
		"nothing of it":        {levels, scopesOf(t, "x"), []string{"list"}, []string{"list"}, above},
		"without a hierarchy":  {none, scopesOf(t, "admin read"), []string{"read", "write"}, []string{"write"}, nil},
		"without claims":       {levels, nil, []string{"read"}, []string{"read"}, above},
		"without any scope":    {levels, scopesOf(t), []string{"read"}, []string{"read"}, above},
		"the broadest of them": {levels, scopesOf(t, "admin"), []string{"admin"}, nil, nil},
	} {
		missing := c.h.Missing(c.set, c.wanted)
		if !slices.Equal(missing, c.missing) || !slices.Equal(c.h.Above(c.wanted), c.above) {
			t.Errorf("%s: missing %q, above %q", name, missing, c.h.Above(c.wanted))
		}
		all, some := c.h.HasAll(c.set, c.wanted), c.h.HasAny(c.set, c.wanted)
		if all != (len(missing) == 0) || some != (len(missing) < len(c.wanted)) {
			t.Errorf("%s: has all %v, has any %v", name, all, some)
		}
	}
}

// FuzzHierarchy compares the hierarchy with a naive model: whoever can walk from a broad scope to a narrow one has
// the narrow one, and a walk in a circle is an error.
func FuzzHierarchy(f *testing.F) {
	f.Add("ab bc", "a")
	f.Add("ab ba", "a")
	f.Add("ab ac bd cd de", "ce")
	f.Add("aa", "")
	f.Add("fe ed dc cb ba", "f")
	f.Fuzz(func(t *testing.T, pairs, has string) {
		if len(has) > 1024 { // package claims refuses a token with so many scopes
			return
		}
		var implied []scope.Implication
		reaches := make(map[[2]byte]bool)
		for pair := range strings.FieldsSeq(pairs) {
			if len(pair) < 2 || bearer.ValidScope(pair) != nil || len(implied) > 40 {
				return
			}
			i := implies(pair[:1])
			for n := range len(pair) - 1 {
				i.Narrow = append(i.Narrow, pair[n+1:n+2])
				reaches[[2]byte{pair[0], pair[n+1]}] = true
			}
			implied = append(implied, i)
		}
		for grown := true; grown; { // the transitive closure, by brute force
			grown = false
			for one := range reaches {
				for two := range reaches {
					if joined := [2]byte{one[0], two[1]}; one[1] == two[0] && !reaches[joined] {
						reaches[joined], grown = true, true
					}
				}
			}
		}
		cycle := false
		for pair := range reaches {
			cycle = cycle || pair[0] == pair[1]
		}
		h, err := scope.NewHierarchy(implied)
		switch {
		case err != nil && len(implied) <= 40 && !cycle && !strings.Contains(err.Error(), "more than"):
			t.Fatalf("%q: %v", pairs, err)
		case err == nil && cycle:
			t.Fatalf("%q: a cycle loads", pairs)
		case err != nil || bearer.ValidScope(has) != nil && has != "":
			return
		}
		set := scopesOf(t, strings.Split(has, "")...)
		for narrow := range byte(0x7f) {
			want := strings.IndexByte(has, narrow) >= 0 || slices.ContainsFunc([]byte(has), func(broad byte) bool {
				return reaches[[2]byte{broad, narrow}]
			})
			if got := h.Has(set, string([]byte{narrow})); got != want {
				t.Fatalf("%q, the token has %q: %q is there: %v, want %v", pairs, has, narrow, got, want)
			}
		}
	})
}
