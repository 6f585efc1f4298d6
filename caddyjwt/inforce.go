package caddyjwt

import (
	"cmp"
	"fmt"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddyjwt/gateway/caddyjwt/doubts"
	"github.com/caddyjwt/gateway/caddyjwt/explain"
	"github.com/caddyjwt/gateway/caddyjwt/inforce"
	"github.com/caddyjwt/gateway/caddyjwt/proofs"
	"github.com/caddyjwt/gateway/caddyjwt/traffic"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/roster"
	"github.com/caddyjwt/gateway/internal/summary"
)

// summary says what the gate has understood, for the line at its start. It names the server, because a configuration
// may have many gates.
func (o opener) summary(ctx caddy.Context, gateName string, file *roster.File) []summary.Item {
	of := summary.Gate{
		Config: o.config, Cache: o.cache, EndAtExpiry: o.endAtExpiry, Messages: o.messages.String(),
		ServerMetadata: o.serverMetadata, TenantHeader: o.tenantHeader,
	}
	for i := range o.plans {
		plan := &o.plans[i]
		source := summary.Source{Keys: plan.KeysFrom(), Prefetch: o.Prefetches(plan), PlainHTTP: plan.PlainHTTP()}
		discovers := plan.Asking != nil && plan.Asking.Client.Endpoint == ""
		source.Prefetch = source.Prefetch && (plan.FetchesKeys() || discovers)
		if plan.Asking != nil {
			source.Introspect = askModes[plan.Asking.Mode]
		}
		of.Sources = append(of.Sources, source)
	}
	if file != nil {
		of.ConsumersFile = fmt.Sprintf("%d from %s", len(file.Set().Consumers()), filepath.Base(file.Path()))
	}
	if o.cors != nil {
		of.CORS = o.cors.Origins()
	}
	items := summary.Of(of)
	for _, from := range []summary.Item{{Name: "gate", Text: gateName}, {Name: "server", Text: serverName(ctx)}} {
		if from.Text != "" {
			items = append([]summary.Item{from}, items...)
		}
	}
	return items
}

// listed is the gate for those who operate Caddy.
func (h *Handler) listed(ctx caddy.Context, c *compiled) inforce.Gate {
	return inforce.Gate{
		Handler: h, Name: h.Name, Server: serverName(ctx), Ends: h.ending != nil,
		Judge:     func() (explain.Judge, error) { return h.judge(c) },
		Consumers: c.config.Consumers, File: h.leases.Ours().Consumers(),
	}
}

// traffic are the counts of the gate's requests. The first request looks them up: the label of a gate is known when all
// gates have been provisioned, and Caddy may start its servers before our app.
func (h *Handler) traffic() *traffic.Counts {
	counts := h.counts.Load()
	if counts == nil {
		counts = h.gates.Traffic(h)
		h.counts.Store(counts)
	}
	return counts
}

// doubtful is the gate as far as there can be doubts about it.
func (h *Handler) doubtful(ctx caddy.Context, c *compiled) *doubts.Gate {
	g := &doubts.Gate{
		Config: &c.config, Plans: c.plans, Consumers: h.Consumers, TenantHeader: c.tenantHeader,
		Resource: c.resource, AuthServers: c.part.Servers, Server: serverOf(ctx),
		FAPI2: h.Profile == proofs.ProfileFAPI2,
	}
	if c.server != nil && h.AuthServerMetadata.Mode != "redirect" {
		g.Proxied = c.server
	}
	return g
}

// serverName is Caddy's name for the HTTP server that a module is in, or "" outside of one.
func serverName(ctx caddy.Context) string {
	if server := serverOf(ctx); server != nil {
		return cmp.Or(server.Name(), "unnamed")
	}
	return ""
}

// serverOf is the HTTP server that a module is in, or nil outside of one.
func serverOf(ctx caddy.Context) *caddyhttp.Server {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return server
}

// askModes are the modes in words.
var askModes = map[gate.AskMode]string{
	gate.AskOpaque: "opaque", gate.AskAlways: "always", gate.AskJWTs: "always, only for JWTs",
}
