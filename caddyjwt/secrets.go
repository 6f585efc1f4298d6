package caddyjwt

import (
	"net/url"
	"strings"

	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/jose"
)

// warnOfPlainHTTP says what others can see and change on the way to a server without TLS.
func (h *Handler) warnOfPlainHTTP(built *compiled) {
	for i := range built.plans {
		if warning := built.plans[i].PlainHTTPWarning(); warning != "" {
			h.log.warn(warning, zap.String("issuer", built.plans[i].Issuer.Name))
		}
	}
	server := built.server
	if server == nil || server.PlainHTTP() == "" || h.AuthServerMetadata.Mode == "redirect" {
		return
	}
	if u, err := url.Parse(server.Server.Metadata); err == nil && strings.EqualFold(u.Scheme, "http") {
		h.log.warn("auth_server_metadata proxy: the metadata come from "+u.Host+" without TLS: whoever is on the way can "+
			"lead clients to endpoints of their own, where users sign in; use https, or auth_server_metadata redirect",
			zap.String("issuer", server.Issuer.Name))
	}
}

// warnOfSecrets names secrets that may not be random. Those that plainly are not have been refused.
func (h *Handler) warnOfSecrets(built *compiled) {
	warn := func(doubt string, where ...zap.Field) {
		if doubt != "" {
			h.log.warn(jose.DoubtWarning(doubt), where...)
		}
	}
	for i := range built.plans {
		plan := &built.plans[i]
		for _, source := range plan.Sources {
			for _, key := range source.Static {
				warn(key.Doubt(), zap.String("issuer", plan.Issuer.Name), zap.String("setting", "keys secret"))
			}
		}
		if plan.Asking != nil {
			warn(plan.Asking.Doubt, zap.String("issuer", plan.Issuer.Name), zap.String("setting", "client_secret"))
		}
	}
	for _, consumer := range built.config.Consumers {
		for _, credential := range consumer.Credentials {
			warn(credential.Verifier.Doubt(),
				zap.String("consumer", consumer.Username), zap.String("credential", credential.Key))
		}
	}
}
