package tokenissuer

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/facts"
	"github.com/caddyjwt/gateway/internal/issuing"
)

// inOrder are the endpoints in the order of Endpoints.names.
var inOrder = [...]string{endpointLogin, endpointRefresh, endpointLogout, endpointRevoke}

// names are the names of the addresses, in the order of inOrder.
func (e *Endpoints) names() [len(inOrder)]string {
	return [...]string{e.Login, e.Refresh, e.Logout, e.Revoke}
}

// addresses are those of all applications: of each, one for each of inOrder.
func (c *compiled) addresses() (all []string) {
	for _, app := range c.apps {
		for _, name := range app.endpoints.names() {
			all = append(all, app.path+name)
		}
	}
	return all
}

// inOriginForm is a request whose target is its path. Whoever judges a token compares it with the path.
func inOriginForm(r *http.Request, path string) *http.Request {
	original, _ := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	if strings.HasPrefix(original.RequestURI, "/") {
		return r
	}
	original.RequestURI = path
	return r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, original))
}

// misspelt finds the endpoint that a request is almost for, and what answers it; empty for none.
func (i *issuer) misspelt(r *http.Request) (app *application, at string, serve func(*call) error) {
	n := i.near.Astray(r, facts.Of(r).Target())
	if n < 0 {
		return nil, "", nil
	}
	app, n = i.apps[n/len(inOrder)], n%len(inOrder)
	failure := &issuing.Failure{Status: http.StatusNotFound, Code: issuing.InvalidRequest, Cause: errMisspelt,
		Text: "this is the address " + app.path + app.endpoints.names()[n] + " in another spelling: write it exactly so"}
	return app, inOrder[n], func(*call) error { return failure }
}

var errMisspelt = errors.New("the path is almost that of an address")
