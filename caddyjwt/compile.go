package caddyjwt

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/bearer"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/introspect"
)

// defaultRealm names the protection space when the configuration does not: RFC 6750 section 3 wants at least one
// parameter in a challenge.
const defaultRealm = "api"

// compiled is a configuration that has passed every check that needs neither the network nor what outlives a
// configuration; the plans say how to open the rest.
type compiled struct {
	config gate.Config
	plans  []issuerPlan // one for each issuer
	cache  int64        // size; 0 for none
}

// compile resolves placeholders and checks every setting alone.
func (h *Handler) compile(repl *caddy.Replacer) (*compiled, error) {
	c := &compiled{cache: h.CacheSize}
	switch {
	case c.cache == 0:
		c.cache = gate.DefaultCacheSize
	case c.cache == -1:
		c.cache = 0
	default:
		if err := gate.ValidateCacheSize(c.cache); err != nil {
			return nil, err
		}
	}
	config := &c.config
	var err error
	if config.Realm, err = resolve(repl, "realm", h.Realm); err != nil {
		return nil, err
	}
	if config.Realm == "" {
		config.Realm = defaultRealm
	}
	if config.Extractor, err = h.extractor(); err != nil {
		return nil, err
	}
	if config.Audience, err = compileAudience(repl, h.Audience, h.AnyAudience); err != nil {
		return nil, err
	}
	config.Leeway = gate.DefaultLeeway
	if h.Leeway != nil {
		config.Leeway = time.Duration(*h.Leeway)
	}
	config.MaxLifetime = time.Duration(h.MaxLifetime)
	if err := h.compileParties(repl, c); err != nil {
		return nil, err
	}
	if config.KeyClaim, err = resolve(repl, "key_claim", h.KeyClaim); err != nil {
		return nil, err
	}
	if err := h.compileRoute(repl, config); err != nil {
		return nil, err
	}
	return c, nil
}

func (h *Handler) compileParties(repl *caddy.Replacer, c *compiled) error {
	for i := range h.Issuers {
		plan, err := h.Issuers[i].compile(repl, c.config.Leeway)
		if err != nil {
			return err
		}
		if in := plan.introspect; in != nil && in.config.Mode == introspect.UserInfo && in.mode == gate.IntrospectOpaque &&
			len(h.Audience) > 0 {
			return fmt.Errorf("issuer %q: verify userinfo cannot tell for whom a token was issued, so none could satisfy the "+
				"audience of bearer_auth; give each issuer its own", plan.issuer.Name)
		}
		c.plans = append(c.plans, plan)
		c.config.Issuers = append(c.config.Issuers, plan.issuer)
	}
	now := time.Now()
	for i := range h.Consumers {
		consumer, err := h.Consumers[i].compile(repl, now)
		if err != nil {
			return err
		}
		c.config.Consumers = append(c.config.Consumers, consumer)
	}
	return nil
}

// compileRoute handles what concerns the route rather than who vouches for tokens.
func (h *Handler) compileRoute(repl *caddy.Replacer, config *gate.Config) (err error) {
	if h.Require != nil {
		if config.Require, err = h.Require.compile(repl); err != nil {
			return err
		}
	}
	for i := range h.ForwardClaims {
		claim, err := h.ForwardClaims[i].compile()
		if err != nil {
			return err
		}
		config.ForwardClaims = append(config.ForwardClaims, claim)
	}
	if h.Introspect != nil {
		if config.Introspection, err = h.Introspect.compile(); err != nil {
			return err
		}
	}
	if config.Anonymous, err = resolve(repl, "anonymous", h.Anonymous); err != nil {
		return err
	}
	config.ForwardToken, config.Optional, config.AllowPreflight = h.ForwardToken, h.Optional, h.AllowPreflight
	return nil
}

func (h *Handler) extractor() (*bearer.Extractor, error) {
	if h.MaxTokenSize < 0 || h.MaxTokenSize > 1<<20 {
		return nil, fmt.Errorf("max_token_size %d is not between 1 and %d", h.MaxTokenSize, 1<<20)
	}
	if err := notEmpty("token_from", h.TokenFrom); err != nil {
		return nil, err
	}
	options := bearer.Options{MaxToken: h.MaxTokenSize}
	for _, p := range h.TokenFrom {
		place, err := p.compile()
		if err != nil {
			return nil, err
		}
		options.Places = append(options.Places, place)
	}
	extractor, err := bearer.NewExtractor(options)
	if err != nil {
		return nil, fmt.Errorf("token_from: %w", err)
	}
	return extractor, nil
}

func (p TokenPlace) compile() (bearer.Place, error) {
	place := bearer.Place{Name: p.Name, Scheme: p.Scheme}
	switch p.In {
	case "header":
		place.Kind = bearer.Header
		if strings.EqualFold(p.Name, "Authorization") && p.Scheme == "" {
			place.Scheme = bearer.DefaultPlace.Scheme
		}
	case "query":
		place.Kind = bearer.Query
	case "cookie":
		place.Kind = bearer.Cookie
	case "form":
		place.Kind = bearer.Form
	default:
		return place, fmt.Errorf("token_from %q: expected header, query, cookie or form", p.In)
	}
	if err := errors.Join(literal("token_from", p.Name), literal("token_from", p.Scheme)); err != nil {
		return place, err
	}
	if p.Scheme != "" && place.Kind != bearer.Header {
		return place, fmt.Errorf("token_from %s %s: only a header has a scheme", p.In, p.Name)
	}
	if _, err := bearer.NewExtractor(bearer.Options{Places: []bearer.Place{place}}); err != nil {
		return place, fmt.Errorf("token_from: %w", err)
	}
	return place, nil
}

func (r *Requirements) compile(repl *caddy.Replacer) (gate.Requirements, error) {
	var out gate.Requirements
	if len(r.Scopes) == 0 && len(r.Claims) == 0 && len(r.Groups) == 0 {
		return out, errors.New("require asks for nothing: leave it out, or add a scope, claim or group")
	}
	var err error
	if out.Scopes, err = resolveAll(repl, "require scope", r.Scopes); err != nil {
		return out, err
	}
	if out.Groups, err = resolveAll(repl, "require group", r.Groups); err != nil {
		return out, err
	}
	if err := notEmpty("require claims", r.Claims); err != nil {
		return out, err
	}
	for _, claim := range r.Claims {
		path, err := claimPath("require claim", claim.Claim)
		if err != nil {
			return out, err
		}
		values, err := resolveAll(repl, "require claim "+claim.Claim, claim.Values)
		if err != nil {
			return out, err
		}
		out.Claims = append(out.Claims, gate.ClaimRequirement{Path: path, Values: values})
	}
	return out, nil
}

func claimPath(what, text string) (claims.Path, error) {
	if err := literal(what, text); err != nil {
		return claims.Path{}, err
	}
	path, err := claims.ParsePath(text)
	return path, wrap(what, err)
}

func (f ForwardClaim) compile() (gate.ForwardClaim, error) {
	path, err := claimPath("forward_claim", f.Claim)
	if err != nil {
		return gate.ForwardClaim{}, err
	}
	return gate.ForwardClaim{Path: path, Header: f.Header}, nil
}

func (r *RouteIntrospect) compile() (gate.RouteIntrospection, error) {
	var out gate.RouteIntrospection
	switch r.Mode {
	case "":
	case "force":
		out.Mode = gate.RouteForce
	case "skip":
		out.Mode = gate.RouteSkip
	default:
		return out, fmt.Errorf("introspect %q: expected force or skip", r.Mode)
	}
	if out.MaxAge = (*time.Duration)(r.MaxAge); r.Mode == "" && r.MaxAge == nil {
		return out, errors.New("introspect says nothing: leave it out, or add force, skip or max_age")
	}
	return out, nil
}

func compileAudience(repl *caddy.Replacer, accepted []string, everything bool) (gate.Audience, error) {
	values, err := resolveAll(repl, "audience", accepted)
	return gate.Audience{Any: everything, Accepted: values}, err
}

func unknownAlgorithm(name string) error {
	all := jose.AsymmetricAlgorithms().Union(jose.HMACAlgorithms())
	for known := range strings.FieldsSeq(all.String()) {
		if strings.EqualFold(name, known) {
			return fmt.Errorf("unknown algorithm %q (did you mean %q?); known are %v", name, known, all)
		}
	}
	return fmt.Errorf("unknown algorithm %q; known are %v", name, all)
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
