package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/introspect"
)

// IntrospectMode says which tokens of an issuer its authorization server is asked about.
type IntrospectMode uint8

// The modes of an issuer.
const (
	// IntrospectOpaque asks about tokens that are no JWT of a known issuer.
	IntrospectOpaque IntrospectMode = iota + 1
	// IntrospectAlways asks about opaque and encrypted tokens, and about the issuer's JWTs once they have been verified
	// here: they may be revoked. It does not ask about JWTs of others, since every JWT is to be verified here.
	IntrospectAlways
	// IntrospectJWTs asks about the issuer's JWTs only, as IntrospectAlways does.
	IntrospectJWTs
)

// Introspection asks an authorization server about the tokens of one issuer (RFC 7662).
type Introspection struct {
	// Mode says which tokens.
	Mode IntrospectMode
	// Prefix is how this issuer's opaque tokens begin; empty for any. Two issuers cannot take the same ones.
	Prefix string
	// Client asks. Its Decode must be DecodeAnswer of the issuer's name, or DecodeUserInfo by its mode.
	Client *introspect.Client
}

// RouteMode refines the issuers' modes for one route.
type RouteMode uint8

// The modes of a route.
const (
	RouteDefault RouteMode = iota // as the issuer says
	RouteForce                    // ask about every token
	RouteSkip                     // do not ask about JWTs
)

// RouteIntrospection is what a route says about asking.
type RouteIntrospection struct {
	// Mode refines the issuers' mode.
	Mode RouteMode
	// MaxAge is how old a remembered answer may be on this route, 0 being "ask every time"; nil means as old as the
	// cache keeps it.
	MaxAge *time.Duration
}

// options are what is said with every question.
func (r RouteIntrospection) options() []introspect.Option {
	if r.MaxAge == nil {
		return nil
	}
	return []introspect.Option{introspect.MaxAge(*r.MaxAge)}
}

// confirmOptions are said about a token that was verified here: no stranger can make one up.
func (r RouteIntrospection) confirmOptions() []introspect.Option {
	return append(r.options(), introspect.Verified())
}

// mustAsk reports whether a token that was verified here is also to be asked about.
func (g *Gate) mustAsk(identity *Identity, p *party) bool {
	if identity.opaque || p.issuer == nil || p.issuer.Introspection == nil {
		return false
	}
	switch g.askMode {
	case RouteForce:
		return true
	case RouteSkip:
		return false
	default:
		return p.issuer.Introspection.Mode != IntrospectOpaque
	}
}

// DecodeAnswer makes the identity of an active answer, once for all requests that will use it. It is the Decode of the
// client that asks on behalf of the named issuer.
func DecodeAnswer(issuer string) func(answer []byte) (any, error) {
	return decodeWith(claims.DecodeAnswer, issuer)
}

// DecodeUserInfo is DecodeAnswer for a client that asks the UserInfo endpoint. Its answer needs no word about the kind
// of token: that endpoint takes access tokens only (OpenID Connect Core 1.0 section 5.3.1).
func DecodeUserInfo(issuer string) func(answer []byte) (any, error) {
	decode := decodeWith(claims.DecodeUserInfo, issuer)
	return func(answer []byte) (any, error) {
		identity, err := decode(answer)
		if identity, ok := identity.(*Identity); ok {
			identity.saysAccess = true
		}
		return identity, err
	}
}

func decodeWith(decode func([]byte) (*claims.Set, error), issuer string) func(answer []byte) (any, error) {
	return func(answer []byte) (any, error) {
		set, err := decode(answer)
		if err != nil {
			return nil, err
		}
		identity := &Identity{ID: set.Subject, Issuer: issuer, Claims: set, opaque: true}
		identity.saysAccess = claims.KindOfAnswer(set).Access
		if identity.ID == "" {
			if username, ok := set.Claim("username"); ok && !username.IsEmpty() { // RFC 7662 section 2.2
				identity.ID, _ = username.JSON().Str()
			}
		}
		return identity, nil
	}
}

// query asks the party's authorization server and gives its answer about an active token.
func (g *Gate) query(
	ctx context.Context, p *party, token string, options []introspect.Option,
) (*Identity, error) {
	result, err := p.issuer.Introspection.Client.Introspect(ctx, token, options...)
	if err != nil {
		return nil, about(noVerdict(err), p)
	}
	if !result.Active {
		return nil, about(fail(Inactive, refusedBy(&result)), p)
	}
	identity, ok := result.Value.(*Identity)
	if !ok {
		return nil, about(fail(InternalError, errors.New("the introspection client does not decode answers")), p)
	}
	return identity, nil
}

// refusedBy is the cause where the server has refused the token by an error.
func refusedBy(result *introspect.Result) error {
	if result.Refusal == "" {
		return nil
	}
	return fmt.Errorf("the server answered %s in place of \"active\": false", result.Refusal)
}

// ask establishes the identity of an opaque token from the answer alone. The answer is held to the rules for claims.
func (g *Gate) ask(ctx context.Context, p *party, token string) (*Identity, error) {
	identity, err := g.query(ctx, p, token, g.askOptions)
	if err != nil {
		return nil, err
	}
	if err := p.checkAnswer(identity.Claims); err != nil {
		return nil, about(err, p)
	}
	if err := checkSaid(p.untold.Answers, identity.saysAccess); err != nil {
		return nil, about(err, p)
	}
	if err := claims.CheckPresent(identity.Claims, p.issuer.Require); err != nil {
		return nil, about(claimFailure(err), p)
	}
	return identity, nil
}

// confirm asks about a JWT that was verified here. The answer must be about the same token: when both name an issuer,
// subject, client or audience, they must agree. What the answer does say about time, audience and scope must be good
// enough for this route as well; what it leaves out, the token has said.
func (g *Gate) confirm(ctx context.Context, local *Identity, p *party, token string) error {
	remote, err := g.query(ctx, p, token, g.confirmOptions)
	if err != nil {
		return err
	}
	if err := p.checkAnswer(remote.Claims); err != nil {
		return err
	}
	if err := checkSaid(p.untold.JWTs, local.saysAccess || remote.saysAccess); err != nil {
		return err
	}
	if err := contradicts(local.Claims, remote.Claims); err != nil {
		return err
	}
	if err := g.judgeTime(remote, p, g.now()); err != nil {
		return err
	}
	if _, aud := remote.Claims.Claim("aud"); aud { // an empty one as well: then it is for nobody
		if err := g.judgeAudience(remote.Claims, p); err != nil {
			return err
		}
	}
	_, scope := remote.Claims.Claim("scope")
	_, scp := remote.Claims.Claim("scp")
	if scope || scp { // an empty one says that nothing is left
		return g.require.scopesIn(remote.Claims)
	}
	return nil
}

// checkAnswer checks what an answer must be, whatever the time and the route.
func (p *party) checkAnswer(set *claims.Set) error {
	kind := claims.KindOfAnswer(set)
	if set.Confirmation || kind.Bound {
		return fail(ProofRequired, nil) // RFC 8705 section 3.2, RFC 9449 section 6.2
	}
	if set.Issuer != "" { // optional in an answer (RFC 7662 section 2.2)
		if err := claims.CheckIssuer(set, p.name); err != nil {
			return claimFailure(err)
		}
	}
	return p.wantsKind(kind) // a server may call other tokens active when asked about them (RFC 7662 section 2.1)
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
