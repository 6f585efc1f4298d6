package tokenissuer

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/adminroute"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/orders"
	"github.com/caddyjwt/gateway/internal/keyring"
	"github.com/caddyjwt/gateway/internal/session"
)

func init() { caddy.RegisterModule(new(adminAPI)) }

// adminAPI adds routes to Caddy's admin endpoint:
//
//	GET    /token_issuer/issuers   the issuers that run
//	GET    /token_issuer/sessions  sessions: issuer, user, app, part
//	DELETE /token_issuer/sessions  ends sessions: orders.End
//	GET    /token_issuer/clients   the OAuth clients: issuer
//	GET    /token_issuer/keys      the keys: issuer
//	POST   /token_issuer/keys      changes them: orders.Change
//
// It holds nothing of a configuration, as that of package caddyjwt. Caddy itself checks who may ask.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (*adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.token_issuer",
		New: func() caddy.Module { return new(adminAPI) },
	}
}

// Routes implements caddy.AdminRouter.
func (*adminAPI) Routes() []caddy.AdminRoute {
	type answers = map[string]func(*http.Request) (any, error)
	return adminroute.Admin(
		adminroute.Route{Path: orders.IssuersPath, Status: statusOf, Answers: answers{http.MethodGet: showIssuers}},
		adminroute.Route{Path: orders.SessionsPath, Status: statusOf,
			Answers: answers{http.MethodGet: showSessions, http.MethodDelete: endSessions}},
		adminroute.Route{Path: orders.ClientsPath, Status: statusOf, Answers: answers{http.MethodGet: showClients}},
		adminroute.Route{Path: orders.KeysPath, Status: statusOf,
			Answers: answers{http.MethodGet: showKeys, http.MethodPost: changeKeys}},
	)
}

// statusOf is the status of an error.
func statusOf(err error) int {
	switch {
	case errors.Is(err, errWrongOrder), errors.Is(err, errWhichOne), errors.Is(err, session.ErrMalformed),
		errors.Is(err, session.ErrTerms):
		return http.StatusBadRequest
	case errors.Is(err, errNoIssuer):
		return http.StatusNotFound
	case errors.Is(err, keyring.ErrTooMany):
		return http.StatusConflict
	}
	return http.StatusServiceUnavailable // store or storage
}

func wrong(err error) error { return fmt.Errorf("%w: %w", errWrongOrder, err) }

func showIssuers(r *http.Request) (any, error) {
	if _, err := adminroute.Parameters(r.URL.RawQuery); err != nil {
		return nil, wrong(err)
	}
	answer := orders.Issuers{Issuers: []orders.Issuer{}}
	for _, i := range inForce.all() {
		answer.Issuers = append(answer.Issuers, i.shown())
	}
	return answer, nil
}

func showSessions(r *http.Request) (any, error) {
	given, err := adminroute.Parameters(r.URL.RawQuery, "issuer", "user", "app", "part")
	if err != nil {
		return nil, wrong(err)
	}
	part := 0
	if text, there := given["part"]; there {
		if part, err = strconv.Atoi(text); err != nil || given["user"] != "" {
			return nil, wrong(errors.New("part is the number \"next\" of the answer before, and not together with user"))
		}
	}
	i, err := inForce.find(given["issuer"])
	if err != nil {
		return nil, err
	}
	return i.listSessions(r.Context(), given["user"], given["app"], part)
}

func endSessions(r *http.Request) (any, error) {
	order, err := orders.ReadEnd(r.Body)
	if err != nil {
		return nil, wrong(err)
	}
	i, err := inForce.find(order.Issuer)
	if err != nil {
		return nil, err
	}
	return i.endSessions(r.Context(), order)
}

// named is the issuer that a request without other parameters is about.
func named(r *http.Request) (*issuer, error) {
	given, err := adminroute.Parameters(r.URL.RawQuery, "issuer")
	if err != nil {
		return nil, wrong(err)
	}
	return inForce.find(given["issuer"])
}

func showClients(r *http.Request) (any, error) {
	i, err := named(r)
	if err != nil {
		return nil, err
	}
	return i.registered()
}

func showKeys(r *http.Request) (any, error) {
	i, err := named(r)
	if err != nil {
		return nil, err
	}
	return i.keys()
}

func changeKeys(r *http.Request) (any, error) {
	order, err := orders.ReadChange(r.Body)
	if err != nil {
		return nil, wrong(err)
	}
	i, err := inForce.find(order.Issuer)
	if err != nil {
		return nil, err
	}
	return i.change(r.Context(), order.Action)
}

// Interface guard.
var _ caddy.AdminRouter = (*adminAPI)(nil)
