// Package tokenissuer is the Caddy module http.handlers.token_issuer. It gives tokens out: users sign in with a
// password, and get an access token and a refresh token for one application. A gate of the same Caddy accepts the
// access tokens. It brings routes of Caddy's admin endpoint, and the command "caddy token-issuer".
package tokenissuer

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	_ "github.com/caddyjwt/gateway/caddyjwt" // registers the app bearer_auth, which has the store
	"github.com/caddyjwt/gateway/caddyjwt/cors"
	"github.com/caddyjwt/gateway/caddyjwt/localissuer"
	"github.com/caddyjwt/gateway/caddyjwt/onheader"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/people"
	"github.com/caddyjwt/gateway/caddyjwt/words"

	// Registers the command.
	_ "github.com/caddyjwt/gateway/caddyjwt/tokenissuer/command"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// Handler gives out tokens for applications behind this Caddy. For each application it answers four addresses: login,
// refresh, logout and revoke. An access token is a signed JWT for that application alone, and "keys local" in a
// bearer_auth accepts it. A refresh token is opaque, and good for one use. Requests to all other addresses go on to the
// next handler.
//
// Sessions and revoked tokens are kept in the store of the global option bearer_auth. If that names none, it is the
// file bearer_auth/store.db in Caddy's data directory. Keys are kept in Caddy's storage.
type Handler struct {
	// Name of the issuer: the claim iss of the tokens. Required. With the URL of the site, other verifiers find the keys.
	// Placeholders are resolved.
	Issuer string `json:"issuer"`
	// Users who may sign in, with their passwords as hashes. Default: none but those of users_from.
	Users []people.User `json:"users,omitempty"`
	// Further users, at most one of each kind. The first one that has a name decides about it, after the users here.
	// Default: none.
	UsersFrom []people.Source `json:"users_from,omitempty"`
	// Applications that tokens are issued for. At least one is required.
	Apps []App `json:"apps,omitempty"`
	// Algorithm of the signatures: "ES256", "RS256", "PS256" or "EdDSA". After a change, tokens that were signed before
	// are good until they expire. Default: "ES256".
	Algorithm string `json:"algorithm,omitempty"`
	// Let pages of other origins sign in and refresh, and read the answers (CORS). It is about the addresses of this
	// handler alone: the gate has settings of its own. Default: only pages of the same origin can read the answers.
	CORS *cors.Config `json:"cors,omitempty"`

	built    *compiled
	issuer   *issuer
	noOwners func() // takes the issuer's owner back from the app's revocations
	logger   *zap.Logger
}

// App is an application, that is, everything below a path.
type App struct {
	// Path that the application's addresses begin with, such as "/api/orders/", as clients send it. The addresses of this
	// handler are below it, and an access token is good below it alone. Placeholders are not resolved.
	Path string `json:"path"`
	// The claim aud of the access tokens. Default: the name of the issuer. Placeholders are resolved.
	Audience []string `json:"audience,omitempty"`
	// How long an access token lives: whole seconds, from 10s to 24h. Default: 60s.
	AccessLifetime caddy.Duration `json:"access_lifetime,omitempty"`
	// How long a refresh token is good for its one use, and so how long a session lives without a request: not less than
	// access_lifetime, at most 90 days. Default: 15m.
	RefreshLifetime caddy.Duration `json:"refresh_lifetime,omitempty"`
	// How long a session lasts at most, however often it is refreshed: not less than refresh_lifetime, at most 365 days.
	// Default: 24h, or refresh_lifetime if that is longer.
	SessionLifetime caddy.Duration `json:"session_lifetime,omitempty"`
	// How long a refresh token that was just used gets the same new pair once more, until that is used: at most 1m. It is
	// for pages in two tabs, and for answers that got lost. Whoever has stolen the old token can use it for as long, too:
	// it is a window for replay. Default: 0s, which ends the session when a refresh token comes for the second time.
	Grace caddy.Duration `json:"grace,omitempty"`
	// Sessions that end together at logout, as Group-By-ID of InterSystems IRIS has it. Default: each one alone.
	GroupBy *GroupBy `json:"group_by,omitempty"`
	// Names of the addresses below the path. Default: login, refresh, logout and revoke.
	Endpoints *Endpoints `json:"endpoints,omitempty"`
	// Make answers and tokens more like those of others. "oauth" adds token_type and expires_in to the answer. "iris"
	// gives access tokens the typ "JWT" in place of "at+jwt" (RFC 9068). Default: neither.
	Compat string `json:"compat,omitempty"`
	// Further claims of access tokens, by name. They take the place of those of users. Placeholders are resolved at each
	// sign-in and refresh; of those of requests, clients may choose what they are, and only http.vars, http.auth and
	// http.request.remote are possible. One that becomes empty is left out. At most 16, with up to 1 KiB each. Default:
	// none.
	Claims map[string]string `json:"claims,omitempty"`
	// Further members of the JOSE header of access tokens, with their texts. They cannot have a name that RFC 7515, 7516
	// or 7797 gives a meaning. At most 8, with 2 KiB in sum. Default: none.
	Header map[string]string `json:"header,omitempty"`
}

// Endpoints are names of addresses below the path of an application: letters, digits and -._~@.
type Endpoints struct {
	// Where users sign in. Default: "login".
	Login string `json:"login,omitempty"`
	// Where a refresh token gets a new pair. Default: "refresh".
	Refresh string `json:"refresh,omitempty"`
	// Where a session ends. Default: "logout".
	Logout string `json:"logout,omitempty"`
	// Where a pair ends. Default: "revoke".
	Revoke string `json:"revoke,omitempty"`
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
	h.noOwners = shared.Revocations().AddOwners(h.built.owners(h.built.longest()))
	return shared.TokenIssuers().Add(h.issuer)
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
