package doubts

import (
	"slices"

	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
)

// tenants warns of what several tenants of one server make ambiguous.
func (g *Gate) tenants(warn Warn) {
	for i := range g.Config.Issuers {
		issuer := &g.Config.Issuers[i]
		if issuer.Tenants == nil {
			continue
		}
		name := zap.String("issuer", issuer.Name)
		if hasManyTenants(issuer) && g.forwardsClaim("sub") && !g.forwardsTenant() {
			warn("two tenants can have the same sub, and the backend gets the sub without the tenant: add "+
				"\"forward_tenant <Header>\"", name)
		}
		if g.Resource != nil {
			warn("the metadata of the resource does not name this issuer, because no client could find a server at "+
				"\"*\": tell clients in another way where to get a token, or write an issuer block for the "+
				"tenant they should use", name)
		}
	}
}

// names warns of claims that name the caller, and that two people can have.
func (g *Gate) names(warn Warn) {
	var named []string
	for i := range g.Config.Issuers {
		issuer := &g.Config.Issuers[i]
		name, many := zap.String("issuer", issuer.Name), hasManyTenants(issuer)
		if !issuer.UsernameClaim.IsZero() {
			named = append(named, issuer.Name)
			if many && !g.forwardsTenant() {
				warn("username_claim: people of two tenants can have the same name, and the backend gets the name "+
					"without the tenant: add \"forward_tenant <Header>\"", name)
			}
		}
		if !issuer.ConsumerClaim.IsZero() && many {
			warn("consumer_claim: every tenant of this server can name any consumer: write an issuer block with "+
				"consumer_claim for a single tenant", name)
		}
		if byEmail(issuer) && !requiresVerifiedEmail(&g.Config.Require) {
			warn("the email of a token may be one that its user made up: add \"require claim email_verified true\", "+
				"or name another claim", name)
		}
	}
	if len(named) > 1 && !g.tells("iss") {
		warn("username_claim: people of two issuers can have the same name, and the backend gets the name without the "+
			"issuer: add \"forward_claims <Header> iss\"", zap.Strings("issuers", named))
	}
}

// hasManyTenants reports whether the issuer stands for several tenants, or for any number of them.
func hasManyTenants(issuer *gate.Issuer) bool {
	return issuer.Tenants != nil && issuer.Tenants.Listed.Len() != 1
}

// byEmail reports whether the claim "email" names the caller.
func byEmail(issuer *gate.Issuer) bool {
	return issuer.ConsumerClaim.Is("email") || issuer.UsernameClaim.Is("email")
}

// requiresVerifiedEmail reports whether only tokens pass whose server has verified the email.
func requiresVerifiedEmail(r *gate.Requirements) bool {
	return slices.ContainsFunc(r.Claims, func(c claims.Condition) bool {
		return c.Path.Is("email_verified") && slices.Equal(c.Values, []string{"true"})
	})
}
