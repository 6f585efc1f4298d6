package gate

import (
	"net/http"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/setting"
)

// validateOptionalExpired makes sure that OptionalExpired has an effect.
func (c *Config) validateOptionalExpired() error {
	inCookie := func(p bearer.Place) bool { return p.Kind == bearer.Cookie }
	switch {
	case !c.OptionalExpired:
		return nil
	case !c.Optional:
		return setting.Errorf("OptionalExpired",
			"optional_expired says which tokens count as none, and a request without a token is refused: set optional, too")
	case !slices.ContainsFunc(c.Extractor.Places(), inCookie):
		return setting.Errorf("OptionalExpired",
			"optional expired is for tokens in cookies, and no token is taken from a cookie: "+
				"add \"token_from cookie <name>\", or write \"optional\" alone")
	}
	return nil
}

// forgiveExpiry looks at a token that judge has refused. If it has expired, and such a token counts as none, the other
// rules must hold all the same: a token that was never good here is refused. The authorization server is not asked,
// because it calls every expired token inactive (RFC 7662 section 2.2).
func (g *Gate) forgiveExpiry(req *Request, found *authenticated, token string, now time.Time, err error) error {
	f := FailureOf(err)
	if !req.expiredIsNone || f.Reason != Expired {
		return err
	}
	set := found.identity.Claims
	if err := claims.CheckNotBefore(set, now, found.party.leeway); err != nil {
		return claimFailure(err)
	}
	if err := g.judgeRest(set, found.party, now); err != nil {
		return err
	}
	if err := found.party.checkApplication(set, req); err != nil {
		return err
	}
	if found.traits.bound {
		if err := g.prove(req, token, set, now); err != nil {
			return err
		}
	}
	if err := g.settleProof(req); err != nil {
		return err
	}
	if err := g.checkRevoked(found, token, now); err != nil {
		return err
	}
	id, err := g.mapped(found)
	if err != nil {
		return err
	}
	found.identity = id
	if err := g.checkConsumerRevoked(found, token, now); err != nil {
		return err
	}
	f.countsAsNone = true
	return f
}

// RemoveToken removes the token even if ForwardToken keeps it. Call it before Strip if Verdict.TokenExpired is set: a
// token that counts as none must not reach the backend.
func (g *Gate) RemoveToken(r *http.Request) { g.extractor.Remove(r) }
