package gate

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
)

// judge applies what changes with time and route to a token of which the rest is known, on every request anew: a
// cached verdict must not outlive exp, nor carry one route's audience to another.
func (g *Gate) judge(found *known, now time.Time) error {
	set, party := found.identity.Claims, found.party
	if c := party.credential; c != nil && !c.NotAfter.IsZero() && !now.Before(c.NotAfter) {
		return fail(UnknownKey, errors.New("the credential's certificate has expired"))
	}
	if err := judgeTime(set, party, found.how.opaque, now); err != nil {
		return err
	}
	if party.maxLifetime > 0 {
		if err := claims.CheckLifetime(set, now, party.maxLifetime, party.leeway); err != nil {
			return claimFailure(err)
		}
	}
	return g.judgeAudience(set, party)
}

// prove refuses a token that is bound to a key. Whoever presents it would have to prove possession of that key, with
// each request and by what only that request has (RFC 7800, RFC 8705 section 3, RFC 9449 section 7.2). No proof is
// understood yet, so no such token passes.
func prove(_ *Request, bound bool) error {
	if bound {
		return fail(ProofRequired, nil)
	}
	return nil
}

// revoked refuses a token that was revoked before its end. When nobody knows, it may have been.
func (g *Gate) revoked(id *Identity, now time.Time) error {
	if g.revocations == nil {
		return nil
	}
	revoked, err := g.revocations.Revoked(id, now)
	switch {
	case err != nil:
		return fail(IntrospectionUnavailable, fmt.Errorf("nobody knows whether the token is revoked: %w", err))
	case revoked:
		return fail(Inactive, errRevoked)
	}
	return nil
}

var errRevoked = errors.New("the token is revoked")

// judgeAudience holds the token to the audience of the route and to that of its issuer.
func (g *Gate) judgeAudience(set *claims.Set, party *party) error {
	if len(g.audience.Accepted) > 0 {
		if err := claims.CheckAudience(set, g.audience.Accepted); err != nil {
			return claimFailure(err)
		}
	}
	if party.issuer != nil && len(party.issuer.Audience.Accepted) > 0 {
		if err := claims.CheckAudience(set, party.issuer.Audience.Accepted); err != nil {
			return claimFailure(err)
		}
	}
	return nil
}

// judgeTime checks exp, nbf and iat. A JWT must have exp; in an answer it is optional (RFC 7662 section 2.2).
func judgeTime(set *claims.Set, party *party, answer bool, now time.Time) error {
	check := claims.CheckTime
	if answer && set.ExpiresAt.IsZero() {
		check = claims.CheckNotBefore
	}
	if err := check(set, now, party.leeway); err != nil {
		return claimFailure(err)
	}
	return nil
}

// claimFailure gives the Reason of a rule about claims.
func claimFailure(err error) *Failure {
	switch {
	case errors.Is(err, claims.ErrExpired):
		return fail(Expired, err)
	case errors.Is(err, claims.ErrNotYetValid):
		return fail(NotYetValid, err)
	case errors.Is(err, claims.ErrAudience):
		return fail(InvalidAudience, err)
	case errors.Is(err, claims.ErrIssuer):
		return fail(InvalidIssuer, err)
	case errors.Is(err, claims.ErrMissing):
		return fail(MissingClaim, err)
	case errors.Is(err, claims.ErrLifetime):
		return fail(LifetimeTooLong, err)
	default:
		return fail(MalformedToken, err)
	}
}
