package doubts

import (
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/gate"
)

// proofs warns about proofs that never arrive, and about what a profile demands beyond the gate's settings.
func (g *Gate) proofs(warn Warn) {
	if g.FAPI2 {
		g.revocationStatus(warn)
	}
	if g.Config.Proof == nil || g.Config.Proof.Certificates == nil || g.Server == nil {
		return
	}
	if g.Config.Proof.Certificates.Header == "" && !asksForCertificates(g.Server.TLSConnPolicies) {
		warn("proof takes client certificates, and this server asks no client for one: add client_auth to the tls of the " +
			"site, or client_cert_header behind a proxy that ends TLS")
	}
}

// asksForCertificates reports whether some connections of a server have a client certificate.
func asksForCertificates(policies caddytls.ConnectionPolicies) bool {
	return slices.ContainsFunc(policies, func(p *caddytls.ConnectionPolicy) bool {
		return p.ClientAuthentication != nil && p.ClientAuthentication.Active()
	})
}

// revocationStatus warns about tokens that nobody could revoke (FAPI 2.0 Security Profile section 5.3.4).
func (g *Gate) revocationStatus(warn Warn) {
	stored := g.Config.Revocations != nil && !g.Config.OnlyLocalRevoked
	for i := range g.Config.Issuers {
		issuer := &g.Config.Issuers[i]
		if !g.asksAboutAll(i) && (!stored || issuer.Revocation.Off) {
			warn("profile fapi2 demands that revoked tokens are refused, and nothing says which are: add a store to the global "+
				"option bearer_auth, or \"introspect always\" to the issuer", zap.String("issuer", issuer.Name))
		}
	}
}

// asksAboutAll reports whether the server of an issuer is asked about each of its tokens.
func (g *Gate) asksAboutAll(issuer int) bool {
	plan := &g.Plans[issuer]
	switch {
	case plan.Asking == nil:
		return false
	case !plan.Verifies() || g.Config.Asking.Mode == gate.RouteForce:
		return true
	}
	return plan.Asking.Mode != gate.AskOpaque && g.Config.Asking.Mode != gate.RouteSkip
}
