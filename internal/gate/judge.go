package gate

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyjwt/gateway/internal/apppath"
	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
)

// judge applies the rules that depend on time or route to an authenticated token. It runs for every request: a cached
// token must not outlive exp, nor carry one route's audience over to another.
func (g *Gate) judge(found *authenticated, now time.Time) error {
	set, party := found.identity.Claims, found.party
	if err := party.checkCredential(now); err != nil {
		return err
	}
	if err := judgeTime(set, party, found.traits.opaque, now); err != nil {
		return err
	}
	return g.judgeRest(set, party, now)
}

// judgeRest applies the rules that do not depend on whether the token has expired.
func (g *Gate) judgeRest(set *claims.Set, party *party, now time.Time) error {
	if err := party.checkLifetime(set, now); err != nil {
		return err
	}
	return g.judgeAudience(set, party)
}

// checkLifetime refuses a token that lives longer than the shorter max_lifetime of the route and the issuer.
func (p *party) checkLifetime(set *claims.Set, now time.Time) error {
	if p.maxLifetime == 0 {
		return nil
	}
	if err := claims.CheckLifetime(set, now, p.maxLifetime, p.leeway); err != nil {
		return claimFailure(err).adding(" (max_lifetime)")
	}
	return nil
}

// checkCredential refuses the tokens of a credential that has expired, or whose certificate has.
func (p *party) checkCredential(now time.Time) error {
	c := p.credential
	switch {
	case c == nil:
	case !c.NotAfter.IsZero() && !now.Before(c.NotAfter):
		return fail(UnknownKey, fmt.Errorf("the credential's certificate has expired at %s", date(c.NotAfter)))
	case !c.Expires.IsZero() && !now.Before(c.Expires):
		return fail(UnknownKey, fmt.Errorf("the credential has expired at %s", date(c.Expires)))
	}
	return nil
}

// checkApplication refuses a token of an issuer in this process outside of its application, or of a removed one. A
// token of an OAuth client is for no application: its audience alone says where it is good. It is refused once the
// issuer does not have the client any more.
func (p *party) checkApplication(set *claims.Set, req *Request) error {
	if p.issuer == nil || !p.issuer.Local {
		return nil
	}
	if isOfClient(set) {
		if p.apps != nil && !p.apps.HasClient(set.ClientID) {
			return fail(InvalidAudience, fmt.Errorf("the issuer does not have the client %s any more",
				causes.Quote(set.ClientID)))
		}
		return nil
	}
	switch app := application(set); {
	case apppath.Check(app) != nil:
		return fail(MissingClaim, errors.New("the token has no claim app with the path of an application"))
	case req.accepted == nil && !apppath.Has(app, req.Facts.Target()):
		return fail(InvalidAudience, fmt.Errorf("the path is not below %s, the application of the token", causes.Quote(app)))
	case p.apps != nil && !p.apps.HasApplication(app):
		return fail(InvalidAudience, fmt.Errorf("the issuer does not have the application %s any more", causes.Quote(app)))
	}
	return nil
}

// isOfClient reports whether a token of a Local issuer is one of an OAuth client. It has no application. Either it is
// in the client's own name: then its subject is the client (RFC 9068 section 2.2), and it has no session. Or it is in
// the name of somebody whose token the client has exchanged: then it says that the client acts (RFC 8693 section 4.1).
func isOfClient(set *claims.Set) bool {
	if _, hasApp := set.Claim("app"); hasApp || set.ClientID == "" || set.Subject == "" {
		return false
	}
	if set.ClientID == set.Subject && set.Session == (claims.Value{}) {
		return true
	}
	act, _ := set.Claim("act")
	by, _ := act.JSON().Member("sub")
	return by.Equal(set.ClientID)
}

// ofApplication is what a token of a Local issuer is for, for people.
func ofApplication(set *claims.Set) []string {
	if isOfClient(set) {
		return []string{"client " + clip(set.ClientID)}
	}
	return []string{application(set)}
}

// ApplicationOf is the path of the application that a token claims to be for, if it is of a Local issuer. Nobody has
// verified it. It is empty otherwise.
func (g *Gate) ApplicationOf(token string) string {
	var jwt parsedJWT
	defer jwt.release()
	class := g.parties.classify(token, &jwt)
	if class.party == nil || class.party.issuer == nil || !class.party.issuer.Local || jwt.set == nil {
		return ""
	}
	if app := application(jwt.set); apppath.Check(app) == nil {
		return app
	}
	return ""
}

// application is the claim app; empty for none.
func application(set *claims.Set) string {
	value, there := set.Claim("app")
	if !there {
		return ""
	}
	app, _ := value.JSON().Str()
	return app
}

// judgeAudience checks the audience against that of the route and that of the issuer. Both must be satisfied.
func (g *Gate) judgeAudience(set *claims.Set, party *party) error {
	if len(g.audience.Accepted) > 0 {
		if err := claims.CheckAudience(set, g.audience.Accepted); err != nil {
			return claimFailure(err).adding(" (audience of the route)")
		}
	}
	if party.issuer != nil && len(party.issuer.Audience.Accepted) > 0 {
		if err := claims.CheckAudience(set, party.issuer.Audience.Accepted); err != nil {
			return claimFailure(err).adding(" (audience of the issuer)")
		}
	}
	return nil
}

// judgeAccepted checks the audience against what the request accepts.
func (g *Gate) judgeAccepted(req *Request, set *claims.Set, party *party) error {
	if !g.handedIn {
		return nil
	}
	var accepted []string
	if req.accepted != nil {
		accepted = req.accepted(party.name)
	}
	if len(accepted) == 0 {
		return fail(InvalidIssuer, errNotHandedIn)
	}
	if err := claims.CheckAudience(set, accepted); err != nil {
		return claimFailure(err).adding(" (audience of what is handed in)")
	}
	return nil
}

// judgeTime checks exp, nbf and iat. A JWT must have exp. In an answer it is optional (RFC 7662 section 2.2).
func judgeTime(set *claims.Set, party *party, answer bool, now time.Time) error {
	check := claims.CheckTime
	if answer && set.ExpiresAt.IsZero() {
		check = claims.CheckNotBefore
	}
	if err := check(set, now, party.leeway); err != nil {
		f := claimFailure(err)
		if f.Reason == MissingClaim && party.reading != nil && party.reading.Tolerate.Has(claims.MissingExp) {
			return f.adding(", and no iat, by which \"tolerate missing_exp\" would end the token")
		}
		return f
	}
	return nil
}

// expiry is the moment from which judge refuses a token because of its time; zero for never. What could refuse it
// earlier, such as another set of keys, has no time that is known now.
func (p *party) expiry(set *claims.Set) time.Time {
	var end time.Time
	if !set.ExpiresAt.IsZero() {
		end = set.ExpiresAt.Add(p.leeway)
	}
	if p.credential != nil {
		end = earlier(end, p.credential.End())
	}
	return end
}

// earlier is the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// claimFailure turns an error of package claims into a failure.
func claimFailure(err error) *Failure {
	if wrong, ok := errors.AsType[*claims.TimeError](err); ok {
		f := fail(Expired, err)
		if errors.Is(err, claims.ErrNotYetValid) {
			f.Reason = NotYetValid
		}
		f.Off = wrong.Off
		return f
	}
	switch {
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
