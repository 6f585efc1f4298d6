// Package gate decides whether a request may pass, and as whom. It is the pipeline of the product as a plain Go type:
//
//	extract     request → raw token and where it was found           (bearer)
//	resolve     untrusted iss, key claim or shape → who vouches       (this package)
//	verify      signature, keys, what the token says                  (jose, keyset, claims)
//	introspect  the authorization server's word                       (introspect)
//	authorize   what this route requires                              (this package)
//
// A failure anywhere is one type with an enumerated Reason, which one function turns into a status and a challenge.
// The package knows nothing of Caddy.
package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// Outcome says how a request that may pass came to pass.
type Outcome uint8

// The outcomes. The zero value is not one of them, so that nothing passes by accident.
const (
	Accepted     Outcome = iota + 1 // a token was verified
	Anonymous                       // no token; identified as the anonymous consumer
	Unidentified                    // no token; optional
	Preflight                       // a CORS preflight, which cannot carry a token
)

// Verdict is what Check says of a request that may pass.
type Verdict struct {
	Outcome Outcome
	// Identity is who is calling; nil for Unidentified and Preflight.
	Identity *Identity
	// InAuthorization tells that the token was in the Authorization header, whose presence keeps shared caches from
	// storing the answer (RFC 9111 section 3.5). Elsewhere somebody has to say so.
	InAuthorization bool
}

// Passes reports whether the request may pass. The zero Verdict says nothing, and so no.
func (v Verdict) Passes() bool { return v.Outcome != 0 }

// Gate guards one route. It is immutable: any number of requests may use it at once, without a lock.
type Gate struct {
	answers         map[Reason]Answer
	realm           string
	extractor       Extractor
	parties         *parties
	audience        Audience
	require         requirements
	revocations     Revocations
	outputs         []Output
	managed         headerNames // what the outputs may set
	keepToken       bool
	optional        bool
	anonymous       *Identity
	allowPreflight  bool
	inAuthorization []bool // by place
	queryToken      bool   // a query parameter is one of the places
	askMode         RouteMode
	askOptions      []introspect.Option
	confirmOptions  []introspect.Option
	cache           *Cache
	hash            keyed // of tokens, for the cache
	now             func() time.Time
}

// New checks the configuration and builds the gate. It does nothing else: no network, no goroutine. An error names its
// setting as that of Config.Validate does.
func New(c Config) (*Gate, error) {
	c = c.clone()
	g, err := build(c)
	if err != nil {
		return nil, err
	}
	if err := c.canAsk(); err != nil {
		return nil, err
	}
	g.cache = c.Cache
	if g.hash, err = c.Cache.hasher(fingerprint(&c, g.parties)); err != nil {
		return nil, setting.In("Cache", err)
	}
	return g, nil
}

// build makes a gate without its cache. The gate keeps parts of the configuration.
func build(c Config) (*Gate, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	parties, err := index(&c)
	if err != nil {
		return nil, err
	}
	require, err := compileRequirements(c.Require)
	if err != nil {
		return nil, setting.In("Require", err)
	}
	if c.Optional && !require.empty() {
		return nil, setting.Errorf("Optional", "optional and require exclude each other: "+
			"a request without a token brings nothing that is required; remove one of the two")
	}
	outputs, managed, err := c.outputs()
	if err != nil {
		return nil, err
	}
	g := &Gate{
		realm: c.Realm, extractor: c.Extractor, parties: parties, audience: c.Audience, require: require,
		revocations: c.Revocations, outputs: outputs, managed: managed, keepToken: c.ForwardToken, optional: c.Optional,
		allowPreflight: c.AllowPreflight, askMode: c.Asking.Mode, askOptions: c.Asking.options(),
		confirmOptions: c.Asking.confirmOptions(), now: c.Now,
	}
	if g.now == nil {
		g.now = time.Now
	}
	for _, place := range c.Extractor.Places() {
		g.inAuthorization = append(g.inAuthorization, place.Kind == bearer.Header && place.Name == "Authorization")
		g.queryToken = g.queryToken || place.Kind == bearer.Query
	}
	if err := g.admitAs(c.Anonymous); err != nil {
		return nil, setting.In("Anonymous", err)
	}
	g.prepare()
	return g, nil
}

// admitAs sets the consumer as which requests without a token pass; an empty username is nobody.
func (g *Gate) admitAs(username string) error {
	if username == "" {
		return nil
	}
	consumer := g.parties.consumers[username]
	if consumer == nil {
		return fmt.Errorf("anonymous consumer %q does not exist: add a consumer block with that username", username)
	}
	g.anonymous = &Identity{ID: consumer.Username, Consumer: consumer, Anonymous: true}
	if g.require.satisfiedBy(g.anonymous, g.now()) != nil {
		return fmt.Errorf("anonymous consumer %q could never pass: it does not bring what the route requires", username)
	}
	return nil
}

// Check decides about a request. The error, when there is one, is a *Failure. A form body that may hold the token is
// read and given back; nothing else of the request changes.
func (g *Gate) Check(of Request) (Verdict, error) {
	r := of.HTTP
	if err := bearer.HasMethod(r); err != nil {
		return Verdict{}, fail(MalformedRequest, err)
	}
	if err := bearer.InOriginForm(r); err != nil {
		return Verdict{}, fail(MalformedRequest, err)
	}
	if g.letsPreflight(r) {
		return Verdict{Outcome: Preflight}, nil
	}
	credential, err := g.extractor.Extract(r)
	if err != nil {
		return g.withoutToken(err)
	}
	if credential.Token == "" { // an Extractor must say so; no server is asked about nothing
		return Verdict{}, fail(MalformedRequest, errEmptyToken)
	}
	identity, err := g.identify(&of, credential.Token)
	if err != nil {
		return Verdict{}, refusal(r.Context(), err, credential.Token)
	}
	return Verdict{Outcome: Accepted, Identity: identity, InAuthorization: g.inAuthorization[credential.Place]}, nil
}

var errEmptyToken = errors.New("the extractor gave an empty token")

// letsPreflight reports whether the request passes as a preflight. One with a token in a header is none, whatever the
// header: browsers send no such field with a preflight, and the token would travel on unverified where it is kept.
func (g *Gate) letsPreflight(r *http.Request) bool {
	return g.allowPreflight && bearer.IsPreflight(r) && !g.extractor.InHeader(r.Header)
}

// ReadsBody reports whether Check will read the request's body: only a form that may hold the token. Whoever owns the
// connection should set a read deadline then, since nothing else wakes up a read from a client that has gone silent.
func (g *Gate) ReadsBody(r *http.Request) bool { return g.extractor.ReadsBody(r) }

// withoutToken decides about a request from which no single token could be taken.
func (g *Gate) withoutToken(err error) (Verdict, error) {
	switch {
	case errors.Is(err, bearer.ErrMissing):
		return g.unidentified()
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

// unidentified lets a request without any token pass where the configuration says so. New has made sure that this does
// not get around what the route requires.
func (g *Gate) unidentified() (Verdict, error) {
	switch {
	case g.anonymous != nil:
		return Verdict{Outcome: Anonymous, Identity: g.anonymous}, nil
	case g.optional:
		return Verdict{Outcome: Unidentified}, nil
	default:
		return Verdict{}, fail(MissingToken, nil)
	}
}

// refusal ties the failure to its token by fingerprint. What failed because the client hung up is nobody's trouble.
func refusal(ctx context.Context, err error, token string) error {
	f := FailureOf(err)
	switch f.Reason {
	case KeyPending, KeysUnavailable, IntrospectionUnavailable, IntrospectionTimeout, IntrospectionFailed:
		if errors.Is(ctx.Err(), context.Canceled) {
			f = &Failure{Reason: ClientGone, Issuer: f.Issuer}
		}
	}
	f.Token = tokenFingerprint(token)
	return f
}
