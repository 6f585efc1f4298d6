package gate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/demand"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/scope"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// be is a condition that a claim is one of these values.
func be(tb testing.TB, text string, values ...string) claims.Condition {
	return claims.Condition{Path: path(tb, text), Values: values}
}

// like is a condition that a claim matches a pattern.
func like(tb testing.TB, text, pattern string) claims.Condition {
	tb.Helper()
	p, err := claims.ParsePattern(pattern)
	if err != nil {
		tb.Fatal(err)
	}
	return claims.Condition{Path: path(tb, text), Patterns: []claims.Pattern{p}}
}

// peopleOrMachines is met by a scope of people, a role of machines, or a group.
func peopleOrMachines(tb testing.TB) gate.Requirements {
	return gate.Requirements{Any: [][]demand.All{{
		{Scopes: []string{"orders:read", "profile"}}, {Claims: []claims.Condition{be(tb, "roles", "reader")}},
		{Groups: []string{"staff"}},
	}}}
}

// TestAlternativesAndExclusions is a truth table. Each case is judged by a gate, twice because of the cache, by its
// explanation, and by a condition with the same requirements.
func TestAlternativesAndExclusions(t *testing.T) {
	key, secret := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "HS256", "s")
	shop := consumer(t, "shop", "shop-key", secret)
	shop.Groups = []string{"partners"}
	bound := func(least, most string) (r gate.Requirements) {
		for i, text := range []string{least, most} {
			n, err := claims.ParseNumber(text)
			if err != nil {
				t.Fatal(err)
			}
			c := claims.Condition{Path: path(t, "level")}
			if c.AtLeast = n; i == 1 {
				c.AtLeast, c.AtMost = claims.Number{}, n
			}
			r.Claims = append(r.Claims, c)
		}
		return r
	}
	org := gate.Requirements{Claims: []claims.Condition{like(t, "sub", "org/*")}}
	not := func(e demand.Exclusions) gate.Requirements { return gate.Requirements{Not: e} }
	banned := not(demand.Exclusions{Claims: []claims.Condition{be(t, "role", "banned")}})
	two := peopleOrMachines(t)
	two.Any = append(
		two.Any,
		[]demand.All{{Claims: []claims.Condition{be(t, "region", "eu")}}, {Scopes: []string{"world"}}},
	)
	for name, c := range map[string]struct {
		require gate.Requirements
		set     m
		want    gate.Reason
	}{
		"a pattern":                     {org, m{"sub": "org/x"}, ""},
		"near a pattern":                {org, m{"sub": "org-evil/x"}, gate.ClaimMismatch},
		"a range":                       {bound("1", "5"), m{"level": 5}, ""},
		"above a range":                 {bound("1", "5"), m{"level": 5.5}, gate.ClaimMismatch},
		"a text in a range":             {bound("1", "5"), m{"level": "3"}, gate.ClaimMismatch},
		"the scopes of one alternative": {peopleOrMachines(t), m{"scope": "profile orders:read"}, ""},
		"a part of the scopes":          {peopleOrMachines(t), m{"scope": "profile"}, gate.InsufficientScope},
		"a role":                        {peopleOrMachines(t), m{"roles": []string{"reader"}}, ""},
		"a group":                       {peopleOrMachines(t), m{"groups": []string{"staff"}}, ""},
		"none of them":                  {peopleOrMachines(t), m{"roles": "writer"}, gate.InsufficientScope},
		"one block of two":              {two, m{"roles": "reader"}, gate.InsufficientScope},
		"both blocks":                   {two, m{"roles": "reader", "region": "eu"}, ""},
		"both blocks by scopes":         {two, m{"scope": "orders:read profile world"}, ""},
		"a claim that is not there":     {banned, nil, ""},
		"another role":                  {banned, m{"role": "clerk"}, ""},
		"the role":                      {banned, m{"role": "banned"}, gate.ClaimMismatch},
		"the role in a list":            {banned, m{"role": []string{"x", "banned"}}, gate.ClaimMismatch},
		"the role as a name":            {banned, m{"role": m{"banned": true}}, gate.ClaimMismatch},
		"a scope that is excluded": {not(demand.Exclusions{Scopes: []string{"guest"}}), m{"scope": "a guest"},
			gate.ClaimMismatch},
		"no scope that is excluded": {not(demand.Exclusions{Scopes: []string{"guest"}}), m{"scope": "a"}, ""},
		"a group that is excluded": {not(demand.Exclusions{Groups: []string{"x", "out"}}), m{"groups": "out"},
			gate.ClaimMismatch},
		"no group that is excluded": {not(demand.Exclusions{Groups: []string{"out"}}), m{"groups": []string{"in"}},
			""},
		"no groups at all": {not(demand.Exclusions{Groups: []string{"out"}}), nil, ""},
		"groups of a form that hides them": {not(demand.Exclusions{Groups: []string{"out"}}), m{"groups": m{"out": 1}},
			gate.ClaimMismatch},
		"groups in a list in a list": {not(demand.Exclusions{Groups: []string{"out"}}), m{"groups": []any{[]string{"x"}}},
			gate.ClaimMismatch},
		"a consumer of another group": {not(demand.Exclusions{Groups: []string{"staff"}}), m{"iss": "shop-key"}, ""},
		"a consumer of the group": {not(demand.Exclusions{Groups: []string{"partners"}}), m{"iss": "shop-key"},
			gate.ClaimMismatch},
		"a consumer whose token says others": {not(demand.Exclusions{Groups: []string{"x"}}),
			m{"iss": "shop-key", "groups": "x"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			consumers := func(cfg *gate.Config) { cfg.Consumers = []gate.Consumer{shop} }
			g := build(t, key, consumers, func(cfg *gate.Config) { cfg.Require, cfg.Cache = c.require, newCache(t, 1<<20) })
			token := key.Sign(t, says(c.set))
			if c.set["iss"] != nil {
				token = secret.Sign(t, says(c.set))
			}
			for range 2 {
				if c.want == "" {
					accepted(t, g, request(token))
				} else if f := refused(t, g, request(token), c.want); f.Cause.Error() == "" {
					t.Error("no cause")
				}
			}
			agrees(t, g, request(token))
			condition := gate.Condition{Requirements: c.require}
			if err := condition.Validate(); err != nil {
				t.Fatal(err)
			}
			if id := accepted(t, build(t, key, consumers), request(token)); condition.Holds(id, nil) != (c.want == "") {
				t.Errorf("a condition with the same requirements holds: %v", c.want != "")
			}
		})
	}
}

// A challenge names the scopes of the first alternative that scopes alone can meet. What scopes cannot mend is a claim
// that does not match.
func TestChallengeOfAlternatives(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, c := range map[string]struct {
		require gate.Requirements
		reason  gate.Reason
		scope   string
	}{
		"scopes among others": {peopleOrMachines(t), gate.InsufficientScope, "orders:read profile"},
		"no scopes": {gate.Requirements{Any: [][]demand.All{{{Groups: []string{"a"}}, {Groups: []string{"b"}}}}},
			gate.ClaimMismatch, ""},
		"scopes that are not enough": {gate.Requirements{Any: [][]demand.All{{
			{Groups: []string{"a"}}, {Scopes: []string{"a"}, Claims: []claims.Condition{be(t, "x")}}}}}, gate.ClaimMismatch, ""},
	} {
		g := build(t, key, func(cfg *gate.Config) { cfg.Require = c.require })
		f := refused(t, g, request(key.Sign(t, says())), c.reason)
		if answer := g.Answer(f); answer.Status != 403 || answer.Scope != c.scope {
			t.Errorf("%s: status %d, scope %q", name, answer.Status, answer.Scope)
		}
		if answer := g.Answer(refused(t, g, request(""), gate.MissingToken)); answer.Scope != c.scope {
			t.Errorf("%s: without a token, scope %q", name, answer.Scope)
		}
		if f := g.RequireScopes(nil, []string{"tool"}); f.Reply.Challenges[0].Scope != strings.TrimSpace(c.scope+" tool") {
			t.Errorf("%s: with a scope of a tool: %q", name, f.Reply.Challenges[0].Scope)
		}
	}
	// A user who has to sign in again can ask for the scopes of an alternative at once.
	g := build(t, key, stepsUp, func(cfg *gate.Config) { cfg.Require.Any = peopleOrMachines(t).Any })
	for roles, scope := range map[string]string{"reader": "", "writer": "orders:read profile"} {
		f := refused(t, g, request(key.Sign(t, says(m{"roles": roles}))), gate.InsufficientUserAuthentication)
		if answer := g.Answer(f); answer.Scope != scope {
			t.Errorf("role %s: scope %q, want %q", roles, answer.Scope, scope)
		}
	}
}

// The token and the answer about it must meet the same alternative. A scope may not be excluded in either.
func TestAnswersMeetTheSameAlternative(t *testing.T) {
	key, as := tokentest.NewKey(t, "ES256", "k1"), newAS(t)
	for name, c := range map[string]struct {
		require       gate.Requirements
		token, answer m
		jwt, opaque   gate.Reason
	}{
		"one scope of several in both": {gate.Requirements{AnyScopes: [][]string{{"a", "b"}}},
			m{"scope": "a b"}, m{"scope": "b"}, "", ""},
		"one scope in each": {gate.Requirements{AnyScopes: [][]string{{"a", "b"}}},
			m{"scope": "a"}, m{"scope": "b"}, gate.InsufficientScope, ""},
		"an answer without scopes": {gate.Requirements{AnyScopes: [][]string{{"a", "b"}}}, m{"scope": "a"}, nil, "",
			gate.InsufficientScope},
		"the scopes of an alternative in both": {peopleOrMachines(t),
			m{"scope": "orders:read profile x"}, m{"scope": "profile orders:read"}, "", ""},
		"scopes that were taken back": {peopleOrMachines(t),
			m{"scope": "orders:read profile"}, m{"scope": "profile"}, gate.InsufficientScope, gate.InsufficientScope},
		"a role beside scopes that were taken back": {peopleOrMachines(t),
			m{"scope": "orders:read profile", "roles": "reader"}, m{"scope": ""}, "", gate.InsufficientScope},
		"a role that only the answer has": {peopleOrMachines(t),
			nil, m{"scope": "", "roles": "reader"}, gate.InsufficientScope, ""},
		"an excluded scope in the answer": {gate.Requirements{Not: demand.Exclusions{Scopes: []string{"guest"}}},
			m{"scope": "a"}, m{"scope": "a guest"}, gate.ClaimMismatch, gate.ClaimMismatch},
		"an excluded scope in the token": {gate.Requirements{Not: demand.Exclusions{Scopes: []string{"guest"}}},
			m{"scope": "a guest"}, m{"scope": "a"}, gate.ClaimMismatch, ""},
		"an excluded scope in neither": {gate.Requirements{Not: demand.Exclusions{Scopes: []string{"guest"}}},
			m{"scope": "a b"}, m{"scope": "a"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := as.gate(gate.AskAlways, key, func(cfg *gate.Config) { cfg.Require = c.require })
			jwt, opaque := key.Sign(t, says(c.token, m{"jti": name})), "opaque-"+strings.ReplaceAll(name, " ", "-")
			as.says[jwt], as.says[opaque] = active(c.answer), active(c.answer)
			for token, want := range map[string]gate.Reason{jwt: c.jwt, opaque: c.opaque} {
				if want == "" {
					accepted(t, g, request(token))
				} else {
					refused(t, g, request(token), want)
				}
				agrees(t, g, request(token))
			}
			// A matcher behind a gate that asks for nothing decides alike.
			open := as.gate(gate.AskAlways, key)
			condition := gate.Condition{Requirements: c.require}
			for token, want := range map[string]gate.Reason{jwt: c.jwt, opaque: c.opaque} {
				if id := accepted(t, open, request(token)); condition.Holds(id, open.Scopes()) != (want == "") {
					t.Errorf("%s: the condition holds: %v", token, want != "")
				}
			}
		})
	}
}

// The anonymous consumer has groups, and nothing of what is excluded by scope or claim.
func TestAnonymousMeetsAlternativesAndExclusions(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	guest := func(c *gate.Config) {
		c.Consumers, c.Anonymous = []gate.Consumer{{Username: "guest", Groups: []string{"guests"}}}, "guest"
	}
	scopeOr := func(group string) gate.Requirements {
		return gate.Requirements{Any: [][]demand.All{{{Scopes: []string{"a"}}, {Groups: []string{group}}}}}
	}
	for name, c := range map[string]struct {
		require gate.Requirements
		passes  bool
	}{
		"a group among alternatives":       {scopeOr("guests"), true},
		"another group among alternatives": {scopeOr("staff"), false},
		"an excluded claim": {gate.Requirements{Not: demand.Exclusions{Claims: []claims.Condition{be(t, "a")}}},
			true},
		"an excluded scope": {gate.Requirements{Not: demand.Exclusions{Scopes: []string{"a"}}}, true},
		"an excluded group": {gate.Requirements{Not: demand.Exclusions{Groups: []string{"staff"}}}, true},
		"its own group":     {gate.Requirements{Not: demand.Exclusions{Groups: []string{"guests"}}}, false},
		"a pattern":         {gate.Requirements{Claims: []claims.Condition{like(t, "a", "b/*")}}, false},
	} {
		err := config(t, key, guest, func(cfg *gate.Config) { cfg.Require = c.require }).Validate()
		if (err == nil) != c.passes {
			t.Errorf("%s: %v", name, err)
		}
		if c.passes {
			g := build(t, key, guest, func(cfg *gate.Config) { cfg.Require = c.require })
			if verdict, err := g.Check(direct(request(""))); err != nil || verdict.Outcome != gate.Anonymous {
				t.Errorf("%s: %v, %v", name, verdict, err)
			}
		}
	}
	if config(t, key, func(c *gate.Config) {
		c.Optional, c.Require.Not.Scopes = true, []string{"a"}
	}).Validate() == nil {
		t.Error("optional, where something is excluded")
	}
}

// An explanation names each kind of requirement, what came, and what was expected as a Caddyfile has it.
func TestExplainEachKindOfRequirement(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	least, err := claims.ParseNumber("3")
	if err != nil {
		t.Fatal(err)
	}
	g := build(t, key, func(c *gate.Config) {
		c.Require = peopleOrMachines(t)
		c.Require.Claims = []claims.Condition{like(t, "sub", "org/*"), {Path: path(t, "level"), AtLeast: least}}
		c.Require.Not = demand.Exclusions{
			Scopes: []string{"guest"}, Claims: []claims.Condition{be(t, "role", "banned")}, Groups: []string{"out"},
		}
		c.ScopeImplies = []scope.Implication{implies("everything", "guest")}
	})
	e := g.Explain(direct(request(key.Sign(t, says(m{
		"sub": "org-evil/x", "level": "5", "role": []string{"banned"}, "groups": "out", "scope": "everything",
	})))))
	want := map[string]string{
		"require_not_scope": "claim_mismatch [everything] [guest]",
		"require_claim":     `claim_mismatch ["org-evil/x"] [sub like org/*]; claim_mismatch ["5"] [level at_least 3]`,
		"require_not_claim": `claim_mismatch [["banned"]] [role banned]`,
		"require_not_group": `claim_mismatch ["out"] [out]`,
		"require_any":       "insufficient_scope [] [scope orders:read profile] [claim roles reader] [group staff]",
	}
	got := make(map[string]string)
	for _, s := range e.Steps {
		if !strings.HasPrefix(s.Rule, "require") {
			continue
		}
		text := string(s.Reason) + " [" + strings.Join(s.Came, "] [") + "] ["
		if s.Rule == "require_any" {
			text += strings.Join(s.Expected, "] [") + "]"
		} else {
			text += strings.Join(s.Expected, " ") + "]"
		}
		got[s.Rule] = strings.TrimPrefix(got[s.Rule]+"; "+text, "; ")
	}
	for rule, text := range want {
		if got[rule] != text {
			t.Errorf("%s: %s, want %s", rule, got[rule], text)
		}
		delete(got, rule)
	}
	if len(got) > 0 {
		t.Errorf("more: %v", got)
	}
}

func TestRequirementsThatCannotBeMeant(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	one := demand.All{Scopes: []string{"a"}}
	for field, r := range map[string]gate.Requirements{
		"Require.Any[0]":                  {Any: [][]demand.All{{one}}},
		"Require.Any[1][1]":               {Any: [][]demand.All{{one, one}, {one, {}}}},
		"Require.Any[0][1].Scopes":        {Any: [][]demand.All{{one, {Scopes: []string{"a b"}}}}},
		"Require.Not.Scopes[0]":           {Scopes: []string{"a"}, Not: demand.Exclusions{Scopes: []string{"a"}}},
		"Require.Any[0][1].Not.Groups[0]": {Any: [][]demand.All{{one, {Not: demand.Exclusions{Groups: []string{""}}}}}},
	} {
		err := config(t, key, func(c *gate.Config) { c.Require = r }).Validate()
		if setting.Field(err) != field {
			t.Errorf("field %q, want %q: %v", setting.Field(err), field, err)
		}
	}
}

func TestAlternativesOfAHitAllocateNothing(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	key := tokentest.NewKey(t, "RS256", "k1")
	g, _ := cached(t, newCache(t, 1<<20), key, func(c *gate.Config) {
		c.Require = peopleOrMachines(t)
		c.Require.Claims = []claims.Condition{like(t, "sub", "org/*")}
		c.Require.Not = demand.Exclusions{
			Scopes: []string{"guest"}, Claims: []claims.Condition{be(t, "role", "banned", "5")}, Groups: []string{"out"},
		}
	})
	r := request(key.Sign(t, says(m{"sub": "org/x", "role": []any{"x", 6}, "groups": []string{"in", "staff"}})))
	accepted(t, g, r)
	if n := testing.AllocsPerRun(200, func() { _, _ = g.Check(direct(r)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Groups that an issuer has elsewhere, also as names of members, can be excluded as well.
func TestExcludedGroupsByGroupClaim(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) {
		c.Issuers[0].GroupClaims = []claims.Path{path(t, "roles"), path(t, "realm.roles")}
		c.Require.Not.Groups = []string{"out"}
	})
	for name, c := range map[string]struct {
		set    m
		passes bool
	}{
		"another place":                 {m{"groups": "out"}, true},
		"none":                          {nil, true},
		"others":                        {m{"roles": []string{"in"}, "realm": m{"roles": "in"}}, true},
		"the names of others":           {m{"roles": m{"in": m{}}}, true},
		"a name that says no":           {m{"roles": m{"out": false}}, true},
		"the name":                      {m{"roles": m{"in": true, "out": m{"id": "x"}}}, false},
		"the value":                     {m{"roles": "out"}, false},
		"the value in the second place": {m{"roles": "in", "realm": m{"roles": []string{"out"}}}, false},
		"the name in a list":            {m{"roles": []m{{"out": true}}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			token := key.Sign(t, says(c.set))
			if c.passes {
				accepted(t, g, request(token))
			} else {
				refused(t, g, request(token), gate.ClaimMismatch)
			}
		})
	}
	if !slices.Contains(results(g.Explain(direct(request(key.Sign(t, says()))))), "require_not_group pass") {
		t.Error("the explanation has no such rule")
	}
}
