package caddyjwt

import (
	"errors"
	"slices"
	"time"

	"github.com/caddyjwt/gateway/caddyjwt/cors"
	"github.com/caddyjwt/gateway/caddyjwt/inforce"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/proofs"
	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/rights"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/problem"
	"github.com/caddyjwt/gateway/internal/resource"
	"github.com/caddyjwt/gateway/internal/roster"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// defaultRealm is the realm when the configuration has none: RFC 6750 section 3 requires at least one parameter in a
// challenge.
const defaultRealm = "api"

// compiled is a configuration that has passed all checks that need neither the network nor the state of the process.
// The plans say how to open the rest.
type compiled struct {
	config gate.Config
	plans  []issuers.Plan // one for each issuer
	roster string         // path of the file of consumers; empty without one, and while it is not known
	cache  int64          // size; 0 for none

	endAtExpiry string       // see Handler
	cors        *cors.Policy // nil for none

	proof *proofs.Plan // nil without one

	resource *resource.Identifier // nil without one
	part     resource.Part        // what the gate tells about the resource
	server   *issuers.Plan        // nil without auth_server_metadata

	tenantHeader string // of forward_tenant

	serverMetadata string // how clients get at it, and whose it is

	messages *rights.Judge // nil without mcp

	// Whether all values are known that decide if the anonymous consumer exists and may pass: see words.Settings.
	anonymousKnown bool
}

// compile resolves placeholders and checks every setting on its own. An error names the handler's field: see setting.
func (h *Handler) compile(s *words.Settings) (*compiled, error) {
	c := &compiled{anonymousKnown: true}
	config := &c.config
	if err := inforce.CheckName(h.Name); err != nil {
		return nil, setting.In("Name", err)
	}
	realm, known, err := s.Text("realm", h.Realm)
	if err != nil {
		return nil, setting.In("Realm", err)
	}
	if config.Realm = realm; realm == "" || !known {
		config.Realm = defaultRealm
	}
	if err := h.compileProof(c); err != nil {
		return nil, err
	}
	if config.Extractor, err = h.extractor(c.proof.TakesDPoP()); err != nil {
		return nil, err
	}
	if header := h.ClientCertHeader; header != nil && config.Extractor.Needs(header.Name) {
		return nil, setting.Errorf("ClientCertHeader.Name", "client_cert_header %s cannot hold a certificate: the token "+
			"may be in it", header.Name)
	}
	if config.Audience, err = issuers.CompileAudience(s, h.Audience, h.AnyAudience); err != nil {
		return nil, err
	}
	config.Leeway = gate.DefaultLeeway
	if h.Leeway != nil {
		config.Leeway = time.Duration(*h.Leeway)
	}
	config.MaxLifetime = time.Duration(h.MaxLifetime)
	if err := h.compileParties(s, c); err != nil {
		return nil, err
	}
	if c.roster, err = h.ConsumersFrom.Compile(s); err != nil {
		return nil, setting.In("ConsumersFrom", err)
	}
	if h.ConsumersFrom != nil {
		config.Roster = new(roster.Set) // until it is opened
	}
	if config.KeyClaim, _, err = s.Text("key_claim", h.KeyClaim); err != nil {
		return nil, setting.In("KeyClaim", err)
	}
	if err := h.restrictByProof(c); err != nil {
		return nil, err
	}
	if err := c.checkLogouts(); err != nil {
		return nil, err
	}
	if err := h.compileRoute(s, c); err != nil {
		return nil, err
	}
	if err := h.compileResource(s, c); err != nil {
		return nil, err
	}
	if err := h.compileCORS(s, c); err != nil {
		return nil, err
	}
	if err := h.compileServer(s, c); err != nil {
		return nil, setting.In("AuthServerMetadata", err)
	}
	c.cache, err = h.compileCache()
	return c, setting.In("CacheSize", err)
}

// compileProof handles what the gate wants to know about who presents a token, and how the token came.
func (h *Handler) compileProof(c *compiled) (err error) {
	from := h.Proof
	switch h.Profile {
	case "":
	case proofs.ProfileFAPI2:
		from = from.ForFAPI2()
	default:
		return setting.Errorf("Profile", "unknown profile %q; the only one is %s", h.Profile, proofs.ProfileFAPI2)
	}
	if c.proof, err = from.Compile(); err != nil {
		return setting.In("Proof", err)
	}
	if err := h.ClientCertHeader.Behind(c.proof); err != nil {
		return setting.In("ClientCertHeader", err)
	}
	c.config.Proof, c.config.RequireTLS = c.proof.Policy(), h.RequireTLS
	return nil
}

// restrictByProof applies to issuers what the gate wants to know about who presents a token.
func (h *Handler) restrictByProof(c *compiled) error {
	about := make([]proofs.Issuer, len(c.plans))
	for i := range c.plans {
		plan := &c.plans[i]
		about[i] = proofs.Issuer{
			PlainHTTP: plan.PlainHTTP() != "", NamesAlgorithms: h.Issuers[i].Algorithms != nil,
			OnlyUserInfo: !plan.Verifies() && plan.Asking != nil && plan.Asking.Client.Mode == introspect.UserInfo,
		}
	}
	if err := proofs.CheckRequired(&c.config, about); err != nil || h.Profile != proofs.ProfileFAPI2 {
		return err
	}
	if err := proofs.RestrictToFAPI2(&c.config, about); err != nil {
		return err
	}
	for i := range c.plans { // its server signs answers with the same algorithms
		c.plans[i].Issuer.Algorithms = c.config.Issuers[i].Algorithms
	}
	return nil
}

// hasLocal reports whether tokens of a token_issuer of the same configuration are accepted.
func (c *compiled) hasLocal() bool {
	return slices.ContainsFunc(c.plans, func(p issuers.Plan) bool { return p.Local() })
}

// compileCache is the size of the cache in bytes, 0 for no cache.
func (h *Handler) compileCache() (int64, error) {
	switch h.CacheSize {
	case 0:
		return gate.DefaultCacheSize, nil
	case -1:
		return 0, nil
	default:
		return h.CacheSize, gate.ValidateCacheSize(h.CacheSize)
	}
}

func (h *Handler) compileParties(s *words.Settings, c *compiled) error {
	for i := range h.Issuers {
		plan, err := h.Issuers[i].Compile(s, c.config.Leeway)
		if err != nil {
			return setting.In(setting.Element("Issuers", i), err)
		}
		if in := plan.Asking; in != nil && in.Client.Mode == introspect.UserInfo && in.Mode == gate.AskOpaque &&
			len(h.Audience) > 0 {
			return setting.Errorf(setting.Element("Issuers", i)+".Introspect.Verify",
				"issuer %q: verify userinfo does not tell a token's audience, so no token could satisfy the audience of "+
					"bearer_auth: move it into the blocks of the other issuers", plan.Issuer.Name)
		}
		c.plans = append(c.plans, plan)
		c.config.Issuers = append(c.config.Issuers, plan.Issuer)
	}
	now := time.Now()
	for i := range h.Consumers {
		consumer, known, err := h.Consumers[i].Compile(s, now)
		if err != nil {
			return setting.In(setting.Element("Consumers", i), err)
		}
		c.anonymousKnown = c.anonymousKnown && known
		c.config.Consumers = append(c.config.Consumers, consumer)
	}
	return nil
}

// compileRoute handles settings of the route, as opposed to those of issuers and consumers.
func (h *Handler) compileRoute(s *words.Settings, c *compiled) (err error) {
	config := &c.config
	if h.Require != nil {
		if h.Require.Empty() {
			return setting.Errorf("Require", "require asks for nothing: leave it out, or add a scope, claim or group")
		}
		var known bool
		if config.Require, known, err = h.Require.Compile(s, "require"); err != nil {
			return setting.In("Require", err)
		}
		c.anonymousKnown = c.anonymousKnown && known
	}
	if config.ScopeImplies, err = require.CompileImplications(s, h.ScopeImplies); err != nil {
		return setting.In("ScopeImplies", err)
	}
	for i, f := range h.ForwardClaims {
		claim, err := forwardsClaims.compile("Claim", f.Claim, f.Header, f.As)
		if err != nil {
			return setting.In(setting.Element("ForwardClaims", i), err)
		}
		config.ForwardClaims = append(config.ForwardClaims, claim)
	}
	for i, f := range h.ForwardHeader {
		member, err := forwardsHeader.compile("Member", f.Member, f.Header, f.As)
		if err != nil {
			return setting.In(setting.Element("ForwardHeader", i), err)
		}
		config.ForwardHeader = append(config.ForwardHeader, member)
	}
	if err := h.compileForwardTenant(c); err != nil {
		return err
	}
	if c.messages, err = h.MCP.Compile(s); err != nil {
		return setting.In("MCP", err)
	}
	if h.Introspect != nil {
		if config.Asking, err = h.Introspect.compile(); err != nil {
			return setting.In("Introspect", err)
		}
	}
	anonymous, known, err := s.Text("anonymous", h.Anonymous)
	if err != nil {
		return setting.In("Anonymous", err)
	}
	config.Anonymous, c.anonymousKnown = anonymous, c.anonymousKnown && known
	config.ForwardToken, config.Optional, config.AllowPreflight = h.ForwardToken, h.Optional, h.AllowPreflight
	config.OptionalExpired, config.ConsumerHeaders = h.OptionalExpired, h.ConsumerHeaders
	if h.ConsumerHeaders != nil && len(h.ConsumerHeaders) == 0 { // for the gate, an empty list means all
		return setting.Errorf("ConsumerHeaders",
			"consumer_headers is an empty list: leave it out to send all of them, or write \"off\" to send none")
	}
	config.ExposeToken = h.ExposeToken
	config.ForwardPayload, config.PadPayload = h.ForwardPayload, h.PadPayload
	if config.Public, err = h.compilePublic(); err != nil {
		return err
	}
	if err := h.checkEndAtExpiry(); err != nil {
		return err
	}
	c.endAtExpiry = h.EndAtExpiry
	return setting.In("ErrorFormat", problem.CheckFormat(h.ErrorFormat))
}

// compile checks one value for the backend. The field is that of its path.
func (f *forwarding) compile(field, path, header, as string) (gate.Forward, error) {
	to, err := require.ClaimPath(f.word, path)
	if err != nil {
		return gate.Forward{}, setting.In(field, err)
	}
	encoding, known := claims.ParseEncoding(as)
	if !known {
		return gate.Forward{}, setting.Errorf("As", "%s %s %s %s: expected %s", f.word, header, path, as,
			words.Alternatives(claims.Encodings()))
	}
	return gate.Forward{Path: to, Header: header, As: encoding}, nil
}

func (r *RouteIntrospect) compile() (gate.RouteAsking, error) {
	var out gate.RouteAsking
	switch r.Mode {
	case "":
	case "force":
		out.Mode = gate.RouteForce
	case "skip":
		out.Mode = gate.RouteSkip
	default:
		return out, setting.Errorf("Mode", "introspect %q: expected force or skip", r.Mode)
	}
	if out.MaxAge = (*time.Duration)(r.MaxAge); r.Mode == "" && r.MaxAge == nil {
		return out, errors.New("introspect says nothing: leave it out, or add force, skip or max_age")
	}
	return out, nil
}
