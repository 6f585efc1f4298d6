package identity_test

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/consumer"
	"github.com/caddyjwt/gateway/internal/demand"
	"github.com/caddyjwt/gateway/internal/identity"
	"github.com/caddyjwt/gateway/internal/tenant"
)

const issuer = "https://as.example"

func set(t *testing.T, text string) *claims.Set {
	t.Helper()
	s, err := claims.Decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// of is the identity behind a token with these claims.
func of(t *testing.T, text string) *identity.Identity {
	t.Helper()
	s := set(t, text)
	return &identity.Identity{ID: s.Subject, Issuer: issuer, Claims: s}
}

func TestClaims(t *testing.T) {
	id := of(t, `{"sub":"alice","realm_access":{"roles":["a","b"]},"n":7,"https://x.example/role":"admin","none":null}`)
	for text, want := range map[string]any{"sub": "alice", "n": int64(7), "https://x.example/role": "admin", "none": nil} {
		if got, ok := id.Claim(text); !ok || got != want {
			t.Errorf("claim %s is %v, %t; want %v", text, got, ok, want)
		}
	}
	if roles, ok := id.Claim("realm_access.roles"); !ok || len(roles.([]any)) != 2 {
		t.Errorf("roles are %v", roles)
	}
	for _, text := range []string{"", "absent", "sub.x", "realm_access..roles", `a\q`} {
		if got, ok := id.Claim(text); ok {
			t.Errorf("claim %q is %v, want none", text, got)
		}
	}
	if _, ok := new(identity.Identity).Claim("sub"); ok {
		t.Error("an identity without claims has one")
	}
}

// An identity that is printed by accident reveals no claim.
func TestAnIdentityPrintsAsItsID(t *testing.T) {
	if text := of(t, `{"sub":"alice","secret":"x"}`).String(); text != "alice" {
		t.Errorf("prints as %q", text)
	}
	if text := (*identity.Identity)(nil).String(); text != "" {
		t.Errorf("nobody prints as %q", text)
	}
}

// Many requests may share an identity, so what a route makes of it is a copy.
func TestCopiesLeaveTheIdentityAsItIs(t *testing.T) {
	shared := of(t, `{"sub":"4711","scope":"read write"}`)
	before := *shared
	shop, answer := &consumer.Consumer{Username: "shop"}, set(t, `{"scope":"read"}`)

	mapped := shared.AsConsumer(shop)
	if mapped.ID != "shop" || mapped.Consumer != shop || mapped.Claims != shared.Claims || mapped.Name() != "" {
		t.Errorf("as a consumer: %+v", mapped)
	}
	named := shared.WithName("alice")
	if named.ID != "alice" || named.Name() != "alice" || named.Claims != shared.Claims {
		t.Errorf("with a name: %+v", named)
	}
	limited := shared.LimitedBy(answer)
	if limited.Caller().Answer() != answer || limited.Caller().Token() != shared.Claims {
		t.Errorf("limited: %+v", limited)
	}
	if *shared != before || shared.Name() != "" || shared.Caller().Answer() != nil {
		t.Errorf("the identity has become %+v", shared)
	}
	for name, want := range map[string]bool{"read": true, "write": false} {
		if got := demand.Has(limited.Caller(), nil, name); got != want {
			t.Errorf("scope %s: %v", name, got)
		}
	}
}

func TestTenants(t *testing.T) {
	pattern, err := tenant.Parse("https://login.example/*/v2.0")
	if err != nil {
		t.Fatal(err)
	}
	id := identity.OfTenant(&pattern, set(t, `{"iss":"https://login.example/acme/v2.0","sub":"4711"}`))
	if id.ID != "4711" || id.Issuer != "https://login.example/acme/v2.0" {
		t.Errorf("identity %+v", id)
	}
	if id.Tenant() != "acme" || id.ConfiguredIssuer() != "https://login.example/*/v2.0" {
		t.Errorf("tenant %q of %q", id.Tenant(), id.ConfiguredIssuer())
	}
	other := of(t, `{"sub":"4711"}`)
	if other.Tenant() != "" || other.ConfiguredIssuer() != issuer {
		t.Errorf("tenant %q of %q", other.Tenant(), other.ConfiguredIssuer())
	}
}

// The groups of a consumer are the operator's. Those of its token do not count.
func TestGroups(t *testing.T) {
	token := of(t, `{"sub":"alice","groups":["staff"]}`)
	guest := &identity.Identity{ID: "shop", Consumer: consumerOf("eu"), Anonymous: true}
	for name, c := range map[string]struct {
		id     *identity.Identity
		group  string // the only one
		groups string // how the text begins
	}{
		"a token":                    {token, "staff", "the token's claim \"groups\" is a list"},
		"a consumer":                 {token.AsConsumer(consumerOf("eu")), "eu", `the consumer "shop" has "eu"`},
		"a consumer without groups":  {token.AsConsumer(consumerOf()), "", `the consumer "shop" has none`},
		"a token without the claim":  {of(t, `{"sub":"a"}`), "", `the token has no claim "groups". If its groups are in`},
		"the anonymous":              {guest, "eu", `the consumer "shop" has "eu"`},
		"nobody that anything knows": {new(identity.Identity), "", "there is no token"},
	} {
		t.Run(name, func(t *testing.T) {
			caller := c.id.Caller()
			for _, group := range []string{"staff", "eu", "Staff", ""} {
				want := group == c.group && group != ""
				if got := caller.InGroup(group); got != want {
					t.Errorf("in group %q: %v", group, got)
				}
				if got := caller.Outside([]string{"other", group}); got == want {
					t.Errorf("outside of %q: %v", group, got)
				}
			}
			if !caller.Outside(nil) {
				t.Error("somebody is not outside of no group")
			}
			if got := caller.Groups(); !strings.HasPrefix(got, c.groups) {
				t.Errorf("groups: %s\nwant    %s", got, c.groups)
			}
		})
	}
}

func consumerOf(groups ...string) *consumer.Consumer {
	return &consumer.Consumer{Username: "shop", Groups: groups}
}

// Every request asks for the caller.
func TestCallersDoNotAllocate(t *testing.T) {
	id := of(t, `{"sub":"alice","groups":["staff"]}`)
	if n := testing.AllocsPerRun(100, func() {
		if c := id.Caller(); !c.InGroup("staff") || c.InGroup("eu") {
			t.Error("wrong groups")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
