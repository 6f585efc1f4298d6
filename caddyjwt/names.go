package caddyjwt

import (
	"slices"

	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
)

// warnOfNames warns of claims that name the caller, and that two people can have.
func (h *Handler) warnOfNames(built *compiled) {
	var named []string
	for i := range built.config.Issuers {
		issuer := &built.config.Issuers[i]
		name, many := zap.String("issuer", issuer.Name), issuer.Tenants != nil && issuer.Tenants.Listed.Len() != 1
		if !issuer.UsernameClaim.IsZero() {
			named = append(named, issuer.Name)
			if many && h.ForwardTenant == "" && !h.tells(built, "iss", "tid") {
				h.log.warn("username_claim: people of two tenants can have the same name, and the backend gets the name "+
					"without the tenant: add \"forward_tenant <Header>\"", name)
			}
		}
		if !issuer.ConsumerClaim.IsZero() && many {
			h.log.warn("consumer_claim: every tenant of this server can name any consumer: write an issuer block with "+
				"consumer_claim for a single tenant", name)
		}
		if byEmail(issuer) && !requiresVerifiedEmail(&built.config.Require) {
			h.log.warn("the email of a token may be one that its user made up: add \"require claim email_verified true\", "+
				"or name another claim", name)
		}
	}
	if len(named) > 1 && !h.tells(built, "iss") {
		h.log.warn("username_claim: people of two issuers can have the same name, and the backend gets the name without the "+
			"issuer: add \"forward_claims <Header> iss\"", zap.Strings("issuers", named))
	}
}

// tells reports whether the backend learns one of these claims.
func (h *Handler) tells(built *compiled, names ...string) bool {
	return h.ForwardPayload != "" || forwardsClaim(built, names...)
}

// forwardsClaim reports whether one of these claims has a header of its own.
func forwardsClaim(built *compiled, names ...string) bool {
	return slices.ContainsFunc(built.config.ForwardClaims, func(c gate.ForwardClaim) bool {
		return c.Path.Is(names...)
	})
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
