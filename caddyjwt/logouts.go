package caddyjwt

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddyjwt/gateway/caddyjwt/backchannel"
	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/internal/logout"
	"github.com/caddyjwt/gateway/internal/setting"
)

// logoutRoutes are the routes that answer the logout requests of the gate's issuers. They come before the gate's own,
// so they need no token, and the gate's matcher does not limit them.
func logoutRoutes(h httpcaddyfile.Helper, g *Handler) (routes []httpcaddyfile.ConfigValue) {
	for i := range g.Issuers {
		if l := g.Issuers[i].BackchannelLogout; l != nil {
			routes = append(routes, backchannel.Route(h, &backchannel.Handler{
				Path: l.Path, Issuer: g.Issuers[i].Issuer, Clients: l.Clients,
			})...)
		}
	}
	return routes
}

// checkLogouts refuses one path for the logout requests of two issuers.
func (c *compiled) checkLogouts() error {
	issuers := make(map[string]string)
	for i := range c.plans {
		plan := &c.plans[i]
		if plan.Logout == nil {
			continue
		}
		if other, twice := issuers[plan.Logout.Path]; twice {
			return setting.Errorf(setting.Element("Issuers", i)+".BackchannelLogout", "issuer %q: backchannel_logout %s is the "+
				"path of issuer %q already: give each issuer its own path", plan.Issuer.Name, plan.Logout.Path, other)
		}
		issuers[plan.Logout.Path] = plan.Issuer.Name
	}
	return nil
}

// checkStore refuses what needs a store where there is none. A Caddyfile is adapted block by block, so this is known
// only when the configuration loads.
func (h *Handler) checkStore(built *compiled) error {
	for i := range h.Issuers {
		issuer := &h.Issuers[i]
		if !h.canRevoke(built, i) && issuer.Revocation != nil && !issuer.Revocation.Off {
			return setting.Errorf(setting.Element("Issuers", i)+".Revocation",
				"issuer %q: revocation claim: no token can be revoked, because there is no store: add \"store file\" to the "+
					"global option bearer_auth, or remove the line", issuer.Issuer)
		}
	}
	return nil
}

// canRevoke reports whether tokens of an issuer can be revoked. A store that is there only because of a token_issuer is
// for its tokens alone.
func (h *Handler) canRevoke(built *compiled, issuer int) bool {
	return h.revoked != nil && (!built.config.OnlyLocalRevoked || built.plans[issuer].Local())
}

// receiveLogouts tells the app which logout requests the gate wants to hear of.
func (h *Handler) receiveLogouts(app *App, o opener) error {
	for i := range o.plans {
		plan := &o.plans[i]
		if plan.Logout == nil {
			continue
		}
		err := errNoStore
		if h.canRevoke(o.compiled, i) {
			err = h.receiveLogoutsOf(plan, app, o)
		}
		if err != nil {
			return setting.In(setting.Element("Issuers", i)+".BackchannelLogout",
				fmt.Errorf("issuer %q: backchannel_logout: %w", plan.Issuer.Name, err))
		}
	}
	return nil
}

var errNoStore = errors.New("what a logout ends is kept in a store, and there is none: add \"store file\" to the " +
	"global option bearer_auth")

func (h *Handler) receiveLogoutsOf(plan *issuers.Plan, app *App, o opener) error {
	x := &backchannel.Receiver{
		Plan: *plan.Logout, Settings: o.logoutSettings(plan, app),
		Count: h.shared.Metrics.Logouts(plan.Issuer.Name, backchannel.Results()...),
	}
	var err error
	x.Leases, err = pool.Begin(h.shared.Pool, func(l *pool.Lease) (backchannel.Open, error) {
		keys, id, err := o.OpenKeys(l, plan)
		if err != nil {
			return backchannel.Open{}, err
		}
		config := x.Settings
		config.Keys = keys
		receiver, err := logout.New(config)
		return backchannel.Open{Receiver: receiver, KeysID: id}, err
	}, h.log.failedToClose)
	if err != nil {
		return err
	}
	h.logouts = append(h.logouts, x.Leases)
	return app.logouts.Add(x)
}

// logoutSettings are the settings of an issuer's receiver, without its keys. Its logout tokens are read as its access
// tokens are, so that a subject has the same text in both.
func (c *compiled) logoutSettings(plan *issuers.Plan, app *App) logout.Config {
	issuer := plan.Issuer
	issuer.GroupClaims = nil // no logout token has groups
	return logout.Config{
		Issuer: issuer.Name, Algorithms: issuer.Algorithms, Clients: plan.Logout.Clients, Leeway: issuer.Leeway,
		Reading:    issuer.Reading(cmp.Or(issuer.MaxLifetime, c.config.MaxLifetime)),
		WithoutSID: plan.Logout.WithoutSID,
		Seen:       app.revocations.Seen, Remember: app.revocations.Remember, Revoke: app.revocations.End,
	}
}
