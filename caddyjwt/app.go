package caddyjwt

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	caddy.RegisterModule(new(App))
	httpcaddyfile.RegisterGlobalOption("bearer_auth", parseGlobalOption)
}

// App is what all bearer_auth handlers of a configuration have in common.
//
// It has no settings yet. Handlers work without it: a configuration needs this app only to change its settings.
type App struct{}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "bearer_auth",
		New: func() caddy.Module { return new(App) },
	}
}

// Start implements caddy.App. It is the place to open what must stay closed while a configuration is only validated:
// "caddy validate" provisions an app beside a running Caddy, but does not start it. Caddy starts apps in no fixed
// order, so requests may come before Start.
func (*App) Start() error { return nil }

// Stop implements caddy.App. Caddy calls it when the next configuration has started.
func (*App) Stop() error { return nil }

// UnmarshalCaddyfile sets up the app from the global option. Syntax:
//
//	{
//	    bearer_auth {
//	    }
//	}
func (*App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option
	if d.NextArg() {
		return d.Errf("the global option bearer_auth takes its settings in a block, not as arguments: %q", d.Val())
	}
	if d.NextBlock(0) {
		return d.Errf("unrecognized subdirective %q: the global option bearer_auth has no settings yet; those of a gate "+
			"go in the bearer_auth block of a site", d.Val())
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
	_ caddyfile.Unmarshaler = (*App)(nil)
)
