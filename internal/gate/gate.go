// Package gate decides whether a request may pass, and as whom. It is the pipeline of the product as a plain Go type:
//
//	extract     request → raw token, and the place that it came from (bearer)
//	resolve     untrusted iss, key claim or form → party             (this package)
//	verify      signature, keys and claims                           (jose, keyset, claims)
//	ask         the authorization server, if it must be asked        (introspect)
//	authorize   what this route requires                             (this package)
//
// A party is who vouches for a token: an issuer, or one credential of a consumer.
//
// Every step fails with the same type, Failure, which has an enumerated Reason. One function turns it into a status and
// a challenge. The package does not depend on Caddy.
package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/deepcopy"
	"github.com/caddyjwt/gateway/internal/output"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/publicpath"
	"github.com/caddyjwt/gateway/internal/revoke"
	"github.com/caddyjwt/gateway/internal/sealed"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// Outcome says why a request may pass.
type Outcome uint8

// The outcomes. The zero value is not one of them, so nothing passes by accident.
const (
	Accepted     Outcome = iota + 1 // a token was verified
	Anonymous                       // no token; the request counts as the anonymous consumer's
	Unidentified                    // no token, and the route does not insist on one
	Preflight                       // a CORS preflight, which cannot carry a token
	Public                          // a public page, which needs no token; the request's own was not judged
)

// Verdict is the result of Check for a request that may pass.
type Verdict struct {
	Outcome Outcome
	// WithDPoP reports that the token of an accepted request came with the scheme DPoP.
	WithDPoP bool
	// StaleNonce reports that the client should get a new nonce for its next DPoP proof: see NewNonce.
	StaleNonce bool
	// Identity is who is calling; nil for Unidentified, Preflight and Public.
	Identity *Identity
	// InAuthorization reports that the token was in the Authorization header. Shared caches do not store the response
	// to such a request (RFC 9111 section 3.5). For a token in another place the response itself must forbid that.
	InAuthorization bool
	// Expires is the moment from which the token is refused as expired: leeway and the server's answer about the token
	// count, too. It is zero if the token never expires, and without one.
	Expires time.Time
	// TokenExpired reports that the request has a token that counts as none: see Config.OptionalExpired. Call RemoveToken.
	TokenExpired bool
	// Token is the token of an accepted request, if Config.ExposeToken is set.
	Token bearer.Exposed
	// Revocable is an accepted token as Revocations know it, if Config.Watched is set and the token can be revoked.
	Revocable *revoke.Token
}

// Passes reports whether the request may pass. The zero Verdict does not pass.
func (v Verdict) Passes() bool { return v.Outcome != 0 }

// Gate guards one route. It is immutable, so any number of requests may use it at once without a lock.
type Gate struct {
	answers         map[Reason]Answer
	dpopAnswers     map[Reason]Answer // about tokens with the scheme DPoP
	realm           string
	metadata        string // see Config.ResourceMetadata
	extractor       Extractor
	parties         *parties
	audience        Audience
	handedIn        bool // see Config
	require         requirements
	revocations     Revocations
	watched         bool
	proof           *possession.Policy // nil for none
	requireTLS      bool
	outputs         output.Set
	keepToken       bool
	exposeToken     bool
	optional        bool
	anonymous       *Identity
	allowPreflight  bool
	origins         *originCheck // nil for none
	public          publicpath.Set
	places          []bearer.Place
	noToken         error  // the cause for a request that has nothing like a token
	inAuthorization []bool // by place: see Verdict
	withDPoP        []bool // by place: the scheme is DPoP
	expiredIsNone   []bool // by place: see Config.OptionalExpired
	queryToken      bool   // a query parameter is one of the places
	askMode         RouteMode
	askOptions      []introspect.Option
	confirmOptions  []introspect.Option
	cache           *Cache
	hasher          tokenHasher // for the cache
	now             func() time.Time
}

// New checks the configuration and builds the gate. It uses no network and starts no goroutine. An error names its
// setting, as an error of Config.Validate does.
func New(c Config) (*Gate, error) {
	c = deepcopy.Of(c)
	g, err := build(c)
	if err != nil {
		return nil, err
	}
	if err := c.checkClients(); err != nil {
		return nil, err
	}
	g.cache = c.Cache
	if g.hasher, err = c.Cache.hasher(fingerprint(&c, g.parties)); err != nil {
		return nil, setting.In("Cache", err)
	}
	return g, nil
}

// build makes a gate without its cache. The gate keeps parts of the configuration, so the caller must not change it.
func build(c Config) (*Gate, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Turns == nil {
		c.Turns = sealed.NewTurns()
	}
	parties, err := index(&c)
	if err != nil {
		return nil, err
	}
	if err := c.checkRevocation(); err != nil {
		return nil, err
	}
	require, err := c.compileRequirements()
	if err != nil {
		return nil, err
	}
	if c.Optional && !require.empty() {
		return nil, setting.Errorf("Optional", "optional and require exclude each other: "+
			"a request without a token cannot meet a requirement; remove one of the two")
	}
	outputs, err := c.compileOutputs()
	if err != nil {
		return nil, err
	}
	public, err := c.publicPaths()
	if err != nil {
		return nil, err
	}
	origins, err := c.originCheck()
	if err != nil {
		return nil, err
	}
	g := &Gate{
		realm: c.Realm, metadata: c.ResourceMetadata, extractor: c.Extractor, parties: parties, audience: c.Audience,
		handedIn: c.HandedIn,
		require:  require, revocations: c.Revocations, watched: c.Watched, outputs: outputs, keepToken: c.ForwardToken,
		exposeToken: c.ExposeToken, proof: c.Proof, requireTLS: c.RequireTLS,
		optional: c.Optional, allowPreflight: c.AllowPreflight, origins: origins, public: public, askMode: c.Asking.Mode,
		askOptions: c.Asking.options(), confirmOptions: c.Asking.confirmOptions(), now: c.Now,
	}
	if g.now == nil {
		g.now = time.Now
	}
	g.places = c.Extractor.Places()
	g.noToken = noTokenIn(g.places)
	for _, place := range g.places {
		g.inAuthorization = append(g.inAuthorization, place.Kind == bearer.Header && place.Name == "Authorization")
		g.expiredIsNone = append(g.expiredIsNone, c.OptionalExpired && place.Kind == bearer.Cookie)
		g.withDPoP = append(g.withDPoP, place.Scheme == bearer.DPoPScheme)
		g.queryToken = g.queryToken || place.Kind == bearer.Query
	}
	if err := g.setAnonymous(c.Anonymous); err != nil {
		return nil, setting.In("Anonymous", err)
	}
	g.prepare()
	return g, nil
}

// setAnonymous sets the consumer that requests without a token count as. An empty username means that there is not one.
func (g *Gate) setAnonymous(username string) error {
	if username == "" {
		return nil
	}
	consumer := g.parties.consumers[username]
	if consumer == nil && g.parties.roster != nil && g.parties.roster.Consumer(username) != nil {
		return fmt.Errorf("anonymous consumer %q is in the file of consumers, where it could vanish: "+
			"move it into a consumer block", username)
	}
	if consumer == nil {
		return fmt.Errorf("anonymous consumer %q does not exist: add a consumer block with that username", username)
	}
	g.anonymous = &Identity{ID: consumer.Username, Consumer: consumer, Anonymous: true}
	if g.require.satisfiedBy(g.anonymous, g.now()) != nil {
		return fmt.Errorf("anonymous consumer %q could never pass: it does not meet what the route requires", username)
	}
	return nil
}

// Check decides whether a request may pass. An error is always a *Failure. Check reads a form body that may hold the
// token and puts it back. It changes nothing else in the request.
func (g *Gate) Check(req Request) (Verdict, error) {
	r := req.HTTP
	if err := bearer.HasMethod(r); err != nil {
		return Verdict{}, fail(MalformedRequest, err)
	}
	if err := bearer.InOriginForm(r); err != nil {
		return Verdict{}, fail(MalformedRequest, err)
	}
	if g.passesAsPreflight(r) {
		return Verdict{Outcome: Preflight}, nil
	}
	if g.isPublic(&req) {
		return g.asPublic(r)
	}
	credential, err := g.extractor.Extract(r)
	if err != nil {
		return g.withoutToken(r, err)
	}
	if err := g.checkCredential(credential); err != nil {
		return Verdict{}, err
	}
	req.withDPoP, req.expiredIsNone = g.withDPoP[credential.Place], g.expiredIsNone[credential.Place]
	if err := g.origins.judge(&req, credential.Place); err != nil {
		return Verdict{}, refusal(&req, err, credential.Token)
	}
	identity, err := g.identify(&req, credential.Token)
	if err != nil {
		if FailureOf(err).countsAsNone {
			return Verdict{Outcome: Unidentified, TokenExpired: true}, nil
		}
		return Verdict{}, refusal(&req, err, credential.Token)
	}
	verdict := Verdict{
		Outcome: Accepted, Identity: identity, InAuthorization: g.inAuthorization[credential.Place], Expires: req.expires,
		Revocable: req.revocable, WithDPoP: req.withDPoP, StaleNonce: req.proved.StaleNonce(),
	}
	if g.exposeToken {
		verdict.Token = bearer.Expose(credential.Token)
	}
	return verdict, nil
}

// checkCredential refuses the mistakes of an Extractor. No server may be asked about an empty token, and the place must
// be one of Places.
func (g *Gate) checkCredential(credential bearer.Credential) error {
	switch {
	case credential.Token == "":
		return fail(MalformedRequest, errors.New("the extractor returned an empty token"))
	case credential.Place < 0 || credential.Place >= len(g.inAuthorization):
		return fail(InternalError, fmt.Errorf("the extractor returned place %d of %d", credential.Place,
			len(g.inAuthorization)))
	}
	return nil
}

// passesAsPreflight reports whether the request passes as a CORS preflight.
func (g *Gate) passesAsPreflight(r *http.Request) bool { return g.allowPreflight && g.IsPreflight(r) }

// IsPreflight reports whether the request is a genuine CORS preflight. A request with a field that may hold the token
// is not: browsers send no such field with a preflight, and a route that keeps the token would forward it unverified.
// Cookies and the query do not count.
func (g *Gate) IsPreflight(r *http.Request) bool {
	return bearer.IsPreflight(r) && bearer.InOriginForm(r) == nil && !g.extractor.InHeader(r.Header)
}

// ReadsBody reports whether Check will read the request's body, which it does only for a form that may hold the token.
// The owner of the connection should then set a read deadline: nothing else ends a read from a client that has gone
// silent.
func (g *Gate) ReadsBody(r *http.Request) bool { return g.extractor.ReadsBody(r) }

// withoutToken decides about a request in which the extractor did not find exactly one token.
func (g *Gate) withoutToken(r *http.Request, err error) (Verdict, error) {
	switch {
	case errors.Is(err, bearer.ErrMissing):
		return g.unidentified(r)
	case errors.Is(err, bearer.ErrBodyTooLarge):
		return Verdict{}, fail(BodyTooLarge, err)
	case errors.Is(err, bearer.ErrOverloaded):
		return Verdict{}, fail(Overloaded, err)
	case errors.Is(err, bearer.ErrMalformed):
		return Verdict{}, fail(MalformedRequest, err)
	default:
		return Verdict{}, fail(MalformedRequest, fmt.Errorf("reading the request: %w", err))
	}
}

// unidentified lets a request without any token pass where the configuration allows it. New has made sure that such a
// request does not bypass the route's requirements. What the anonymous consumer satisfied then may have changed since.
func (g *Gate) unidentified(r *http.Request) (Verdict, error) {
	switch {
	case g.anonymous != nil:
		if err := g.require.satisfiedBy(g.anonymous, g.now()); err != nil {
			return Verdict{}, err
		}
		return Verdict{Outcome: Anonymous, Identity: g.anonymous}, nil
	case g.optional:
		return Verdict{Outcome: Unidentified}, nil
	default:
		return Verdict{}, fail(MissingToken, g.missingToken(r))
	}
}

// refusal adds to a failure how the token came, and its fingerprint. A lookup that failed only because the client hung
// up becomes ClientGone, so that logs and metrics do not blame a server for it.
func refusal(req *Request, err error, token string) error {
	f := FailureOf(err).unlessGone(req.HTTP.Context())
	f.withDPoP, f.Token = req.withDPoP, tokenFingerprint(token)
	return f
}

// unlessGone is the failure, or a ClientGone if the client hung up while the gate waited for somebody else.
func (f *Failure) unlessGone(ctx context.Context) *Failure {
	switch f.Reason {
	case KeyPending, KeysUnavailable, ProofsUnavailable, IntrospectionUnavailable, IntrospectionTimeout,
		IntrospectionFailed:
		if errors.Is(ctx.Err(), context.Canceled) {
			return &Failure{Reason: ClientGone, Issuer: f.Issuer, Cause: fmt.Errorf(
				"the client hung up while the gate waited for keys, the store or the authorization server (%s)",
				string(f.Reason))}
		}
	}
	return f
}
