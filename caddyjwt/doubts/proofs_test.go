package doubts

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"

	"github.com/caddyjwt/gateway/internal/clientcert"
	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/possession"
	"github.com/caddyjwt/gateway/internal/revoke"
)

const (
	verified = `{"issuer":"https://as.example","audience":["a"]}`
	askedToo = `{"issuer":"https://as.example","audience":["a"],"introspect":{"mode":"always","client_id":"g",` +
		`"client_secret":"s"}}`
	askedOpaque = `{"issuer":"https://as.example","audience":["a"],"introspect":{"mode":"opaque","client_id":"g",` +
		`"client_secret":"s"}}`
	onlyAsked = `{"issuer":"https://as.example","audience":["a"],"keys":{"source":"none"},"introspect":{"mode":"opaque",` +
		`"client_id":"g","client_secret":"s"}}`
)

// said are the warnings about proofs.
func said(g *Gate) string {
	var all []string
	g.proofs(func(message string, _ ...zap.Field) { all = append(all, message) })
	return strings.Join(all, "\n")
}

func TestWarningOfProofsThatNeverArrive(t *testing.T) {
	asking := caddytls.ConnectionPolicies{
		{}, {ClientAuthentication: &caddytls.ClientAuthentication{Mode: "request"}},
	}
	behind := possession.FromHeader("Client-Cert", clientcert.RFC9440)
	for name, row := range map[string]struct {
		policy *possession.Policy
		server *caddyhttp.Server
		want   string
	}{
		"no proofs": {nil, &caddyhttp.Server{}, ""},
		"DPoP":      {&possession.Policy{DPoP: new(possession.DPoP)}, &caddyhttp.Server{}, ""},
		"nobody is asked": {&possession.Policy{Certificates: possession.FromConnection()}, &caddyhttp.Server{},
			"add client_auth"},
		"clients are asked": {&possession.Policy{Certificates: possession.FromConnection()},
			&caddyhttp.Server{TLSConnPolicies: asking}, ""},
		"no server":   {&possession.Policy{Certificates: possession.FromConnection()}, nil, ""},
		"by a header": {&possession.Policy{Certificates: behind}, &caddyhttp.Server{}, ""},
		"policies ask nobody": {&possession.Policy{Certificates: possession.FromConnection()},
			&caddyhttp.Server{TLSConnPolicies: asking[:1]}, "add client_auth"},
	} {
		g := gateOf(t, verified)
		g.Config.Proof, g.Server = row.policy, row.server
		if got := said(g); row.want == "" && got != "" || !strings.Contains(got, row.want) {
			t.Errorf("%s: %q, want %q", name, got, row.want)
		}
	}
}

func TestWarningOfTokensThatNobodyCouldRevoke(t *testing.T) {
	for name, row := range map[string]struct {
		issuer string
		change func(*Gate)
		warned bool
	}{
		"nothing":      {verified, func(*Gate) {}, true},
		"only opaque":  {askedOpaque, func(*Gate) {}, true},
		"asked":        {askedToo, func(*Gate) {}, false},
		"only asked":   {onlyAsked, func(*Gate) {}, false},
		"a store":      {verified, func(g *Gate) { g.Config.Revocations = revoke.NewList() }, false},
		"skipped here": {askedToo, func(g *Gate) { g.Config.Asking.Mode = gate.RouteSkip }, true},
		"forced here":  {askedOpaque, func(g *Gate) { g.Config.Asking.Mode = gate.RouteForce }, false},
		"left out": {verified, func(g *Gate) {
			g.Config.Revocations,
				g.Config.Issuers[0].Revocation.Off = revoke.NewList(), true
		}, true},
		"another profile": {verified, func(g *Gate) { g.FAPI2 = false }, false},
		"of others' alone": {verified, func(g *Gate) {
			g.Config.Revocations, g.Config.OnlyLocalRevoked = revoke.NewList(),
				true
		}, true},
	} {
		g := gateOf(t, row.issuer)
		g.FAPI2 = true
		row.change(g)
		if got := said(g); row.warned != strings.Contains(got, "nothing says which are") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
