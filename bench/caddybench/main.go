// Command caddybench is Caddy with its standard modules, the token gate, a
// handler that does nothing, and one that checks a signature and nothing else.
// All Caddys of the comparison are this one program, so that they differ in
// their configuration and in nothing else: not in their versions, nor in how
// the linker happened to lay them out.
package main

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddyjwt/gateway"
)

func main() { caddycmd.Main() }

func init() {
	caddy.RegisterModule(noop{})
	httpcaddyfile.RegisterHandlerDirective("noop", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return noop{}, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("noop", httpcaddyfile.Before, "basic_auth")
}

// noop is what any handler costs that is in the chain at all.
type noop struct{}

// CaddyModule returns the Caddy module information.
func (noop) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.noop", New: func() caddy.Module { return new(noop) }}
}

// ServeHTTP does nothing.
func (noop) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}
