package issuers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyjwt/gateway/caddyjwt/backchannel"
	"github.com/caddyjwt/gateway/caddyjwt/decryption"
	"github.com/caddyjwt/gateway/caddyjwt/require"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/claims"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
	"github.com/caddyjwt/gateway/internal/setting"
	"github.com/caddyjwt/gateway/introspect"
)

// Plan is an issuer whose settings have been checked, with what is needed to open its keys and its client.
type Plan struct {
	Issuer   gate.Issuer // without what must be opened
	Server   Server
	Sources  []Source // of keys: at least one
	Asking   *Asking  // nil if the server is never asked
	Prefetch bool     // fetch before the first request

	Decryption *decryption.Plan // nil without decrypt

	Logout *backchannel.Plan // nil without backchannel_logout
}

// Compile resolves placeholders and checks every setting on its own. leeway is that of the handler.
func (i *Issuer) Compile(s *words.Settings, leeway time.Duration) (Plan, error) {
	var plan Plan
	name, known, err := s.Text("issuer", i.Issuer)
	if err != nil {
		return plan, setting.In("Issuer", err)
	}
	if name == "" {
		return plan, setting.Errorf("Issuer", "an issuer has no name: give the exact value of the tokens' iss")
	}
	if !utf8.ValidString(name) { // it could not be the label of a metric either
		return plan, setting.Errorf("Issuer", "issuer %q: the name is not UTF-8, so no token can have it", name)
	}
	plan.Issuer.Name = name
	plan.Server.Issuer, plan.Server.IssuerKnown = name, known
	plan.Prefetch = i.Prefetch
	if err := i.compileRules(s, &plan.Issuer, leeway); err != nil {
		return plan, fmt.Errorf("issuer %q: %w", name, err)
	}
	if err := i.compileTenants(s, &plan, known); err != nil {
		return plan, fmt.Errorf("issuer %q: %w", name, err)
	}
	if err := i.compileKeys(s, &plan); err != nil {
		return plan, fmt.Errorf("issuer %q: %w", name, err)
	}
	if err := i.compileLocal(&plan); err != nil {
		return plan, fmt.Errorf("issuer %q: %w", name, err)
	}
	if err := i.compileDecrypt(s, &plan); err != nil {
		return plan, fmt.Errorf("issuer %q: %w", name, err)
	}
	if err := i.checkTenants(&plan); err != nil {
		return plan, fmt.Errorf("issuer %q: %w", name, err)
	}
	if err := i.compileLogout(s, &plan); err != nil {
		return plan, fmt.Errorf("issuer %q: %w", name, err)
	}
	if i.Introspect != nil {
		if plan.Asking, err = i.Introspect.compile(s, i, &plan); err != nil {
			return plan, fmt.Errorf("issuer %q: introspect: %w", name, setting.In("Introspect", err))
		}
	}
	if err := i.checkPlainHTTP(&plan); err != nil {
		return plan, fmt.Errorf("issuer %q: %w", name, err)
	}
	return plan, nil
}

// compileDecrypt handles encrypted tokens. What is inside of them must be verified here.
func (i *Issuer) compileDecrypt(s *words.Settings, plan *Plan) (err error) {
	switch {
	case i.Decrypt == nil:
		return nil
	case !plan.Verifies():
		return setting.Errorf("Decrypt", "decrypt: what is inside of an encrypted token must be verified here, and keys %s "+
			"verifies nothing: name another source of keys, or leave such tokens to the server", plan.KeysFrom())
	case plan.Issuer.Local:
		return setting.Errorf("Decrypt", "decrypt: a token_issuer of this Caddy encrypts nothing: remove it")
	}
	if plan.Decryption, err = i.Decrypt.Compile(s); err != nil {
		return setting.In("Decrypt", err)
	}
	plan.Issuer.Decrypt = plan.Decryption.Open(nil)
	return nil
}

// compileRules handles what the issuer's tokens must satisfy.
func (i *Issuer) compileRules(s *words.Settings, out *gate.Issuer, leeway time.Duration) (err error) {
	if out.Audience, err = CompileAudience(s, i.Audience, i.AnyAudience); err != nil {
		return err
	}
	if out.Types, err = normalTypes(i.Types); err != nil {
		return setting.In("Types", err)
	}
	switch i.Profile {
	case "":
	case "rfc9068":
		out.AccessTokenProfile = true
		if len(out.Types) > 0 && !slices.Contains(out.Types, "at+jwt") {
			return setting.Errorf("Types", "type %q contradicts profile rfc9068, which requires at+jwt", i.Types)
		}
	default:
		return setting.Errorf("Profile", "unknown profile %q; the only one is rfc9068", i.Profile)
	}
	if out.RequiredClaims, err = require.ClaimPaths("required_claims", i.RequiredClaims); err != nil {
		return setting.In("RequiredClaims", err)
	}
	if err = words.NotEmpty("tolerate", i.Tolerate); err != nil {
		return setting.In("Tolerate", err)
	}
	if out.Tolerate, err = claims.ParseTolerance(i.Tolerate); err != nil {
		return setting.Errorf("Tolerate", "tolerate: %w", err)
	}
	if out.GroupClaims, err = require.ClaimPaths("group_claim", i.GroupClaims); err != nil {
		return setting.In("GroupClaims", err)
	}
	if out.Revocation, err = i.Revocation.Compile(); err != nil {
		return setting.In("Revocation", err)
	}
	if err = i.compileNames(out); err != nil {
		return err
	}
	out.MaxLifetime, out.Leeway = time.Duration(i.MaxLifetime), leeway
	if i.Leeway != nil {
		out.Leeway = time.Duration(*i.Leeway)
	}
	return nil
}

// compileNames handles which claim names the caller.
func (i *Issuer) compileNames(out *gate.Issuer) (err error) {
	switch i.ConsumerBy {
	case "", "username":
	case "custom_id":
		out.ConsumerBy = gate.ByCustomID
	default:
		return setting.Errorf("ConsumerBy", "consumer_by %q: expected username or custom_id", i.ConsumerBy)
	}
	switch {
	case i.ConsumerClaim == "" && i.ConsumerBy != "":
		return setting.Errorf("ConsumerBy",
			"consumer_by says how consumer_claim finds a consumer, and there is none: add consumer_claim, or remove it")
	case i.ConsumerClaim != "" && i.UsernameClaim != "":
		return setting.Errorf("UsernameClaim", "consumer_claim and username_claim exclude each other: the caller is a "+
			"consumer of this gate, or has a name from the server; remove one of the two")
	case i.ConsumerClaim != "" && len(i.GroupClaims) > 0:
		return setting.Errorf("GroupClaims", "group_claim has no effect beside consumer_claim: the groups are those of the "+
			"consumer; remove one of the two")
	case i.ConsumerClaim != "":
		out.ConsumerClaim, err = require.ClaimPath("consumer_claim", i.ConsumerClaim)
		return setting.In("ConsumerClaim", err)
	case i.UsernameClaim != "":
		out.UsernameClaim, err = require.ClaimPath("username_claim", i.UsernameClaim)
		return setting.In("UsernameClaim", err)
	}
	return nil
}

// compileLogout handles where the server tells that a session has ended. Keys must have been compiled.
func (i *Issuer) compileLogout(s *words.Settings, plan *Plan) (err error) {
	switch {
	case i.BackchannelLogout == nil:
		return nil
	case plan.Issuer.Tenants != nil:
		err = errors.New("it is not for an issuer with \"*\": write a block for the issuer of each tenant")
	case !plan.Verifies():
		err = errors.New("the server signs logout tokens, and the gate has no keys to verify them: write keys discovery or " +
			"keys jwks <url>")
	case plan.Issuer.Algorithms.Intersect(jose.HMACAlgorithms()) != 0 &&
		plan.Issuer.Algorithms.Intersect(jose.AsymmetricAlgorithms()) != 0:
		err = errors.New("the issuer has both secrets and public keys, and a logout token must not choose between them: " +
			"remove one of the two kinds")
	case plan.Issuer.Revocation.Off:
		err = errors.New("no token of the issuer can be revoked: remove \"revocation off\"")
	default:
		plan.Logout, err = i.BackchannelLogout.Compile(s)
		return setting.In("BackchannelLogout", err)
	}
	return setting.In("BackchannelLogout", fmt.Errorf("backchannel_logout: %w", err))
}

// normalTypes brings typ values into the form in which a token's header is read.
func normalTypes(types []string) ([]string, error) {
	if err := words.NotEmpty("type", types); err != nil {
		return nil, err
	}
	out := make([]string, 0, len(types))
	for n, typ := range types {
		if err := words.Literal("type", typ); err != nil {
			return nil, setting.In(setting.Element("", n), err)
		}
		typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
		if typ == "" || slices.Contains(out, typ) {
			return nil, setting.Errorf(setting.Element("", n), "type %q is empty or given twice", typ)
		}
		out = append(out, typ)
	}
	return out, nil
}

// IntrospectsOpaque reports whether the server is asked about opaque tokens by introspection. A UserInfo endpoint does
// not count: it takes only access tokens (OpenID Connect Core 1.0 section 5.3.1).
func (p *Plan) IntrospectsOpaque() bool {
	in := p.Asking
	return in != nil && in.Mode != gate.AskJWTs && in.Client.Mode == introspect.Introspection
}
