package doubts

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

// kinds warns of issuers with "audience any" if nothing else tells their access tokens from their other tokens.
func (g *Gate) kinds(warn Warn) {
	for i := range g.Plans {
		if doubt := g.kindDoubt(&g.Plans[i]); doubt != "" {
			warn(doubt, zap.String("issuer", g.Plans[i].Issuer.Name))
		}
	}
}

// kindDoubt is the doubt about the kinds of tokens of one issuer. It is "" if all is well.
func (g *Gate) kindDoubt(plan *issuers.Plan) string {
	ambiguous := g.Config.Ambiguous(&plan.Issuer)
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
