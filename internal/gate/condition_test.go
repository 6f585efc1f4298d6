package gate_test

import (
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

// TestConditions is a truth table of what a condition asks beyond requirements, for which there is TestRequirements.
func TestConditions(t *testing.T) {
	key, secret := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "HS256", "s")
	shop := consumer(t, "shop", "shop-key", secret)
	shop.Groups = []string{"partners"}
	g := build(t, key, func(c *gate.Config) { c.Consumers = []gate.Consumer{shop} })
	identities := map[string]*gate.Identity{
		"nobody":        nil,
		"a user":        accepted(t, g, request(key.Sign(t, says(m{"groups": "staff"})))),
		"a consumer":    accepted(t, g, request(secret.Sign(t, says(m{"iss": "shop-key", "groups": "staff"})))),
		"the anonymous": {ID: "shop", Consumer: &shop, Anonymous: true},
	}
	for name, test := range map[string]struct {
		condition gate.Condition
		meet      []string
	}{
		"a consumer": {gate.Condition{Consumers: []string{"other", "shop"}},
			[]string{"a consumer", "the anonymous"}},
		"a consumer that the user's name is": {gate.Condition{Consumers: []string{"alice"}}, nil},
		"an issuer":                          {gate.Condition{Issuers: []string{issuerB, issuerA}}, []string{"a user"}},
		"another issuer":                     {gate.Condition{Issuers: []string{issuerB}}, nil},
		"a part of an issuer":                {gate.Condition{Issuers: []string{issuerA[:len(issuerA)-1]}}, nil},
		"a consumer of an issuer":            {gate.Condition{Consumers: []string{"shop"}, Issuers: []string{issuerA}}, nil},
		"a group": {gate.Condition{Requirements: gate.Requirements{Groups: []string{"partners"}}},
			[]string{"a consumer", "the anonymous"}},
		"a group that a consumer's token makes up": {
			gate.Condition{Requirements: gate.Requirements{Groups: []string{"staff"}}}, []string{"a user"}},
		"a scope": {gate.Condition{Requirements: gate.Requirements{Scopes: []string{"read"}}}, nil},
		"a claim": {gate.Condition{Requirements: gate.Requirements{
			Claims: []claims.Condition{{Path: path(t, "sub")}},
		}}, []string{"a user", "a consumer"}},
		"nothing": {gate.Condition{}, []string{"a user", "a consumer", "the anonymous"}},
	} {
		t.Run(name, func(t *testing.T) {
			want := make(map[string]bool)
			for _, who := range test.meet {
				want[who] = true
			}
			for who, id := range identities {
				if got := test.condition.Holds(id, nil); got != want[who] {
					t.Errorf("%s: holds %v, want %v", who, got, want[who])
				}
			}
		})
	}
}

// An issuer for many tenants has a name, and each tenant has its iss. A condition may go by either.
func TestConditionsAboutTenants(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	acme := ofTenant("acme")["iss"].(string)
	id := accepted(t, build(t, key, forTenants(t, "acme", "globex")), request(key.Sign(t, says(ofTenant("acme")))))
	for issuer, want := range map[string]bool{
		manyTenants: true, acme: true, ofTenant("globex")["iss"].(string): false, manyTenants + "/": false, "*": false,
	} {
		condition := gate.Condition{Issuers: []string{issuerA, issuer}}
		if got := condition.Holds(id, nil); got != want {
			t.Errorf("%s: holds %v", issuer, got)
		}
		if n := testing.AllocsPerRun(20, func() { condition.Holds(id, nil) }); n != 0 && !race {
			t.Errorf("%s: %v allocations", issuer, n)
		}
	}
}

func TestConditionMistakes(t *testing.T) {
	for field, condition := range map[string]gate.Condition{
		"Consumers": {Consumers: []string{"a", ""}},
		"Issuers":   {Issuers: []string{""}}, // would be that of every consumer
		"Others":    {Requirements: gate.Requirements{Others: []gate.Requirement{fresh{}}}},
		"Groups":    {Requirements: gate.Requirements{Groups: []string{""}}},
		"Scopes":    {Requirements: gate.Requirements{Scopes: []string{"a b"}}},
	} {
		if err := condition.Validate(); setting.Field(err) != field {
			t.Errorf("%s: error %v", field, err)
		}
	}
}

func TestConditionsAllocateNothing(t *testing.T) {
	if race {
		t.Skip("the race detector allocates")
	}
	key := tokentest.NewKey(t, "ES256", "k1")
	token := key.Sign(t, says(m{"scope": "read", "groups": []string{"a", "staff"}, "tenant": 7}))
	id := accepted(t, build(t, key), request(token))
	for _, group := range []string{"staff", "nobody"} {
		condition := gate.Condition{Issuers: []string{issuerA}, Requirements: gate.Requirements{
			Scopes: []string{"read"}, Groups: []string{group},
			Claims: []claims.Condition{{Path: path(t, "tenant"), Values: []string{"6", "7"}}},
		}}
		if n := testing.AllocsPerRun(200, func() { condition.Holds(id, nil) }); n != 0 {
			t.Errorf("group %s: %v allocations", group, n)
		}
	}
}
