// Package tokenissuer is the Caddy module http.handlers.token_issuer. It gives tokens out: users sign in with a
// password, and get an access token and a refresh token for one application. A gate of the same Caddy accepts the
// access tokens. It brings routes of Caddy's admin endpoint, and the command "caddy token-issuer".
package tokenissuer

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	_ "github.com/caddyjwt/gateway/caddyjwt" // registers the app bearer_auth, which has the store
	"github.com/caddyjwt/gateway/caddyjwt/cors"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/localissuer"
	"github.com/caddyjwt/gateway/caddyjwt/onheader"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/people"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/trusted"
	"github.com/caddyjwt/gateway/caddyjwt/words"

	// Registers the command.
	_ "github.com/caddyjwt/gateway/caddyjwt/tokenissuer/command"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler gives out tokens for applications behind this Caddy. For each application it answers four addresses: login,
// refresh, logout and revoke. An access token is a signed JWT for that application alone, and "keys local" in a
// bearer_auth accepts it. A refresh token is opaque, and good for one use. Programs get tokens in their own name at an
// OAuth 2.0 token endpoint. Requests to all other addresses go on to the next handler.
//
// Sessions and revoked tokens are kept in the store of the global option bearer_auth. If that names none, it is the
// file bearer_auth/store.db in Caddy's data directory. Keys are kept in Caddy's storage.
type Handler struct {
	// Name of the issuer: the claim iss of the tokens. Required. With the URL of the site, other verifiers find the keys.
	// Placeholders are resolved.
	Issuer string `json:"issuer"`
	// Users who may sign in to the applications, with their passwords as hashes. Default: none but those of users_from.
	Users []people.User `json:"users,omitempty"`
	// Further users, at most one of each kind. The first one that has a name decides about it, after the users here.
	// Default: none.
	UsersFrom []people.Source `json:"users_from,omitempty"`
	// Applications that tokens are issued for. At least one is required, or a client.
	Apps []applications.App `json:"apps,omitempty"`
	// OAuth clients: programs that get tokens in their own name, or that ask about tokens. Default: none but the
	// applications, each of which is a public client with its path as the client_id.
	Clients []registration.Client `json:"clients,omitempty"`
	// Path of a JSON file with further clients, with the member clients as here. It is read again when it changes.
	// Placeholders are resolved. Default: none.
	ClientsFile string `json:"clients_file,omitempty"`
	// Other issuers, whose tokens clients can hand in for tokens of this one: see exchange of a client. They are as in a
	// bearer_auth. Default: none; clients can exchange the tokens of this issuer alone.
	Issuers []issuers.Issuer `json:"issuers,omitempty"`
	// What the tokens of clients are for that do not say: the claim aud. Placeholders are resolved. Default: the only
	// audience of the client.
	DefaultAudience string `json:"default_audience,omitempty"`
	// Paths of the addresses for OAuth clients. Default: those below /oauth2/, after the path of the issuer's name.
	OAuthEndpoints *OAuthEndpoints `json:"oauth_endpoints,omitempty"`
	// Algorithm of the signatures: "ES256", "RS256", "PS256" or "EdDSA". After a change, tokens that were signed before
	// are good until they expire. Default: "ES256".
	Algorithm string `json:"algorithm,omitempty"`
	// Let pages of other origins sign in and refresh, and read the answers (CORS). It is about the addresses of this
	// handler alone: the gate has settings of its own. Default: only pages of the same origin can read the answers.
	CORS *cors.Config `json:"cors,omitempty"`

	built    *compiled
	issuer   *issuer
	noOwners func()   // takes the owners back from the app's revocations
	last     []func() // for Cleanup
	logger   *zap.Logger
}

// OAuthEndpoints are paths of addresses for OAuth clients, as clients send them. Their names are letters, digits and
// -._~@.
type OAuthEndpoints struct {
	// Where clients get tokens (RFC 6749). Default: "/oauth2/token".
	Token string `json:"token,omitempty"`
	// Where resource servers ask about tokens (RFC 7662). Default: "/oauth2/introspection".
	Introspection string `json:"introspection,omitempty"`
	// Where clients revoke their tokens (RFC 7009). Default: "/oauth2/revocation".
	Revocation string `json:"revocation,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.token_issuer",
		New: func() caddy.Module { return new(Handler) },
	}
}

// app is what the handler needs of the app bearer_auth.
type app interface {
	TokenIssuers() *localissuer.Registry
	Revocations() *revocations.Revocations
	// PrefetchesAll reports whether keys are fetched before the first request, and InForce has something done when the
	// configuration is in force.
	PrefetchesAll() bool
	InForce(do func())
}

// Provision checks the settings and prepares the issuer. It begins its work when the app bearer_auth starts: until
// then, the configuration may only be validated, while another Caddy uses the same store.
func (h *Handler) Provision(ctx caddy.Context) (err error) {
	h.logger = ctx.Logger()
	if h.built, err = h.compile(words.NewSettings()); err != nil {
		return err
	}
	module, err := ctx.App("bearer_auth")
	if err != nil {
		return err
	}
	shared, is := module.(app)
	if !is { // another version of the app
		return fmt.Errorf("the app bearer_auth is a %T, which knows no token issuers", module)
	}
	if err := shared.Revocations().Need(); err != nil {
		return err
	}
	h.warnOfProxies(ctx)
	if h.CORS != nil {
		onheader.PrepareErrorRoutes(ctx)
	}
	if err := registerMetrics(ctx.GetMetricsRegistry(), h.built.name); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	if h.issuer, err = newIssuer(ctx, h.built, shared.Revocations(), h.logger); err != nil {
		return err
	}
	if err := h.openJudge(ctx, shared); err != nil {
		return err
	}
	shared.InForce(func() { h.warnOfShadow(ctx) })
	h.noOwners = shared.Revocations().AddOwners(append(h.issuer.judge.Gate().Owners(),
		h.built.owners(h.built.longest())...))
	return shared.TokenIssuers().Add(h.issuer)
}

// openJudge makes what judges tokens of others.
func (h *Handler) openJudge(ctx caddy.Context, shared app) (err error) {
	o := trusted.Opener{
		Opener: issuers.Opener{Shared: process.Shared(), PrefetchAll: shared.PrefetchesAll(), Local: shared.TokenIssuers()},
		Report: func(err error) { h.logger.Error("closing the keys of other issuers", zap.Error(err)) },
	}
	if o.Revocations, o.OnlyLocalRevoked, err = shared.Revocations().ForGate(true); err != nil {
		return err
	}
	if h.issuer.judge, err = h.built.trusted.Open(o); err != nil {
		return err
	}
	noEvents, err := o.Shared.Events.Listen(ctx, h.issuer.judge.Lease())
	if err != nil {
		return err
	}
	early, cancel := context.WithCancel(context.Background())
	h.last = append(h.last, noEvents, cancel)
	shared.InForce(func() { h.issuer.judge.Prefetch(early) })
	return nil
}

// warnOfProxies warns where anybody can choose the address that wrong passwords count for.
func (h *Handler) warnOfProxies(ctx caddy.Context) {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if server != nil && server.TrustedProxiesRaw != nil && server.TrustedProxiesStrict == 0 {
		h.logger.Warn("trusted_proxies without trusted_proxies_strict: clients choose the address that their wrong " +
			"passwords count for; add trusted_proxies_strict to the global option servers")
	}
}

// Cleanup ends the issuer. Late requests still get their answers.
func (h *Handler) Cleanup() (err error) {
	if h.noOwners != nil {
		h.noOwners()
		h.noOwners = nil
	}
	for _, end := range h.last {
		end()
	}
	h.last = nil
	if h.issuer != nil {
		err = errors.Join(err, h.issuer.Close())
	}
	return err
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
