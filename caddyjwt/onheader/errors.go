package onheader

import (
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// failedVar is the variable of a request that has the change for its error route.
const failedVar = "bearer_auth.header_of_errors"

// Failed is Finish after an error. The error route then has a writer that its handler writes to directly. A reverse
// proxy there adds the fields of its backend to those that are set already. So the change is made once more, before the
// answer of the error route is sent. It must give the same when it is repeated.
func (w *Writer) Failed(r *http.Request) {
	w.Finish()
	caddyhttp.SetVar(r.Context(), failedVar, w.change)
}

// PrepareErrorRoutes makes the error routes of a server repeat the change of Failed. Call it while a handler of the
// server is provisioned. Caddy provisions error routes after all others, except for named ones: those that are invoked.
// Error routes of a subroute, which only JSON can have, are not among them. Calling it again, or from an error route,
// changes nothing.
func PrepareErrorRoutes(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Errors == nil {
		return
	}
	for i := range server.Errors.Routes {
		route := &server.Errors.Routes[i]
		if !slices.Contains(route.Handlers, caddyhttp.MiddlewareHandler(errorRoute{})) {
			route.Handlers = append([]caddyhttp.MiddlewareHandler{errorRoute{}}, route.Handlers...)
		}
	}
}

// errorRoute is the first handler of an error route. The configuration does not show it.
type errorRoute struct{}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (errorRoute) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	repeated, ok := caddyhttp.GetVar(r.Context(), failedVar).(change)
	if !ok {
		return next.ServeHTTP(w, r)
	}
	marked := WrapWithStatus(w, repeated)
	err := next.ServeHTTP(marked, r)
	marked.Finish()
	return err
}
