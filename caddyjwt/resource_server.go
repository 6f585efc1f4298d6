package caddyjwt

import (
	"cmp"
	"fmt"

	"github.com/caddyjwt/gateway/caddyjwt/pool"
	"github.com/caddyjwt/gateway/caddyjwt/protected"
	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/authserver"
)

func readServerMetadata(b *words.Block, h *Handler) error {
	h.AuthServerMetadata = new(protected.ServerMetadata)
	return h.AuthServerMetadata.Read(b)
}

// compileServer chooses the issuer of auth_server_metadata. Issuers and the resource must have been compiled.
func (h *Handler) compileServer(s *words.Settings, c *compiled) error {
	if h.AuthServerMetadata == nil {
		return nil
	}
	var names []string
	for i := range c.plans {
		if !c.plans[i].Server.IssuerKnown {
			return nil
		}
		names = append(names, c.plans[i].Issuer.Name)
	}
	chosen, err := h.AuthServerMetadata.Choose(s, h.Resource != nil, c.resource, names)
	if chosen >= 0 {
		c.server = &c.plans[chosen]
		c.serverMetadata = h.AuthServerMetadata.Mode + " " + c.server.Issuer.Name
	}
	return cmp.Or(err, c.tenantServer())
}

// offerServer tells the app whose metadata clients get at the host of the resource.
func (h *Handler) offerServer(app *App, o opener) (err error) {
	if o.server == nil {
		return nil
	}
	if from := &o.server.Server; h.AuthServerMetadata.Mode != "redirect" {
		h.mirrors, err = protected.Mirror(h.shared.Pool, authserver.MirrorOptions{
			Issuer: from.Issuer, URL: from.Metadata, Fetch: from.FetchOptions(o.Shared.Log.Keys), MaxStale: from.MaxStale,
			Logger: o.Shared.Log.Keys,
		}, h.log.failedToClose)
		if err != nil {
			return fmt.Errorf("auth_server_metadata: %w", err)
		}
	}
	return h.addServerTo(app.Resources(), o.compiled)
}

// addServerTo adds the server of auth_server_metadata, if there is one, to those of other gates.
func (h *Handler) addServerTo(resources *protected.Registry, c *compiled) error {
	switch {
	case c.server == nil:
		return nil
	case h.AuthServerMetadata.Mode == "redirect":
		return resources.Redirect(*c.resource, c.server.Issuer.Name)
	default:
		return resources.Proxy(*c.resource, c.server.Server.Issuer, h.mirrors)
	}
}

// prefetched are the sources that are fetched before the first request.
func (h *Handler) prefetched(o opener) []pool.Preloader {
	sources := h.leases.Ours().Prefetched()
	if h.mirrors.Leases != nil && o.Prefetches(o.server) {
		sources = append(sources, h.mirrors.Ours().Value)
	}
	return sources
}

// Guarded implements protected.Gate.
func (h *Handler) Guarded() string { return h.resource }

// LetsStrangersIn implements protected.Gate.
func (h *Handler) LetsStrangersIn() bool { return h.Optional || h.Anonymous != "" || len(h.Public) > 0 }
