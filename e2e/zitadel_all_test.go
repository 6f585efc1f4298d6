//go:build e2e && e2eall

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// zitadel is a running zitadel/main.go.
type zitadel struct {
	Issuer string

	endpoints struct {
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		Revocation    string `json:"revocation_endpoint"`
	}
}

func TestZitadel(t *testing.T) {
	z := startZitadel(t)
	t.Run("JWTs pass by discovery", z.jwtsPass)
	t.Run("other tokens are refused", z.othersAreRefused)
	t.Run("forged tokens are refused", func(t *testing.T) {
		startGateway(t, z.trust(jwtClient)).refusesForgeries(t, z.login(t, jwtClient).AccessToken)
	})
	t.Run("opaque tokens pass until revoked", z.opaquePassUntilRevoked)
	t.Run("JWTs pass until revoked, if the server is asked", z.jwtsPassUntilRevoked)
	t.Run("the documented block", z.documentedBlock)
}

func startZitadel(t *testing.T) *zitadel {
	t.Helper()
	z := &zitadel{Issuer: startAnnounced(t, "zitadel")}
	_, document := send(t, http.DefaultClient, http.MethodGet, z.Issuer+".well-known/openid-configuration", nil)
	if err := json.Unmarshal(document, &z.endpoints); err != nil {
		t.Fatal(err)
	}
	return z
}

// login does what a user with a browser does.
func (z *zitadel) login(t *testing.T, client string) granted {
	t.Helper()
	browser := newBrowser(t)
	address := authorization(z.endpoints.Authorization, client, "openid email offline_access custom_scope")
	form, _ := send(t, browser, http.MethodGet, address, nil)
	done, _ := send(t, browser, http.MethodPost, z.Issuer+"login/username", url.Values{
		"id":       {form.Request.URL.Query().Get("authRequestID")},
		"username": {"test-user2"},
		"password": {"verysecure"},
	})
	return redeem(t, done, z.endpoints.Token, client)
}

// revoke withdraws a token (RFC 7009) of a client.
func (z *zitadel) revoke(t *testing.T, client, token string) {
	t.Helper()
	send(t, http.DefaultClient, http.MethodPost, z.endpoints.Revocation, url.Values{"token": {token}}, client)
}

// trust is an issuer block for this server, which makes a client the audience of its tokens.
func (z *zitadel) trust(audience string, more ...string) string {
	return fmt.Sprintf("issuer %s {\n audience %s\n %s\n}\n", z.Issuer, audience, strings.Join(more, "\n"))
}

// introspection is an introspect block that remembers nothing. The server speaks about a token only to its audience, so
// the gateway is that client.
func (z *zitadel) introspection(mode, client string) string {
	return fmt.Sprintf("introspect %s {\n client_id %s\n client_secret %s\n cache_ttl 0s\n}", mode, client, clientSecret)
}

func (z *zitadel) jwtsPass(t *testing.T) {
	g := startGateway(t, z.trust(jwtClient)+`
		forward_claims X-User sub
		forward_claims X-Client custom_claim.client`)
	seen := g.accepts(t, z.login(t, jwtClient).AccessToken)
	hasHeaders(t, seen, map[string]string{"X-User": "id2", "X-Client": jwtClient, "Authorization": ""})
}

func (z *zitadel) othersAreRefused(t *testing.T) {
	tokens := z.login(t, jwtClient)
	g := startGateway(t, z.trust(jwtClient))
	g.accepts(t, tokens.AccessToken)
	t.Run("ID token", func(t *testing.T) { // its audience is the right one
		g.refuses(t, tokens.IDToken, http.StatusUnauthorized, "invalid_token")
	})
	t.Run("refresh token", func(t *testing.T) {
		g.refuses(t, tokens.RefreshToken, http.StatusUnauthorized, "invalid_token")
	})
	t.Run("opaque token, without introspection", func(t *testing.T) {
		g.refuses(t, z.login(t, opaqueClient).AccessToken, http.StatusUnauthorized, "invalid_token")
	})
	t.Run("another audience", func(t *testing.T) {
		startGateway(t, z.trust(opaqueClient)).
			refuses(t, tokens.AccessToken, http.StatusUnauthorized, "invalid_token")
	})
	t.Run("the issuer without its slash", func(t *testing.T) {
		directive := strings.Replace(z.trust(jwtClient), z.Issuer, strings.TrimSuffix(z.Issuer, "/"), 1)
		startGateway(t, directive).refuses(t, tokens.AccessToken, http.StatusUnauthorized, "invalid_token")
	})
}

func (z *zitadel) documentedBlock(t *testing.T) {
	tokens := z.login(t, jwtClient)
	g := documented(t, "Zitadel", 1, "https://example-a1b2c3.zitadel.cloud", z.Issuer, "69234237810729019", jwtClient)
	hasHeaders(t, g.accepts(t, tokens.AccessToken), map[string]string{"X-User": "id2", "Authorization": ""})
	g.refuses(t, tokens.IDToken, http.StatusUnauthorized, "invalid_token")
	g.refuses(t, tokens.RefreshToken, http.StatusUnauthorized, "invalid_token")
	g.refuses(t, z.login(t, opaqueClient).AccessToken, http.StatusUnauthorized, "invalid_token")

	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.RefreshToken}}
	renewed := obtain(t, z.endpoints.Token, jwtClient, form)
	g.accepts(t, renewed.AccessToken)
	g.refuses(t, renewed.IDToken, http.StatusUnauthorized, "invalid_token") // it has no c_hash, unlike that of the login
}

// The server's answers about tokens have no aud, so no audience can be required. They have no token_type, so another
// member must say that they are about an access token: "What is checked of an answer" in docs/introspection.md.
func (z *zitadel) opaquePassUntilRevoked(t *testing.T) {
	tokens := z.login(t, opaqueClient)
	g := startGateway(t, z.trust("any", "required_claims email", z.introspection("opaque", opaqueClient))+`
		forward_claims X-User sub
		forward_claims X-Client client_id`)
	seen := g.accepts(t, tokens.AccessToken)
	hasHeaders(t, seen, map[string]string{"X-User": "id2", "X-Client": opaqueClient, "Authorization": ""})
	g.refuses(t, tokens.RefreshToken, http.StatusUnauthorized, "invalid_token")
	g.refuses(t, flip(tokens.AccessToken), http.StatusUnauthorized, "invalid_token")

	z.revoke(t, opaqueClient, tokens.AccessToken)
	g.refuses(t, tokens.AccessToken, http.StatusUnauthorized, "invalid_token")
	g.accepts(t, z.login(t, opaqueClient).AccessToken)
}

func (z *zitadel) jwtsPassUntilRevoked(t *testing.T) {
	g := startGateway(t, z.trust(jwtClient, z.introspection("always", jwtClient)))
	token := z.login(t, jwtClient).AccessToken
	g.accepts(t, token)
	z.revoke(t, jwtClient, token)
	g.refuses(t, token, http.StatusUnauthorized, "invalid_token")
	startGateway(t, z.trust(jwtClient)).accepts(t, token) // nobody asks the server, and the token has not expired
}
