package caddyjwt

import (
	"fmt"
	"slices"

	"github.com/caddyjwt/gateway/caddyjwt/issuers"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/setting"
)

// manyTenants are the issuers of the gate that stand for the tenants of a server.
func (c *compiled) manyTenants() (all []*gate.Issuer) {
	for i := range c.config.Issuers {
		if c.config.Issuers[i].Tenants != nil {
			all = append(all, &c.config.Issuers[i])
		}
	}
	return all
}

// compileForwardTenant adds the output that tells the backend the tenant.
func (h *Handler) compileForwardTenant(c *compiled) error {
	if h.ForwardTenant == "" {
		return nil
	}
	// While the name of an issuer is not known, it may be one with "*".
	known := func(p issuers.Plan) bool { return p.Server.IssuerKnown }
	if len(c.manyTenants()) == 0 && !slices.ContainsFunc(c.plans, func(p issuers.Plan) bool { return !known(p) }) {
		return setting.Errorf("ForwardTenant", "forward_tenant needs an issuer with \"*\" for the tenant, and there is none"+
			": remove it, or write \"forward_claims %s <claim>\"", h.ForwardTenant)
	}
	c.tenantHeader = h.ForwardTenant
	c.config.Outputs = append(c.config.Outputs, issuers.TenantHeader(h.ForwardTenant))
	return nil
}

// tenantServer refuses an issuer with "*" as that of auth_server_metadata.
func (c *compiled) tenantServer() error {
	if c.server == nil || c.server.Server.Tenants == nil {
		return nil
	}
	return fmt.Errorf("auth_server_metadata shows the metadata of one server, and the issuer %q stands for many: "+
		"name an issuer without \"*\"", c.server.Issuer.Name)
}
