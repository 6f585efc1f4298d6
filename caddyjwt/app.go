package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/backchannel"
	"github.com/caddyjwt/gateway/caddyjwt/inforce"
	"github.com/caddyjwt/gateway/caddyjwt/localissuer"
	"github.com/caddyjwt/gateway/caddyjwt/process"
	"github.com/caddyjwt/gateway/caddyjwt/proofs"
	"github.com/caddyjwt/gateway/caddyjwt/protected"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/caddyjwt/startup"
	"github.com/caddyjwt/gateway/caddyjwt/words"
)

func init() {
	caddy.RegisterModule(new(App))
	httpcaddyfile.RegisterGlobalOption("bearer_auth", parseGlobalOption)
}

// App is what all bearer_auth handlers of a configuration have in common. A configuration needs to name it only to
// change its settings: handlers load it themselves.
type App struct {
	// Fetch the keys and metadata of all issuers in the background as soon as the configuration is in force, as prefetch
	// of an issuer does for one. Default: what the issuer says.
	Prefetch bool `json:"prefetch,omitempty"`

	// Where revoked tokens are kept. With a store, tokens can be revoked before they expire: those of consumers, and those
	// of each issuer that does not say otherwise. For all of them max_lifetime must be set, since a revocation is kept for
	// as long as the token could live. Default: no token can be revoked.
	Store *revocations.Store `json:"store,omitempty"`

	// How long after the last contact with a store of the kind "redis" it still counts as known which tokens are revoked:
	// 2s or more. The store is asked every second. Only with that kind. Default: 10s.
	MaxUnsynced caddy.Duration `json:"max_unsynced,omitempty"`

	// What becomes of tokens that can be revoked when a store of the kind "redis" was out of reach for that long.
	// "refuse": they get 503 until it is back. "accept": they are judged by what this Caddy knows. Dangerous: tokens that
	// were revoked at another Caddy meanwhile pass; after a start without the store, all revoked tokens do. Only with that
	// kind. Default: "refuse".
	OnUnsynced string `json:"on_unsynced,omitempty"`

	startup     startup.Startup
	gates       inforce.Gates
	resources   protected.Registry
	logouts     backchannel.Registry
	revocations revocations.Revocations
	local       localissuer.Registry
	proofs      proofs.Common
	ctx         caddy.Context
	shared      *process.State // nil means process.Shared
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "bearer_auth",
		New: func() caddy.Module { return new(App) },
	}
}

// appOf is the app of the configuration that a module is provisioned for. Caddy also starts apps that were loaded in
// this way.
func appOf(ctx caddy.Context) (*App, error) {
	app, err := ctx.App("bearer_auth")
	if err != nil {
		return nil, err
	}
	return app.(*App), nil
}

// Provision prepares what happens when the configuration is in force.
func (a *App) Provision(ctx caddy.Context) error {
	logger := ctx.Logger()
	a.startup.Do(a.revocations.InForce)
	a.ctx = ctx
	a.startup.Do(func() { a.resources.WarnOfUnserved(ctx, logger) })
	a.startup.Do(func() { a.logouts.WarnOfUnserved(ctx, logger) })
	if a.shared == nil {
		a.shared = process.Shared()
	}
	a.gates.Provision(ctx, a.shared.Gates)
	a.startup.Do(func() { a.shared.Gates.Begin(&a.gates) })
	if err := a.revocations.Provision(ctx, a.RevocationSettings(), a.shared.Revocations, a.shared.Pool); err != nil {
		return err
	}
	return a.startup.Provision(ctx)
}

// Start implements caddy.App. All gates have been provisioned by now. For what waits longer, see package startup.
func (a *App) Start() error {
	if err := a.resources.Finish(); err != nil {
		return err
	}
	if err := a.logouts.Finish(a.ctx); err != nil {
		return err
	}
	if err := a.revocations.Start(); err != nil {
		return err
	}
	return a.local.Start()
}

// TokenIssuers are those of the configuration, for the handlers that issue tokens.
func (a *App) TokenIssuers() *localissuer.Registry { return &a.local }

// Revocations are those of the configuration, for the handlers that issue tokens.
func (a *App) Revocations() *revocations.Revocations { return &a.revocations }

// PrefetchesAll reports whether the keys of all issuers are fetched before the first request.
func (a *App) PrefetchesAll() bool { return a.Prefetch }

// InForce has something done when the configuration is in force.
func (a *App) InForce(do func()) { a.startup.Do(do) }

// Resources are those of the configuration, for the handlers that serve their metadata.
func (a *App) Resources() *protected.Registry { return &a.resources }

// Logouts are the receivers of the configuration, for the handlers that answer logout requests.
func (a *App) Logouts() *backchannel.Registry { return &a.logouts }

// Stop implements caddy.App. Caddy calls it when the next configuration has started.
func (a *App) Stop() error {
	a.startup.Stop()
	a.shared.Gates.End(&a.gates)
	return a.revocations.Stop()
}

// globalOption has the words of the global option.
var globalOption = words.Directive[App]{Table: &words.Table[App]{Name: "bearer_auth", Words: []words.Word[App]{
	{Name: "prefetch", Reader: words.Flag(func(a *App) *bool { return &a.Prefetch })},
	{Name: "store", Usage: revocations.StoreUsage,
		Reader: words.WithBlock(words.Custom(
			func(b *words.Block, a *App) error { return revocations.ReadStore(b, &a.Store) },
			func(a *App) []any { return []any{&a.Store} }), &revocations.StoreTable)},
	{Name: "max_unsynced", Usage: []string{"<duration>"},
		Reader: words.Duration(func(a *App) *caddy.Duration { return &a.MaxUnsynced })},
	{Name: "on_unsynced", Usage: []string{"refuse|accept"},
		Reader: words.Text(func(a *App) *string { return &a.OnUnsynced })},
}}}

// RevocationSettings are what the option says about revoked tokens.
func (a *App) RevocationSettings() revocations.Settings {
	return revocations.Settings{Store: a.Store, MaxUnsynced: a.MaxUnsynced, OnUnsynced: a.OnUnsynced}
}

// UnmarshalCaddyfile sets up the app from the global option. Syntax:
//
//	{
//	    bearer_auth {
//	        prefetch
//	        store memory
//	        store file [<path>]
//	        store redis <url> {
//	            key           <hex>
//	            prefix        <text>
//	            wait_replicas <n>
//	            sentinel_user <name>
//	            sentinel_password <password>
//	            tls {
//	                ca          <file...>
//	                client_cert <file>
//	                client_key  <file>
//	                server_name <name>
//	                pin         <sha256...>
//	            }
//	        }
//	        max_unsynced <duration>
//	        on_unsynced  refuse|accept
//	    }
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option
	lines, err := globalOption.Read(d, a)
	if err != nil {
		return err
	}
	return lines.Wrap(a.RevocationSettings().Check())
}

func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next()
		return nil, d.Err("the global option bearer_auth is given twice: put all its settings into one block")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "bearer_auth", Value: caddyconfig.JSON(app, nil)}, nil
}

// Interface guards.
var (
	_ caddy.App             = (*App)(nil)
	_ caddy.Provisioner     = (*App)(nil)
	_ caddyfile.Unmarshaler = (*App)(nil)
)
