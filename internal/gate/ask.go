package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/internal/causes"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/introspect"
)

// mustAsk reports whether the authorization server must be asked about a token that was verified here.
func (g *Gate) mustAsk(found *authenticated) bool {
	p := found.party
	if found.traits.opaque || p.issuer == nil || !p.issuer.asks() {
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
// is a failure. If the client opens tokens of a Local issuer, its error is that of a JWT.
func (g *Gate) query(
	ctx context.Context, p *party, token string, options []introspect.Option,
) (*statement, error) {
	result, err := p.issuer.Asking.Client.Introspect(ctx, token, options...)
	if err != nil && p.issuer.Local {
		return nil, about(localFailure(err), p)
	}
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

var errInactive = errors.New("the server answered \"active\": false: to it the token is expired, revoked or unknown")

// refusalCause is the cause if the server does not call the token active, or refused it with an error code.
func refusalCause(result *introspect.Result) error {
	if result.Refusal == "" {
		return errInactive
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
	if err := p.checkRequired(s.identity.Claims); err != nil {
		return authenticated{}, about(err, p)
	}
	if err := p.checkOpened(s.identity.Claims); err != nil {
		return authenticated{}, about(err, p)
	}
	return authenticated{
		identity: s.identity, party: p,
		traits: traits{opaque: true, declaredAccess: s.kind.Access, bound: s.bound()},
	}, nil
}

// checkOpened applies the rules for the form of JWTs to an opaque token of a Local issuer. It is of the type that its
// JWTs have.
func (p *party) checkOpened(set *claims.Set) error {
	if !p.issuer.Local {
		return nil
	}
	header := jose.Header{Type: accessTokenType}
	if err := p.checkType(&header, claims.Kind{Access: true}); err != nil {
		return err
	}
	if p.issuer.AccessTokenProfile {
		return p.checkProfile(&header, set)
	}
	return nil
}

// confirm asks about a JWT that was verified here. The answer must be about the same token: where both name an issuer,
// subject, client or audience, they must agree. Whatever the answer says about time, audience, scope and sign-in must
// satisfy this route, too. For what it leaves out, the token's own claims stand. What comes after the gate may ask for
// more scopes, so the identity remembers those of the answer.
func (g *Gate) confirm(req *Request, local *authenticated, token string) error {
	p := local.party
	options := g.confirmOptions
	if local.traits.sealed {
		options = g.askOptions // whoever has a token can encrypt it anew, and the server has never seen that
	}
	s, err := g.query(req.HTTP.Context(), p, token, options)
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
		return inAnswer(err)
	}
	req.expires = earlier(req.expires, p.expiry(remote))
	if req.handedIn != nil {
		req.handedIn.Answer, req.handedIn.Expires = remote, earlier(req.handedIn.Expires, remote.ExpiresAt)
	}
	if _, aud := remote.Claim("aud"); aud { // an empty aud counts, too: such a token is for nobody
		if err := g.judgeAudience(remote, p); err != nil {
			return inAnswer(err)
		}
		if err := g.judgeAccepted(req, remote, p); err != nil {
			return inAnswer(err)
		}
	}
	if s.bound() {
		if err := g.prove(req, token, remote, g.now()); err != nil {
			return inAnswer(err)
		}
	}
	if f := g.require.statedIn(remote, p.name, g.now()); f != nil {
		return inAnswer(g.require.withScopes(f, remote, s.identity))
	}
	// Usually the answer repeats the scopes of the token, and takes none of them back.
	if states(remote, "scope", "scp") && !slices.Equal(remote.Scope, local.identity.Claims.Scope) {
		local.identity = local.identity.LimitedBy(remote)
	}
	return nil
}

// checkStatement checks what depends on neither time nor route.
func (p *party) checkStatement(s *statement) error {
	set := s.identity.Claims
	if set.Issuer != "" { // optional in an answer (RFC 7662 section 2.2)
		if err := claims.CheckIssuer(set, p.name); err != nil {
			return inAnswer(claimFailure(err))
		}
	}
	// A server may also introspect tokens of other kinds, and call them active (RFC 7662 section 2.1).
	if err := p.checkDeclaredKind(s.kind); err != nil {
		return inAnswer(fail(InvalidType, err))
	}
	return nil
}

// contradicts refuses an answer that disagrees with the token about something that both of them state.
func contradicts(token, answer *claims.Set) error {
	differ := func(a, b string) bool { return a != "" && b != "" && a != b }
	switch {
	case differ(token.Issuer, answer.Issuer):
		return fail(Contradiction, fmt.Errorf("iss is %s in the token, and %s in the server's answer",
			causes.Quote(token.Issuer), causes.Quote(answer.Issuer)))
	case differ(token.Subject, answer.Subject):
		return fail(Contradiction, errors.New("sub in the token differs from sub in the server's answer"))
	case differ(token.ClientID, answer.ClientID):
		return fail(Contradiction, errors.New("client_id in the token differs from client_id in the server's answer"))
	case len(token.Audience) > 0 && len(answer.Audience) > 0 &&
		!slices.ContainsFunc(token.Audience, func(aud string) bool { return slices.Contains(answer.Audience, aud) }):
		return fail(Contradiction, fmt.Errorf("aud is %s in the token, and %s in the server's answer",
			causes.List(token.Audience), causes.List(answer.Audience)))
	}
	return nil
}

// localFailure is the failure when an opaque token of a Local issuer does not open. It is that of a JWT which its keys
// do not verify.
func localFailure(err error) *Failure {
	if errors.Is(err, introspect.ErrToken) {
		return fail(MalformedToken, err)
	}
	return keyFailure(err)
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
