package gate_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/scope"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// implies is one implication.
func implies(broad string, narrow ...string) scope.Implication {
	return scope.Implication{Broad: broad, Narrow: narrow}
}

// TestScopeRequirements is a truth table of any_scope and scope_implies. Every case runs as the requirements of a gate,
// twice because of its cache, and as the condition of a matcher behind that gate.
func TestScopeRequirements(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	none := []scope.Implication(nil)
	levels := []scope.Implication{
		implies("admin", "write"), implies("write", "read", "list"), implies("admin", "audit"),
	}
	all := func(scopes ...string) gate.Requirements { return gate.Requirements{Scopes: scopes} }
	anyOf := func(lists ...[]string) gate.Requirements { return gate.Requirements{AnyScopes: lists} }
	or := func(scopes ...string) []string { return scopes }
	both := gate.Requirements{Scopes: or("x"), AnyScopes: [][]string{or("a", "b")}}
	star := []scope.Implication{implies("mcp:*", "read")}
	for name, c := range map[string]struct {
		require gate.Requirements
		implied []scope.Implication
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
		c.ScopeImplies = []scope.Implication{implies("root", "a", "b")}
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
			cfg.ScopeImplies = []scope.Implication{implies("write", "read"), implies("admin", "write")}
		})
		f := refused(t, g, request(key.Sign(t, says(m{"scope": c.scope}))), gate.InsufficientScope)
		if got := causeOf(f); got != want {
			t.Errorf("cause\n%s\nwant\n%s", got, want)
		}
	}
}

// What the server says about a JWT counts, too: by any_scope and scope_implies as well. Of several scopes, one must be
// in the token and also in the answer.
func TestScopesOfAnswersFollowTheSameRules(t *testing.T) {
	key, as := tokentest.NewKey(t, "ES256", "k1"), newAS(t)
	g := as.gate(gate.AskAlways, key, func(c *gate.Config) {
		c.Require = gate.Requirements{Scopes: []string{"read"}, AnyScopes: [][]string{{"a", "b"}}}
		c.ScopeImplies = []scope.Implication{implies("admin", "read")}
	})
	for answered, passes := range map[string]bool{
		"admin b": true, "read a b": true, "read a": false, "admin": false, "read c": false, "b": false, "": false,
	} {
		jwt, opaque := key.Sign(t, says(m{"scope": "admin b", "jti": "j" + answered})), "opaque-"+b64(answered)
		as.says[jwt], as.says[opaque] = active(m{"scope": answered}), active(m{"scope": answered})
		for _, token := range []string{jwt, opaque} {
			if passes || token == opaque && answered == "read a" { // about which there is only one statement
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

// The gate names its own setting when an implication is wrong.
func TestMistakesInScopeImplications(t *testing.T) {
	config := config(t, tokentest.NewKey(t, "ES256", "k1"), func(c *gate.Config) {
		c.ScopeImplies = []scope.Implication{implies("a", "b"), implies("a", "")}
	})
	if err := config.Validate(); setting.Field(err) != "ScopeImplies[1].Narrow" {
		t.Errorf("field %q: %v", setting.Field(err), err)
	}
}

func TestRequireScopes(t *testing.T) {
	key, secret := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "HS256", "s")
	g := build(t, key, func(c *gate.Config) {
		c.Require = gate.Requirements{Scopes: []string{"base"}, AnyScopes: [][]string{{"eu", "us"}}}
		c.ScopeImplies = []scope.Implication{implies("admin", "write")}
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
		c.ScopeImplies = []scope.Implication{implies("orders.read", "middle"), implies("middle", "list")}
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
