package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/protected"
	"github.com/caddyjwt/gateway/caddyjwt/startup"
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

	startup   startup.Startup
	resources protected.Registry
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
	a.startup.Do(func() { a.resources.WarnOfUnserved(ctx, logger) })
	return a.startup.Provision(ctx)
}

// Start implements caddy.App. All gates have been provisioned by now. For what waits longer, see package startup.
func (a *App) Start() error { return a.resources.Finish() }

// Resources are those of the configuration, for the handlers that serve their metadata.
func (a *App) Resources() *protected.Registry { return &a.resources }

// Stop implements caddy.App. Caddy calls it when the next configuration has started.
func (a *App) Stop() error {
	a.startup.Stop()
	return nil
}

// UnmarshalCaddyfile sets up the app from the global option. Syntax:
//
//	{
//	    bearer_auth {
//	        prefetch
//	    }
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option
	if d.NextArg() {
		return d.Errf("the global option bearer_auth takes its settings in a block, not as arguments: %q", d.Val())
	}
	for d.NextBlock(0) {
		switch {
		case d.Val() != "prefetch":
			return d.Errf("unrecognized subdirective %q: the global option bearer_auth has only prefetch; the settings of a "+
				"gate go in the bearer_auth block of a site", d.Val())
		case a.Prefetch:
			return d.Err("prefetch is given twice: remove one of the two")
		case d.NextArg():
			return d.Errf("prefetch stands alone: remove %q", d.Val())
		}
		a.Prefetch = true
	}
	return nil
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
