package tokenissuer

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/facts"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/applications"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/wellknown"
	"github.com/caddyjwt/gateway/internal/apppath"
	"github.com/caddyjwt/gateway/internal/issuing"
	"github.com/caddyjwt/gateway/internal/setting"
)

// endpoint is an address that the issuer answers.
type endpoint struct {
	path  string
	name  string                    // as metrics call it
	app   *applications.Application // nil for the addresses of OAuth clients
	serve func(*call) error         // has written an answer unless it returns an error
}

// The names of endpoints, as metrics call them.
const (
	endpointLogin         = "login"
	endpointRefresh       = "refresh"
	endpointLogout        = "logout"
	endpointRevoke        = "revoke"
	endpointToken         = "token"
	endpointIntrospection = "introspection"
	endpointRevocation    = "revocation"
)

// endpointNames lists them.
var endpointNames = []string{
	endpointLogin, endpointRefresh, endpointLogout, endpointRevoke,
	endpointToken, endpointIntrospection, endpointRevocation,
}

// realm is what the challenges of the endpoint are about.
func (e *endpoint) realm(issuer string) string {
	if e.app == nil {
		return issuer
	}
	return e.app.Path
}

// addEndpoints adds the addresses of all applications, and those of OAuth clients.
func (c *compiled) addEndpoints(oauth *OAuthEndpoints) error {
	for _, app := range c.apps {
		at := app.Endpoints
		c.endpoints = append(c.endpoints,
			endpoint{app.Path + at.Login, endpointLogin, app, login},
			endpoint{app.Path + at.Refresh, endpointRefresh, app, refresh},
			endpoint{app.Path + at.Logout, endpointLogout, app, logout},
			endpoint{app.Path + at.Revoke, endpointRevoke, app, revokePair})
	}
	own, err := oauth.compile(c.name)
	if err != nil {
		return setting.In("OAuthEndpoints", err)
	}
	c.oauth = own
	c.endpoints = append(c.endpoints,
		endpoint{own.Token, endpointToken, nil, giveTokens},
		endpoint{own.Introspection, endpointIntrospection, nil, introspectToken},
		endpoint{own.Revocation, endpointRevocation, nil, revokeToken})
	c.byPath = make(map[string]*endpoint)
	for i := range c.endpoints {
		at := &c.endpoints[i]
		if c.byPath[at.path] != nil || slices.Contains(c.documents, at.path) {
			return setting.Errorf("OAuthEndpoints", "oauth_endpoints: %s is the address of two things: give one of them "+
				"another path", at.path)
		}
		c.byPath[at.path] = at
	}
	return nil
}

// compile checks the paths, and adds the defaults.
func (e *OAuthEndpoints) compile(issuer string) (OAuthEndpoints, error) {
	if e == nil {
		e = new(OAuthEndpoints)
	}
	before, _ := wellknown.PlaceOf(issuer)
	if apppath.Check(before+"/") != nil { // nobody could write a path below it exactly
		before = ""
	}
	all := OAuthEndpoints{
		Token:         cmp.Or(e.Token, before+"/oauth2/token"),
		Introspection: cmp.Or(e.Introspection, before+"/oauth2/introspection"),
		Revocation:    cmp.Or(e.Revocation, before+"/oauth2/revocation"),
	}
	for _, of := range []struct{ field, path string }{
		{"Token", all.Token}, {"Introspection", all.Introspection}, {"Revocation", all.Revocation},
	} {
		if err := apppath.Check(of.path + "/"); err != nil || strings.HasSuffix(of.path, "/") {
			return all, setting.Errorf(of.field, "oauth_endpoints %s %q: write a path such as /oauth2/token, whose names have "+
				"only letters, digits and -._~@", strings.ToLower(of.field), of.path)
		}
	}
	return all, nil
}

// addresses are the paths of all endpoints, in their order.
func (c *compiled) addresses() (all []string) {
	for i := range c.endpoints {
		all = append(all, c.endpoints[i].path)
	}
	return all
}

// nearby are paths that some reader may take for those of endpoints, and paths that clients of other servers use.
type nearby struct {
	paths apppath.Addresses
	of    []*endpoint // each path's
}

// otherNames are the last names of paths in the examples of RFC 7662 section 2.1 and RFC 7009 section 2.1. Many servers
// have them.
var otherNames = map[string]string{endpointIntrospection: "introspect", endpointRevocation: "revoke"}

// nearby has the paths of all endpoints first: so a path that is almost one of them is never taken for another one's.
func (c *compiled) nearby() nearby {
	paths := c.addresses()
	var of, others []*endpoint
	for i := range c.endpoints {
		at := &c.endpoints[i]
		of = append(of, at)
		if other := otherNames[at.name]; other != "" {
			paths, others = append(paths, path.Join(path.Dir(at.path), other)), append(others, at)
		}
	}
	return nearby{apppath.NewAddresses(paths), append(of, others...)}
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

// misspelt is an endpoint that a request is almost for, which refuses it; nil for none.
func (i *issuer) misspelt(r *http.Request) *endpoint {
	n := i.near.paths.Astray(r, facts.Of(r).Target())
	if n < 0 {
		return nil
	}
	astray := *i.near.of[n]
	failure := &issuing.Failure{Status: http.StatusNotFound, Code: issuing.InvalidRequest, Cause: errMisspelt,
		Text: "this is almost the address " + astray.path + " of the token issuer: write it exactly so"}
	astray.serve = func(*call) error { return failure }
	return &astray
}

var errMisspelt = errors.New("the path is almost that of an address")
