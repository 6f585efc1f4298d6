package doubts

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/claims"
)

// A configuration in which two people can have one name logs a warning when it loads, which says what to write.
func TestWarnsOfNamesThatTwoPeopleCanHave(t *testing.T) {
	const (
		email  = "the email of a token may be one"
		tenant = "people of two tenants can have the same name"
		every  = "every tenant of this server can name any consumer"
		two    = "people of two issuers can have the same name"
	)
	issuer := func(name string, settings ...string) string {
		all := append([]string{`"audience":["x"],"issuer":"https://` + name + `.example"`}, settings...)
		return "{" + strings.Join(all, ",") + "}"
	}
	tenants := func(settings ...string) string {
		keys := `"keys":{"source":"jwks","url":"https://login.example/keys"}`
		return `{"audience":["x"],"issuer":"https://login.example/*",` + strings.Join(append(settings, keys), ",") + "}"
	}
	named, consumer := `"username_claim":"name"`, `"consumer_claim":"azp"`
	forwards := func(claim string) func(*Gate) {
		return func(g *Gate) { g.Config.ForwardClaims = forwarding(t, claim) }
	}
	requires := func(claim string, values ...string) func(*Gate) {
		return func(g *Gate) {
			g.Config.Require.Claims = []claims.Condition{{Path: path(t, claim), Values: values}}
		}
	}
	payload := func(g *Gate) { g.Config.ForwardPayload = "X-All" }
	tenantHeader := func(g *Gate) { g.TenantHeader = "X-Tenant" }
	for name, c := range map[string]struct {
		route   func(*Gate) // further settings; nil for none
		issuers []string
		want    string // empty for no warning
	}{
		"no such word":            {nil, []string{issuer("a"), issuer("b")}, ""},
		"a name":                  {nil, []string{issuer("a", named), issuer("b")}, ""},
		"names of two issuers":    {nil, []string{issuer("a", named), issuer("b", named)}, two},
		"names and their issuers": {forwards("iss"), []string{issuer("a", named), issuer("b", named)}, ""},
		"names and other claims":  {forwards("sub"), []string{issuer("a", named), issuer("b", named)}, two},
		"names and all claims":    {payload, []string{issuer("a", named), issuer("b", named)}, ""},
		"consumers of two":        {nil, []string{issuer("a", consumer), issuer("b", consumer)}, ""},
		"names of all tenants":    {nil, []string{tenants(named, `"any_tenant":true`)}, tenant},
		"names of two tenants":    {nil, []string{tenants(named, `"tenants":["a","b"]`)}, tenant},
		"names of one tenant":     {nil, []string{tenants(named, `"tenants":["a"]`)}, ""},
		"names and tenants": {tenantHeader, []string{tenants(named, `"tenants":["a","b"]`)},
			""},
		"consumers of all tenants": {nil, []string{tenants(consumer, `"any_tenant":true`)}, every},
		"consumers of one tenant":  {nil, []string{tenants(consumer, `"tenants":["a"]`)}, ""},
		"an email":                 {nil, []string{issuer("a", `"username_claim":"email"`)}, email},
		"an email as a pointer":    {nil, []string{issuer("a", `"username_claim":"/email"`)}, email},
		"another claim's email":    {nil, []string{issuer("a", `"username_claim":"a.email"`)}, ""},
		"an email of a consumer":   {nil, []string{issuer("a", `"consumer_claim":"email"`)}, email},
		"a verified email": {requires("email_verified", "true"),
			[]string{issuer("a", `"username_claim":"email"`)}, ""},
		"a verified email, by a pointer": {requires("/email_verified", "true"),
			[]string{issuer("a", `"username_claim":"email"`)}, ""},
		"an email that says something about itself": {requires("email_verified"),
			[]string{issuer("a", `"username_claim":"email"`)}, email},
	} {
		t.Run(name, func(t *testing.T) {
			g := gateOf(t, c.issuers...)
			if c.route != nil {
				c.route(g)
			}
			if c.want == "" {
				expect(t, doubtsOf(g, Of))
			} else {
				expect(t, doubtsOf(g, Of), c.want)
			}
		})
	}
}

// Two tenants of one server can have the same subject, and clients cannot find a server at "*".
func TestDoubtsAboutTenants(t *testing.T) {
	of := func(tenants string) *Gate {
		return gateOf(t, `{"issuer":"https://login.example/*","audience":["x"],`+tenants+`,
			"keys":{"source":"jwks","url":"https://login.example/keys"}}`)
	}
	const many, one = `"tenants":["a","b"]`, `"tenants":["a"]`
	for name, c := range map[string]struct {
		tenants, claim, header string
		doubtful               bool
	}{
		"a subject":                {many, "sub", "", true},
		"the subject of one":       {one, "sub", "", false},
		"another claim":            {many, "email", "", false},
		"a subject and its tenant": {many, "sub", "X-Tenant", false},
	} {
		g := of(c.tenants)
		g.Config.ForwardClaims, g.TenantHeader = forwarding(t, c.claim), c.header
		t.Run(name, func(t *testing.T) {
			if c.doubtful {
				expect(t, doubtsOf(g, Of), "two tenants can have the same sub", "issuer=https://login.example/*")
			} else {
				expect(t, doubtsOf(g, Of))
			}
		})
	}
	g := of(one)
	g.guards(t, "https://a.example/mcp")
	expect(t, doubtsOf(g, Of), "the metadata of the resource does not name this issuer", "issuer=https://login.example/*")
}
