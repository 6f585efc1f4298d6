package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/introspect"
)

// mustAsk reports whether the authorization server must be asked about a token that was verified here.
func (g *Gate) mustAsk(found *authenticated) bool {
	p := found.party
	if found.traits.opaque || p.issuer == nil || p.issuer.Asking == nil {
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

// query asks the party's authorization server. It returns what the server says about an active token; an inactive one
// is a failure.
func (g *Gate) query(
	ctx context.Context, p *party, token string, options []introspect.Option,
) (*statement, error) {
	result, err := p.issuer.Asking.Client.Introspect(ctx, token, options...)
	if err != nil {
		return nil, about(noVerdict(err), p)
	}
	if !result.Active {
		return nil, about(fail(Inactive, refusalCause(&result)), p)
	}
	s, ok := result.Value.(*statement)
	if !ok {
		return nil, about(fail(InternalError, errors.New("the introspection client does not decode answers")), p)
	}
	if s.identity.Issuer != p.name {
		return nil, about(fail(InternalError, errors.New("the introspection client decodes for another issuer")), p)
	}
	return s, nil
}

// refusalCause is the cause if the server refused the token with an error code. It is nil for "active": false.
func refusalCause(result *introspect.Result) error {
	if result.Refusal == "" {
		return nil
	}
	return fmt.Errorf("the server answered %s instead of \"active\": false", result.Refusal)
}

// ask authenticates an opaque token by the authorization server's answer alone. The rules for claims apply to the
// answer.
func (g *Gate) ask(ctx context.Context, p *party, token string) (authenticated, error) {
	s, err := g.query(ctx, p, token, g.askOptions)
	if err != nil {
		return authenticated{}, err
	}
	if err := p.checkStatement(s); err != nil {
		return authenticated{}, about(err, p)
	}
	if err := requireDeclared(p.ambiguous.Answers, s.kind.Access); err != nil {
		return authenticated{}, about(err, p)
	}
	if err := claims.CheckPresent(s.identity.Claims, p.issuer.RequiredClaims); err != nil {
		return authenticated{}, about(claimFailure(err), p)
	}
	return authenticated{
		identity: &s.identity, party: p,
		traits: traits{opaque: true, declaredAccess: s.kind.Access, bound: s.bound()},
	}, nil
}

// confirm asks about a JWT that was verified here. The answer must be about the same token: where both name an issuer,
// subject, client or audience, they must agree. Whatever the answer says about time, audience and scope must satisfy
// this route, too. For what it leaves out, the token's own claims stand.
func (g *Gate) confirm(req *Request, local *authenticated, token string) error {
	p := local.party
	s, err := g.query(req.HTTP.Context(), p, token, g.confirmOptions)
	if err != nil {
		return err
	}
	if err := p.checkStatement(s); err != nil {
		return err
	}
	if err := requireDeclared(p.ambiguous.JWTs, local.traits.declaredAccess || s.kind.Access); err != nil {
		return err
	}
	remote := s.identity.Claims
	if err := contradicts(local.identity.Claims, remote); err != nil {
		return err
	}
	if err := judgeTime(remote, p, true, g.now()); err != nil {
		return err
	}
	if _, aud := remote.Claim("aud"); aud { // an empty aud counts, too: such a token is for nobody
		if err := g.judgeAudience(remote, p); err != nil {
			return err
		}
	}
	if err := checkProof(req, s.bound()); err != nil {
		return err
	}
	_, scope := remote.Claim("scope")
	_, scp := remote.Claim("scp")
	if scope || scp { // an empty list counts, too: no scope is left
		if f := g.require.scopes.in(remote); f != nil {
			return f
		}
	}
	return nil
}

// checkStatement checks what depends on neither time nor route.
func (p *party) checkStatement(s *statement) error {
	set := s.identity.Claims
	if set.Issuer != "" { // optional in an answer (RFC 7662 section 2.2)
		if err := claims.CheckIssuer(set, p.name); err != nil {
			return claimFailure(err)
		}
	}
	// A server may also introspect tokens of other kinds, and call them active (RFC 7662 section 2.1).
	if err := p.checkDeclaredKind(s.kind); err != nil {
		return fail(InvalidType, err)
	}
	return nil
}

// contradicts refuses an answer that disagrees with the token about something that both of them state.
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

// noVerdict is the failure when the authorization server gave no usable answer. That is not the client's fault, so it
// never leads to invalid_token. The exception is a token that cannot be asked about.
func noVerdict(err error) *Failure {
	if errors.Is(err, introspect.ErrToken) {
		return fail(MalformedToken, err)
	}
	none, ok := errors.AsType[*introspect.NoVerdictError](err)
	if !ok {
		return fail(IntrospectionUnavailable, err)
	}
	reason := IntrospectionUnavailable
	switch none.Cause {
	case introspect.CauseTimeout:
		reason = IntrospectionTimeout
	case introspect.CauseProtocol, introspect.CauseRefused:
		reason = IntrospectionFailed
	}
	f := fail(reason, err)
	f.RetryAfter = none.RetryAfter
	return f
}
