package reach

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// effects are what Caddy's own handlers do, by their names, and those of ours that answer only at paths of their own.
var effects = map[string]Effect{
	"static_response": Ends,
	"error":           Ends,
	"metrics":         Ends,
	"file_server":     Ends, // unless it passes on what it does not find
	"reverse_proxy":   Ends, // unless it handles answers by routes, as forward_auth does

	"encode":       Passes,
	"headers":      Passes, // unless it changes the request: its host may be another one then
	"intercept":    Passes,
	"log_append":   Passes,
	"map":          Passes,
	"push":         Passes,
	"request_body": Passes,
	"templates":    Passes,
	"timeouts":     Passes,
	"tracing":      Passes,
	"vars":         Passes,

	"rewrite": Rewrites,

	"backchannel_logout": Passes,
	"protected_resource": Passes,
}

// effectOf is what a handler does as far as it is known.
func effectOf(handler caddyhttp.MiddlewareHandler) Effect {
	switch h := handler.(type) {
	case *fileserver.FileServer:
		if h.PassThru {
			return Perhaps
		}
	case *reverseproxy.Handler:
		if len(h.HandleResponse) > 0 {
			return Perhaps
		}
	case *headers.Handler:
		if h.Request != nil {
			return Rewrites
		}
	case *Written:
		return h.effect()
	}
	return effects[nameOf(handler)] // Perhaps for a name that is not in the list
}

// nameOf is the name of a handler in JSON.
func nameOf(handler caddyhttp.MiddlewareHandler) string {
	if written, is := handler.(*Written); is {
		return written.Name
	}
	module, is := handler.(caddy.Module)
	if !is {
		return ""
	}
	return strings.TrimPrefix(string(module.CaddyModule().ID), "http.handlers.")
}
