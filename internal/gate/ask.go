package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/introspect"
)

// mustAsk reports whether a token that was verified here is also to be asked about.
func (g *Gate) mustAsk(found *known) bool {
	p := found.party
	if found.how.opaque || p.issuer == nil || p.issuer.Asking == nil {
		return false
	}
	switch g.askMode {
	case RouteForce:
		return true
	case RouteSkip:
		return false
	default:
		return p.issuer.Asking.Mode != AskOpaque
	}
}

// query asks the party's authorization server and gives its answer about an active token.
func (g *Gate) query(
	ctx context.Context, p *party, token string, options []introspect.Option,
) (*statement, error) {
	result, err := p.issuer.Asking.Client.Introspect(ctx, token, options...)
	if err != nil {
		return nil, about(noVerdict(err), p)
	}
	if !result.Active {
		return nil, about(fail(Inactive, refusedBy(&result)), p)
	}
	said, ok := result.Value.(*statement)
	if !ok {
		return nil, about(fail(InternalError, errors.New("the introspection client does not decode answers")), p)
	}
	return said, nil
}

// refusedBy is the cause where the server has refused the token by an error.
func refusedBy(result *introspect.Result) error {
	if result.Refusal == "" {
		return nil
	}
	return fmt.Errorf("the server answered %s in place of \"active\": false", result.Refusal)
}

// ask establishes the identity of an opaque token from the answer alone. The answer is held to the rules for claims.
func (g *Gate) ask(ctx context.Context, p *party, token string) (known, error) {
	said, err := g.query(ctx, p, token, g.askOptions)
	if err != nil {
		return known{}, err
	}
	if err := p.checkStatement(said); err != nil {
		return known{}, about(err, p)
	}
	if err := checkSaid(p.untold.Answers, said.kind.Access); err != nil {
		return known{}, about(err, p)
	}
	if err := claims.CheckPresent(said.identity.Claims, p.issuer.Require); err != nil {
		return known{}, about(claimFailure(err), p)
	}
	return known{
		identity: &said.identity, party: p,
		how: manner{opaque: true, saysAccess: said.kind.Access, bound: said.bound()},
	}, nil
}

// confirm asks about a JWT that was verified here. The answer must be about the same token: when both name an issuer,
// subject, client or audience, they must agree. What the answer does say about time, audience and scope must be good
// enough for this route as well; what it leaves out, the token has said.
func (g *Gate) confirm(of *Request, local *known, token string) error {
	p := local.party
	said, err := g.query(of.HTTP.Context(), p, token, g.confirmOptions)
	if err != nil {
		return err
	}
	if err := p.checkStatement(said); err != nil {
		return err
	}
	if err := checkSaid(p.untold.JWTs, local.how.saysAccess || said.kind.Access); err != nil {
		return err
	}
	remote := said.identity.Claims
	if err := contradicts(local.identity.Claims, remote); err != nil {
		return err
	}
	if err := judgeTime(remote, p, true, g.now()); err != nil {
		return err
	}
	if _, aud := remote.Claim("aud"); aud { // an empty one as well: then it is for nobody
		if err := g.judgeAudience(remote, p); err != nil {
			return err
		}
	}
	if err := prove(of, said.bound()); err != nil {
		return err
	}
	_, scope := remote.Claim("scope")
	_, scp := remote.Claim("scp")
	if scope || scp { // an empty one says that nothing is left
		if f := g.require.scopes.in(remote); f != nil {
			return f
		}
	}
	return nil
}

// checkStatement checks what an answer must be, whatever the time and the route.
func (p *party) checkStatement(said *statement) error {
	set := said.identity.Claims
	if set.Issuer != "" { // optional in an answer (RFC 7662 section 2.2)
		if err := claims.CheckIssuer(set, p.name); err != nil {
			return claimFailure(err)
		}
	}
	if err := p.wantsKind(said.kind); err != nil { // a server may call other tokens active, too (RFC 7662 section 2.1)
		return fail(InvalidType, err)
	}
	return nil
}

// contradicts compares what token and answer both say.
func contradicts(token, answer *claims.Set) error {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	switch {
	case differ(token.Issuer, answer.Issuer):
		return fail(Contradiction, errors.New("iss differs"))
	case differ(token.Subject, answer.Subject):
		return fail(Contradiction, errors.New("sub differs"))
	case differ(token.ClientID, answer.ClientID):
		return fail(Contradiction, errors.New("client_id differs"))
	case len(token.Audience) > 0 && len(answer.Audience) > 0 &&
		!slices.ContainsFunc(token.Audience, func(aud string) bool { return slices.Contains(answer.Audience, aud) }):
		return fail(Contradiction, errors.New("aud has nothing in common"))
	}
	return nil
}

// noVerdict gives the Reason when the authorization server was asked and gave no usable answer. But for a
// token that cannot be asked about, it is not the client's fault, and so never invalid_token.
func noVerdict(err error) *Failure {
	if errors.Is(err, introspect.ErrToken) {
		return fail(MalformedToken, err)
	}
	trouble, ok := errors.AsType[*introspect.NoVerdictError](err)
	if !ok {
		return fail(IntrospectionUnavailable, err)
	}
	reason := IntrospectionUnavailable
	switch trouble.Cause {
	case introspect.CauseTimeout:
		reason = IntrospectionTimeout
	case introspect.CauseProtocol, introspect.CauseRefused:
		reason = IntrospectionFailed
	}
	f := fail(reason, err)
	f.RetryAfter = trouble.RetryAfter
	return f
}
