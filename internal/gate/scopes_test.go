package gate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// implies is one implication.
func implies(broad string, narrow ...string) gate.ScopeImplication {
	return gate.ScopeImplication{Broad: broad, Narrow: narrow}
}

// TestScopeRequirements is a truth table of any_scope and scope_implies. Every case runs as the requirements of a gate,
// twice because of its cache, and as the condition of a matcher behind that gate.
func TestScopeRequirements(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	none := []gate.ScopeImplication(nil)
	levels := []gate.ScopeImplication{
		implies("admin", "write"), implies("write", "read", "list"), implies("admin", "audit"),
	}
	all := func(scopes ...string) gate.Requirements { return gate.Requirements{Scopes: scopes} }
	anyOf := func(lists ...[]string) gate.Requirements { return gate.Requirements{AnyScopes: lists} }
	or := func(scopes ...string) []string { return scopes }
	both := gate.Requirements{Scopes: or("x"), AnyScopes: [][]string{or("a", "b")}}
	star := []gate.ScopeImplication{implies("mcp:*", "read")}
	for name, c := range map[string]struct {
		require gate.Requirements
		implied []gate.ScopeImplication
		set     m
		passes  bool
	}{
		"the first alternative":                 {anyOf(or("a", "b")), none, m{"scope": "x a"}, true},
		"the last alternative":                  {anyOf(or("a", "b", "c")), none, m{"scope": "c"}, true},
		"an alternative in scp":                 {anyOf(or("a", "b")), none, m{"scope": "x", "scp": []string{"b"}}, true},
		"no alternative":                        {anyOf(or("a", "b")), none, m{"scope": "c"}, false},
		"no scope at all":                       {anyOf(or("a", "b")), none, nil, false},
		"an alternative in another case":        {anyOf(or("a", "b")), none, m{"scope": "A B"}, false},
		"all alternatives in one element":       {anyOf(or("a", "b")), none, m{"scp": []string{"a b"}}, false},
		"one of each line":                      {anyOf(or("a", "b"), or("c", "d")), none, m{"scope": "b c"}, true},
		"one of the first line only":            {anyOf(or("a", "b"), or("c", "d")), none, m{"scope": "a b"}, false},
		"one of the second line only":           {anyOf(or("a", "b"), or("c", "d")), none, m{"scope": "d"}, false},
		"one scope that is in both lines":       {anyOf(or("a", "b"), or("b", "c")), none, m{"scope": "b"}, true},
		"all of the scopes, and an any_scope":   {both, none, m{"scope": "b x"}, true},
		"a scope without the any_scope":         {both, none, m{"scope": "x"}, false},
		"an any_scope without the scope":        {both, none, m{"scope": "a b"}, false},
		"a bar is part of a scope":              {anyOf(or("a|b")), none, m{"scope": "a|b"}, true},
		"a bar is no alternative":               {anyOf(or("a|b")), none, m{"scope": "a"}, false},
		"a star is part of a scope":             {all("mcp:*"), none, m{"scope": "mcp:*"}, true},
		"a star is no pattern of the route":     {all("mcp:*"), none, m{"scope": "mcp:read"}, false},
		"a star is no pattern of the token":     {all("mcp:read"), none, m{"scope": "mcp:* *"}, false},
		"the scope itself, with implications":   {all("read"), levels, m{"scope": "read"}, true},
		"a scope that implies it":               {all("read"), levels, m{"scope": "write"}, true},
		"a scope that implies it in two steps":  {all("read"), levels, m{"scope": "admin"}, true},
		"a second line of the same scope":       {all("audit", "list"), levels, m{"scp": "admin"}, true},
		"one implied, one of its own":           {all("read", "x"), levels, m{"scope": "write x"}, true},
		"one implied, one missing":              {all("read", "x"), levels, m{"scope": "admin"}, false},
		"narrow does not imply broad":           {all("admin"), levels, m{"scope": "write read list audit"}, false},
		"a sibling implies nothing":             {all("list"), levels, m{"scope": "read"}, false},
		"an alternative that is implied":        {anyOf(or("x", "read")), levels, m{"scope": "admin"}, true},
		"a star in what is broad":               {all("read"), star, m{"scope": "mcp:*"}, true},
		"a star in what is broad is no pattern": {all("read"), star, m{"scope": "mcp:write"}, false},
		"a broad scope in another case":         {all("read"), levels, m{"scope": "ADMIN Write"}, false},
		"a broad scope in another claim":        {all("read"), levels, m{"scopes": "admin", "roles": "admin"}, false},
		"a broad scope with a tab behind":       {all("read"), levels, m{"scope": "admin\tx"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, func(cfg *gate.Config) {
				cfg.Require, cfg.ScopeImplies, cfg.Cache = c.require, c.implied, newCache(t, 1<<20)
			})
			token := key.Sign(t, says(c.set))
			for range 2 {
				if c.passes {
					accepted(t, g, request(token))
				} else {
					refused(t, g, request(token), gate.InsufficientScope)
				}
			}
			agrees(t, g, request(token))
			condition := gate.Condition{Requirements: c.require}
			if err := condition.Validate(); err != nil {
				t.Fatal(err)
			}
			if id := accepted(t, build(t, key), request(token)); condition.Holds(id, g.Scopes()) != c.passes {
				t.Errorf("the condition holds: %v, and the gate decides otherwise", !c.passes)
			}
		})
	}
}

// A challenge names one way to meet everything, and each scope once.
func TestChallengeOfAnyScope(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) {
		c.Require = gate.Requirements{
			Scopes: []string{"a", "b"}, AnyScopes: [][]string{{"c", "d"}, {"b", "e"}, {"c"}, {"f", "a"}},
		}
		c.ScopeImplies = []gate.ScopeImplication{implies("root", "a", "b")}
	})
	for _, f := range []*gate.Failure{
		refused(t, g, request(""), gate.MissingToken),
		refused(t, g, request(key.Sign(t, says())), gate.InsufficientScope),
		refused(t, g, request(key.Sign(t, says(m{"scope": "a b d e"}))), gate.InsufficientScope),
	} {
		answer := g.Answer(f)
		if got := challengeOf(answer); !strings.HasSuffix(got, ` scope="a b c f"`) || answer.Scope != "a b c f" {
			t.Errorf("%v: challenge %s", f, got)
		}
	}
	accepted(t, g, request(key.Sign(t, says(m{"scope": "a b c f"}))))
}

// The cause of a missing scope names what came and what would have been enough.
func TestCausesOfMissingScopes(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for want, c := range map[string]struct {
		require gate.Requirements
		scope   any
	}{
		`the token needs one of the scopes "c", "d", and it has "x", "y"`: {
			gate.Requirements{AnyScopes: [][]string{{"c", "d"}}}, "x y"},
		`the token needs the scope "c", and it has none`: {gate.Requirements{AnyScopes: [][]string{{"c"}}}, nil},
		`the token lacks the scope "read", and it has "x"; scopes that imply one of those missing: "write", "admin"`: {
			gate.Requirements{Scopes: []string{"x", "read"}}, "x"},
		`the token lacks the scopes "a", "b", and it has none`: {gate.Requirements{Scopes: []string{"a", "b"}}, ""},
	} {
		g := build(t, key, func(cfg *gate.Config) {
			cfg.Require = c.require
			cfg.ScopeImplies = []gate.ScopeImplication{implies("write", "read"), implies("admin", "write")}
		})
		f := refused(t, g, request(key.Sign(t, says(m{"scope": c.scope}))), gate.InsufficientScope)
		if got := causeOf(f); got != want {
			t.Errorf("cause\n%s\nwant\n%s", got, want)
		}
	}
}

// What the server says about a JWT counts, too: by any_scope and scope_implies as well.
func TestScopesOfAnswersFollowTheSameRules(t *testing.T) {
	key, as := tokentest.NewKey(t, "ES256", "k1"), newAS(t)
	g := as.gate(gate.AskAlways, key, func(c *gate.Config) {
		c.Require = gate.Requirements{Scopes: []string{"read"}, AnyScopes: [][]string{{"a", "b"}}}
		c.ScopeImplies = []gate.ScopeImplication{implies("admin", "read")}
	})
	for answered, passes := range map[string]bool{
		"admin b": true, "read a": true, "admin": false, "read c": false, "b": false, "": false,
	} {
		jwt, opaque := key.Sign(t, says(m{"scope": "admin b", "jti": "j" + answered})), "opaque-"+b64(answered)
		as.says[jwt], as.says[opaque] = active(m{"scope": answered}), active(m{"scope": answered})
		for _, token := range []string{jwt, opaque} {
			if passes {
				accepted(t, g, request(token))
			} else if f := refused(t, g, request(token), gate.InsufficientScope); f.Cause == nil {
				t.Errorf("scope %q: no cause", answered)
			}
		}
	}
	jwt := key.Sign(t, says(m{"scope": "admin b"}))
	as.says[jwt] = active()
	accepted(t, g, request(jwt)) // the answer says nothing about scopes
}

func TestMistakesInScopeImplications(t *testing.T) {
	long := implies("a")
	for i := range gate.MaxImplications + 1 {
		long.Narrow = append(long.Narrow, fmt.Sprint(i))
	}
	for name, c := range map[string]struct {
		implied     []gate.ScopeImplication
		field, want string
	}{
		"itself": {[]gate.ScopeImplication{implies("x", "y"), implies("a", "b", "a")}, "[1]",
			`the scope "a" implies itself: a implies a;`},
		"in two steps": {[]gate.ScopeImplication{implies("a", "b"), implies("b", "a")}, "[0]",
			`the scope "a" implies itself: a implies b implies a;`},
		"in three steps, beside others": {
			[]gate.ScopeImplication{implies("x", "a"), implies("a", "z", "b"), implies("b", "c"), implies("c", "z", "a")},
			"[1]", `the scope "a" implies itself: a implies b implies c implies a;`},
		"nothing":           {[]gate.ScopeImplication{implies("a")}, "[0].Narrow", "no scope follows"},
		"an empty scope":    {[]gate.ScopeImplication{implies("a", "")}, "[0].Narrow", "scope is empty"},
		"an empty broad":    {[]gate.ScopeImplication{implies("", "a")}, "[0].Broad", "scope is empty"},
		"a blank":           {[]gate.ScopeImplication{implies("a", "b"), implies("a", "b c")}, "[1].Narrow", `"b c" has`},
		"a quote":           {[]gate.ScopeImplication{implies(`a"`, "b")}, "[0].Broad", `scope "a\"" has`},
		"more than we take": {[]gate.ScopeImplication{long}, "[0]", "more than 512 implications"},
	} {
		_, err := gate.NewScopeHierarchy(c.implied)
		if err == nil || setting.Field(err) != c.field || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: field %q, error %v; want %q, %q", name, setting.Field(err), err, c.field, c.want)
		}
		config := config(t, tokentest.NewKey(t, "ES256", "k1"), func(cfg *gate.Config) { cfg.ScopeImplies = c.implied })
		if err := config.Validate(); setting.Field(err) != "ScopeImplies"+c.field {
			t.Errorf("%s: the gate says %q: %v", name, setting.Field(err), err)
		}
	}
	diamond := []gate.ScopeImplication{
		implies("a", "b", "c"), implies("b", "d"), implies("c", "d"), implies("a", "d", "d"),
	}
	if _, err := gate.NewScopeHierarchy(diamond); err != nil {
		t.Errorf("two ways to the same scope are no cycle: %v", err)
	}
}

// The longest chain that a configuration may have stays small, and its ends are joined.
func TestLongestChainOfImplications(t *testing.T) {
	var chain []gate.ScopeImplication
	for i := range gate.MaxImplications {
		chain = append(chain, implies(fmt.Sprint(i), fmt.Sprint(i+1)))
	}
	h, err := gate.NewScopeHierarchy(chain)
	if err != nil {
		t.Fatal(err)
	}
	last := fmt.Sprint(gate.MaxImplications)
	if !h.Has(scopesOf(t, "0"), last) || h.Has(scopesOf(t, last), "0") {
		t.Error("the first scope does not imply the last one, or the last one implies the first")
	}
	_, err = gate.NewScopeHierarchy(append(chain[:len(chain)-1], implies(fmt.Sprint(len(chain)-1), "0")))
	if err == nil {
		t.Error("a cycle of all scopes loads")
	}
}

func TestRequireScopes(t *testing.T) {
	key, secret := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "HS256", "s")
	g := build(t, key, func(c *gate.Config) {
		c.Require = gate.Requirements{Scopes: []string{"base"}, AnyScopes: [][]string{{"eu", "us"}}}
		c.ScopeImplies = []gate.ScopeImplication{implies("admin", "write")}
		c.Consumers = []gate.Consumer{consumer(t, "shop", "shop-key", secret)}
	})
	user := accepted(t, g, request(key.Sign(t, says(m{"scope": "base us admin"}))))
	shop := accepted(t, g, request(secret.Sign(t, says(m{"iss": "shop-key", "scope": "base eu"}))))
	guest := &gate.Identity{ID: "guest", Anonymous: true}
	for name, c := range map[string]struct {
		id     *gate.Identity
		scopes []string
		want   gate.Reason
		scope  string // of the challenge
		issuer string
	}{
		"none are asked for":        {user, nil, "", "", ""},
		"one that the token has":    {user, []string{"us"}, "", "", ""},
		"one that is implied":       {user, []string{"write", "admin"}, "", "", ""},
		"one that is missing":       {user, []string{"write", "pay"}, gate.InsufficientScope, "base eu write pay", issuerA},
		"one of the route's":        {user, []string{"eu"}, gate.InsufficientScope, "base eu", issuerA},
		"a consumer lacks it":       {shop, []string{"write"}, gate.InsufficientScope, "base eu write", "shop-key"},
		"nobody, and none":          {nil, nil, "", "", ""},
		"nobody":                    {nil, []string{"write"}, gate.MissingToken, "base eu write", ""},
		"the anonymous":             {guest, []string{"a"}, gate.MissingToken, "base eu a", ""},
		"somebody without claims":   {&gate.Identity{ID: "x"}, []string{"a"}, gate.InsufficientScope, "base eu a", ""},
		"the same twice, as listed": {user, []string{"p", "p"}, gate.InsufficientScope, "base eu p", issuerA},
	} {
		t.Run(name, func(t *testing.T) {
			f := g.RequireScopes(c.id, c.scopes)
			if c.want == "" {
				if f != nil {
					t.Fatalf("refused: %v", explain(f))
				}
				return
			}
			if f == nil {
				t.Fatal("nothing is missing")
			}
			answer := g.Answer(f)
			code, status := "insufficient_scope", 403
			if c.want == gate.MissingToken {
				code, status = "", 401
			}
			if f.Reason != c.want || f.Issuer != c.issuer || f.Cause == nil || answer.Status != status || answer.Code != code ||
				answer.Scope != c.scope || !strings.HasSuffix(challengeOf(answer), `scope="`+c.scope+`"`) {
				t.Errorf("%v of %q, status %d, code %q, %s", explain(f), f.Issuer, answer.Status, answer.Code, challengeOf(answer))
			}
		})
	}
	const want = `needed: the scope "write"; there is no token; scopes that imply one of those missing: "admin"`
	f := g.RequireScopes(nil, []string{"write"})
	if got := causeOf(f); got != want {
		t.Errorf("cause %s", got)
	}
	bare := build(t, key)
	f = bare.RequireScopes(user, []string{"a", "b"})
	if got := challengeOf(bare.Answer(f)); !strings.HasSuffix(got, ` scope="a b"`) {
		t.Errorf("challenge %s", got)
	}
}

func TestScopesThatAreThereAllocateNothing(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	key := tokentest.NewKey(t, "RS256", "k1")
	g, _ := cached(t, newCache(t, 1<<20), key, func(c *gate.Config) {
		c.Require = gate.Requirements{Scopes: []string{"orders.read", "list"}, AnyScopes: [][]string{{"none", "list"}}}
		c.ScopeImplies = []gate.ScopeImplication{implies("orders.read", "middle"), implies("middle", "list")}
	})
	r := request(key.Sign(t, says(m{"scope": "orders.read x"})))
	id := accepted(t, g, r)
	scopes := []string{"list", "orders.read"}
	for name, run := range map[string]func(){
		"a hit":         func() { _, _ = g.Check(direct(r)) },
		"RequireScopes": func() { _ = g.RequireScopes(id, scopes) },
	} {
		if n := testing.AllocsPerRun(200, run); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
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

// FuzzScopeHierarchy compares the hierarchy with a naive model: whoever can walk from a broad scope to a narrow one has
// the narrow one, and a walk in a circle is an error.
func FuzzScopeHierarchy(f *testing.F) {
	f.Add("ab bc", "a")
	f.Add("ab ba", "a")
	f.Add("ab ac bd cd de", "ce")
	f.Add("aa", "")
	f.Add("fe ed dc cb ba", "f")
	f.Fuzz(func(t *testing.T, pairs, has string) {
		var implied []gate.ScopeImplication
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
		h, err := gate.NewScopeHierarchy(implied)
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
