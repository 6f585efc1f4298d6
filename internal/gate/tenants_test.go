package gate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/tenant"
	"github.com/caddyjwt/gateway/internal/tokentest"
)

const manyTenants = "https://login.example/*/v2.0"

// ofTenant is the issuer of a tenant.
func ofTenant(name string) m { return m{"iss": "https://login.example/" + name + "/v2.0"} }

// forTenants makes the first issuer one for these tenants; without a name, for any.
func forTenants(tb testing.TB, names ...string) func(*gate.Config) {
	tb.Helper()
	pattern, err := tenant.Parse(manyTenants)
	if err != nil {
		tb.Fatal(err)
	}
	var listed tenant.List = tenant.Any{}
	if len(names) > 0 {
		if listed, err = tenant.NewSet(names...); err != nil {
			tb.Fatal(err)
		}
	}
	return func(c *gate.Config) {
		c.Issuers[0].Name, c.Issuers[0].Tenants = manyTenants, &tenant.Tenants{Pattern: pattern, Listed: listed}
	}
}

func TestTenantsAreIssuersOfTheirOwn(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	g, _ := cached(t, newCache(t, 1<<20), key, forTenants(t, "acme", "globex"), func(c *gate.Config) {
		c.Issuers[0].Leeway = time.Minute
		c.Require = gate.Requirements{MaxAuthAge: time.Minute}
	})
	signedIn := m{"auth_time": start.Unix() - 90} // within the minute only by the issuer's leeway
	for _, name := range []string{"acme", "globex"} {
		r := request(key.Sign(t, says(ofTenant(name), signedIn, m{"tid": name})))
		for range 3 {
			id := accepted(t, g, r)
			if id.Issuer != ofTenant(name)["iss"] || id.Tenant() != name || id.ID != "alice" {
				t.Errorf("%s of %q, tenant %q", id.ID, id.Issuer, id.Tenant())
			}
		}
		if n := testing.AllocsPerRun(20, func() { _, _ = g.Check(direct(r)) }); n != 0 && !race {
			t.Errorf("%v allocations for a token seen before", n)
		}
		if e := agrees(t, g, r); e.Issuer != manyTenants || step(e, "tenant") == nil {
			t.Errorf("explained as %q", e.Issuer)
		}
	}
	f := refused(t, g, request(key.Sign(t, says(ofTenant("initech"), signedIn))), gate.UnknownIssuer)
	if f.Issuer != "" || !strings.Contains(f.Cause.Error(), `the tenant "initech"`) {
		t.Errorf("issuer %q, cause %v", f.Issuer, f.Cause)
	}
	agrees(t, g, request(key.Sign(t, says(ofTenant("initech"), signedIn))))
	f = refused(t, g, request(key.Sign(t, says(ofTenant("acme"), signedIn, m{"tid": "globex"}))), gate.InvalidIssuer)
	if f.Issuer != ofTenant("acme")["iss"] {
		t.Errorf("issuer %q", f.Issuer)
	}
	agrees(t, g, request(key.Sign(t, says(ofTenant("acme"), signedIn, m{"tid": "globex"}))))
	f = refused(t, g, request(key.Sign(t, says(ofTenant("acme"), m{"exp": start.Unix() - 90}))), gate.Expired)
	if f.Issuer != ofTenant("acme")["iss"] {
		t.Errorf("issuer %q", f.Issuer)
	}
	refused(t, g, request(key.Sign(t, says(m{"iss": manyTenants}, signedIn))), gate.UnknownIssuer)
}

func step(e *gate.Explanation, rule string) *gate.Step {
	for i := range e.Steps {
		if e.Steps[i].Rule == rule {
			return &e.Steps[i]
		}
	}
	return nil
}

// An issuer that is written out comes before a pattern, with rules of its own.
func TestTheExactIssuerComesBeforeThePattern(t *testing.T) {
	shared, own := tokentest.NewKey(t, "ES256", "k1"), tokentest.NewKey(t, "ES256", "own")
	g := build(t, shared, forTenants(t), func(c *gate.Config) {
		c.Issuers = append(c.Issuers, issuer(t, ofTenant("acme")["iss"].(string), own))
	})
	if id := accepted(t, g, request(own.Sign(t, says(ofTenant("acme"))))); id.Tenant() != "" {
		t.Errorf("tenant %q", id.Tenant())
	}
	if id := accepted(t, g, request(shared.Sign(t, says(ofTenant("globex"))))); id.Tenant() != "globex" {
		t.Errorf("tenant %q", id.Tenant())
	}
	if _, err := g.Check(direct(request(shared.Sign(t, says(ofTenant("acme")))))); err == nil {
		t.Error("the keys of all tenants verify tokens of the issuer that is written out")
	}
}

// Gates with other lists share remembered tokens, and judge the tenant on each request.
func TestARememberedTenantMustBeListed(t *testing.T) {
	key, cache := tokentest.NewKey(t, "ES256", "k1"), newCache(t, 1<<20)
	wide, _ := cached(t, cache, key, forTenants(t, "acme", "globex"))
	narrow, _ := cached(t, cache, key, forTenants(t, "globex"))
	r := request(key.Sign(t, says(ofTenant("acme"))))
	for range 2 {
		accepted(t, wide, r)
		refused(t, narrow, r, gate.UnknownIssuer)
	}
}

func TestTenantsMustFitTheirIssuer(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	for name, change := range map[string]func(*gate.Config){
		"another name": func(c *gate.Config) { c.Issuers[0].Name = issuerA },
		"asking": func(c *gate.Config) {
			c.Issuers[0].Asking = &gate.Asking{Mode: gate.AskOpaque}
		},
		"no list": func(c *gate.Config) { c.Issuers[0].Tenants.Listed = nil },
		"twice":   func(c *gate.Config) { c.Issuers = append(c.Issuers, c.Issuers[0]) },
		"a consumer": func(c *gate.Config) {
			c.Consumers = []gate.Consumer{{Username: "u", Credentials: []gate.Credential{
				{Key: ofTenant("acme")["iss"].(string), Algorithm: alg(t, "ES256"), Verifier: verifier(t, key)},
			}}}
		},
	} {
		c := config(t, key, forTenants(t, "acme"), change)
		if err := c.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := gate.New(config(t, key, forTenants(t, "acme"))); err != nil {
		t.Error(errors.Unwrap(err))
	}
}

func BenchmarkLookupTenant(b *testing.B) {
	key := tokentest.NewKey(b, "HS256", "s")
	for _, n := range []int{0, 1, 10_000} {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprint("tenant-", i)
		}
		b.Run(fmt.Sprintf("tenants=%d", n), func(b *testing.B) {
			name := fmt.Sprint("tenant-", n/2)
			check(b, build(b, key, forTenants(b, names...)), request(sized(b, key, 850, ofTenant(name))), "")
		})
	}
}
