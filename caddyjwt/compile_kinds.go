package caddyjwt

import (
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
)

// What to write in a block with "audience any", by the tokens that the issuer has.
const (
	openToOtherKinds = "audience any: an ID token or a refresh token of this issuer may be taken for an access token; " +
		`write "audience <value>", or `
	tellJWTs    = `"profile rfc9068", or "type at+jwt", or ` + requiredClaims + `that only its access tokens have`
	tellAnswers = `"required_claims token_type" if its answers about access tokens have that`
	tellBoth    = requiredClaims + `that its access tokens and its answers about them have, and no others`

	requiredClaims = `"required_claims <claim>" with a claim `
)

// otherKindsWarning warns of an issuer with "audience any" if nothing else tells its access tokens from its other
// tokens. It is "" if all is well.
func (c *compiled) otherKindsWarning(plan *issuers.Plan) string {
	ambiguous := c.config.Ambiguous(&plan.Issuer)
	jwts := ambiguous.JWTs && plan.Verifies()
	answers := ambiguous.Answers && plan.IntrospectsOpaque()
	switch {
	case jwts && answers:
		return openToOtherKinds + tellBoth
	case jwts:
		return openToOtherKinds + tellJWTs
	case answers:
		return openToOtherKinds + tellAnswers
	default:
		return ""
	}
}

// warnOfOtherKinds warns when nothing in an issuer's block tells its access tokens from its other tokens.
func (h *Handler) warnOfOtherKinds(built *compiled) {
	for i := range built.plans {
		if warning := built.otherKindsWarning(&built.plans[i]); warning != "" {
			h.log.warn(warning, zap.String("issuer", built.plans[i].Issuer.Name))
		}
	}
}
