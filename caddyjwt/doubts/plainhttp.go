package doubts

import (
	"net/url"
	"strings"

	"go.uber.org/zap"
)

// plainHTTP says what others can see and change on the way to a server without TLS.
func (g *Gate) plainHTTP(warn Warn) {
	for i := range g.Plans {
		if doubt := g.Plans[i].PlainHTTPWarning(); doubt != "" {
			warn(doubt, zap.String("issuer", g.Plans[i].Issuer.Name))
		}
	}
	if g.Proxied == nil || g.Proxied.PlainHTTP() == "" {
		return
	}
	if u, err := url.Parse(g.Proxied.Server.Metadata); err == nil && strings.EqualFold(u.Scheme, "http") {
		warn("auth_server_metadata proxy: the metadata come from "+u.Host+" without TLS: whoever is on the way can "+
			"lead clients to endpoints of their own, where users sign in; use https, or auth_server_metadata redirect",
			zap.String("issuer", g.Proxied.Issuer.Name))
	}
}
