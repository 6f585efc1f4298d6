package gate_test

import (
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// TestRequirements is a truth table. Scopes combine with AND, the values of a claim and the groups with OR, and the
// three kinds of requirement with AND. Every case runs twice, so that the same rules apply to a cached token.
func TestRequirements(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	scopes := func(list ...string) gate.Requirements { return gate.Requirements{Scopes: list} }
	groups := func(list ...string) gate.Requirements { return gate.Requirements{Groups: list} }
	claim := func(text string, values ...string) gate.Requirements {
		return gate.Requirements{Claims: []claims.Condition{{Path: path(t, text), Values: values}}}
	}
	all := gate.Requirements{
		Scopes: []string{"read"}, Groups: []string{"staff"},
		Claims: []claims.Condition{{Path: path(t, "tenant"), Values: []string{"7"}}, {Path: path(t, "acr")}},
	}
	full := m{"scope": "read", "groups": []string{"staff"}, "tenant": 7, "acr": "x"}
	but := func(name string) m {
		set := m{name: nil}
		for k, v := range full {
			if k != name {
				set[k] = v
			}
		}
		return set
	}
	for name, c := range map[string]struct {
		require gate.Requirements
		set     m
		want    gate.Reason
	}{
		"nothing":                        {gate.Requirements{}, nil, ""},
		"one scope":                      {scopes("read"), m{"scope": "write read"}, ""},
		"a scope in scp":                 {scopes("read"), m{"scp": []string{"read"}}, ""},
		"scopes of both kinds":           {scopes("a", "b"), m{"scope": "a", "scp": "b"}, ""},
		"both scopes needed":             {scopes("read", "write"), m{"scope": "read"}, gate.InsufficientScope},
		"no scope at all":                {scopes("read"), nil, gate.InsufficientScope},
		"a longer scope":                 {scopes("read"), m{"scope": "read:all"}, gate.InsufficientScope},
		"another case":                   {scopes("read"), m{"scope": "Read"}, gate.InsufficientScope},
		"a tab does not separate":        {scopes("read"), m{"scope": "write\tread"}, gate.InsufficientScope},
		"a comma does not separate":      {scopes("read"), m{"scope": "write,read"}, gate.InsufficientScope},
		"an element is one scope":        {scopes("read"), m{"scope": []string{"write read"}}, gate.InsufficientScope},
		"a scope in another claim":       {scopes("read"), m{"SCOPE": "read", "scopes": "read"}, gate.InsufficientScope},
		"a claim that is there":          {claim("tenant"), m{"tenant": 0}, ""},
		"a claim that is false is there": {claim("admin"), m{"admin": false}, ""},
		"a claim that is missing":        {claim("tenant"), nil, gate.ClaimMismatch},
		"a claim that is null":           {claim("tenant"), m{"tenant": (*int)(nil)}, gate.ClaimMismatch},
		"a claim that is empty":          {claim("tenant"), m{"tenant": []int{}}, gate.ClaimMismatch},
		"a string value":                 {claim("tenant", "a", "b"), m{"tenant": "b"}, ""},
		"a number value":                 {claim("tenant", "7"), m{"tenant": 7}, ""},
		"a number in a string":           {claim("tenant", "7"), m{"tenant": "7"}, ""},
		"a boolean value":                {claim("email_verified", "true"), m{"email_verified": true}, ""},
		"another value":                  {claim("tenant", "a"), m{"tenant": "ab"}, gate.ClaimMismatch},
		"an array with the value": {claim("realm.roles", "admin"),
			m{"realm": m{"roles": []string{"x", "admin"}}}, ""},
		"a text with the value in it": {claim("realm.roles", "admin"),
			m{"realm": m{"roles": "x admin"}}, gate.ClaimMismatch},
		"a name with dots":                 {claim("https://x.example/role", "a"), m{"https://x.example/role": "a"}, ""},
		"a name is not a path":             {claim("realm.roles", "a"), m{"realm.roles": "a"}, gate.ClaimMismatch},
		"an object is not a value":         {claim("tenant", "a"), m{"tenant": m{"a": true}}, gate.ClaimMismatch},
		"null is not the text null":        {claim("tenant", "null"), m{"tenant": (*int)(nil)}, gate.ClaimMismatch},
		"one of the groups":                {groups("a", "b"), m{"groups": []string{"b", "c"}}, ""},
		"a single group":                   {groups("a"), m{"groups": "a"}, ""},
		"groups as SCIM writes them":       {groups("a"), m{"groups": []m{{"value": "a", "display": "A"}}}, ""},
		"another group":                    {groups("a"), m{"groups": []string{"ab"}}, gate.ClaimMismatch},
		"no groups":                        {groups("a"), nil, gate.ClaimMismatch},
		"everything":                       {all, full, ""},
		"everything but the scope":         {all, but("scope"), gate.InsufficientScope},
		"everything but the group":         {all, but("groups"), gate.ClaimMismatch},
		"everything but the claim's value": {all, but("tenant"), gate.ClaimMismatch},
		"everything but the claim":         {all, but("acr"), gate.ClaimMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			g := build(t, key, func(cfg *gate.Config) { cfg.Require, cfg.Cache = c.require, newCache(t, 1<<20) })
			token := key.Sign(t, says(c.set))
			for range 2 {
				if c.want == "" {
					accepted(t, g, request(token))
				} else {
					refused(t, g, request(token), c.want)
				}
			}
			condition := gate.Condition{Requirements: c.require}
			if id := accepted(t, build(t, key), request(token)); condition.Holds(id, nil) != (c.want == "") {
				t.Errorf("a gate decides otherwise than a condition with the same requirements: it holds: %v", c.want != "")
			}
		})
	}
}

// A consumer's groups come from the configuration. A token cannot add to them.
func TestGroupsOfConsumers(t *testing.T) {
	key := tokentest.NewKey(t, "HS256", "s")
	shop := consumer(t, "shop", "shop-key", key)
	shop.Groups = []string{"partners"}
	with := func(group string) *gate.Gate {
		return build(t, key, func(c *gate.Config) {
			c.Consumers, c.Require.Groups = []gate.Consumer{shop}, []string{group}
		})
	}
	token := key.Sign(t, says(m{"iss": "shop-key", "groups": []string{"staff"}}))
	accepted(t, with("partners"), request(token))
	refused(t, with("staff"), request(token), gate.ClaimMismatch)
}

// Requirements are checked last, so that a bad token is refused for what is wrong with it.
func TestRequirementsComeLast(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g := build(t, key, func(c *gate.Config) { c.Require.Scopes = []string{"admin"} })
	refused(t, g, request(key.Sign(t, says())), gate.InsufficientScope)
	refused(t, g, request(key.Sign(t, says(m{"exp": start.Unix()}))), gate.Expired)
	refused(t, g, request(key.Sign(t, says(m{"aud": "x"}))), gate.InvalidAudience)
	refused(t, g, request(tokentest.FlipSignature(t, key.Sign(t, says()))), gate.InvalidSignature)
}
