//go:build e2e && e2eall

package e2e_test

import (
	"net/http"
	"net/url"
	"testing"
)

// dexAPI is the client that stands for the API: docs/providers.md names it so.
const dexAPI = "orders-api"

// dex is a running dex/main.go.
type dex struct{ issuer string }

func TestDex(t *testing.T) {
	d := &dex{startAnnounced(t, "dex")}
	g := documented(t, "dex", 1, "https://dex.example.com", d.issuer)
	const scope = "openid groups offline_access audience:server:client_id:" + dexAPI
	tokens := d.login(t, scope)

	t.Run("access tokens pass", func(t *testing.T) {
		seen := g.accepts(t, tokens.AccessToken)
		hasHeaders(t, seen, map[string]string{"X-User": subject(t, tokens.AccessToken), "Authorization": ""})
	})
	t.Run("other tokens are refused", func(t *testing.T) {
		for name, token := range map[string]string{
			"ID token of the login": tokens.IDToken,
			"refresh token":         tokens.RefreshToken,
			"another audience":      d.login(t, "openid groups offline_access").AccessToken,
		} {
			t.Run(name, func(t *testing.T) { g.refuses(t, token, http.StatusUnauthorized, "invalid_token") })
		}
		t.Run("no groups", func(t *testing.T) {
			token := d.login(t, "openid offline_access audience:server:client_id:"+dexAPI).AccessToken
			g.refuses(t, token, http.StatusForbidden, "insufficient_scope")
		})
	})
	t.Run("forged tokens are refused", func(t *testing.T) { g.refusesForgeries(t, tokens.AccessToken) })
	// The documentation says so: nothing distinguishes the two.
	t.Run("the ID token of a refresh passes", func(t *testing.T) {
		last := d.login(t, scope) // of a user's refresh tokens for a client, dex knows only the last one
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {last.RefreshToken}}
		renewed := obtain(t, d.issuer+"/token", jwtClient, form)
		g.accepts(t, renewed.AccessToken)
		g.accepts(t, renewed.IDToken)
	})
}

// login does what the only user of dex does with a browser.
func (d *dex) login(t *testing.T, scope string) granted {
	t.Helper()
	done, _ := send(t, newBrowser(t), http.MethodGet, authorization(d.issuer+"/auth", jwtClient, scope), nil)
	return redeem(t, done, d.issuer+"/token", jwtClient)
}
