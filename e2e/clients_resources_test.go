//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"golang.org/x/oauth2/clientcredentials"
)

// resourceServer is another Caddy process, which takes tokens of the issuer. It trusts the authority of these tests.
func (i *issuer) resourceServer(t *testing.T, lines string) *gate {
	t.Helper()
	return startGateway(t, fmt.Sprintf(`issuer %s {
		tls {
			ca %s
		}
		%s
	}
	audience %s
	require scope read
	forward_claims X-Client client_id`, i.name, provider.identity.ca, lines, api))
}

// granted is a token of a client with a secret, for a resource.
func (i *issuer) granted(t *testing.T, scope, resource string) string {
	t.Helper()
	return i.grantedTo(t, "basic", scope, resource)
}

func (i *issuer) grantedTo(t *testing.T, client, scope, resource string) string {
	t.Helper()
	config := clientcredentials.Config{
		ClientID: client, ClientSecret: oddSecret, TokenURL: i.tokenURL(), Scopes: []string{scope},
		EndpointParams: url.Values{"resource": {resource}},
	}
	token, err := config.Token(i.with(t))
	if err != nil {
		t.Fatal(err)
	}
	i.hides(token.AccessToken)
	return token.AccessToken
}

// revoke has the client of granted revoke a token.
func (i *issuer) revoke(t *testing.T, token string) {
	t.Helper()
	i.speaks(t, "oauth4webapi", nil, []clientStep{about("revoke", "basic", token, "revoked")})
}

// asksAs is introspection by a client, with more lines.
func asksAs(client, more string) string {
	return fmt.Sprintf("introspect always {\nclient_id %s\nclient_secret `%s`\n%s\n}", client, oddSecret, more)
}

// Another Caddy takes the tokens of clients, whether it finds the keys, is told where they are, or asks as well.
func TestAnotherCaddyTakesTokensOfClients(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, "verify_if_given")
	for name, lines := range map[string]string{
		"keys by discovery":      "",
		"keys at an address":     "keys jwks " + i.name + "/.well-known/jwks.json",
		"a profile":              "profile rfc9068",
		"introspection":          asksAs("asker", ""),
		"introspection, by post": asksAs("asker", "auth_method client_secret_post"),
	} {
		t.Run(name, func(t *testing.T) {
			g := i.resourceServer(t, lines)
			token := i.granted(t, "read", api)
			for range 3 {
				hasHeaders(t, g.accepts(t, token), map[string]string{"X-Client": "basic", "Authorization": ""})
			}
			g.refuses(t, i.granted(t, "read", otherAPI), http.StatusUnauthorized, "invalid_token")
			g.refuses(t, i.granted(t, "write", api), http.StatusForbidden, "insufficient_scope")
			g.refuses(t, flip(token), http.StatusUnauthorized, "invalid_token")
			_, refresh := i.login(t)
			g.refuses(t, refresh, http.StatusUnauthorized, "invalid_token")
		})
	}
}

// The block in the manual takes JWTs and opaque tokens, and hears of what is revoked.
func TestTheDocumentedBlockOfATokenIssuer(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, "verify_if_given")
	g := documented(t, "Another Caddy", 1,
		"issuer https://auth.example.com {", fmt.Sprintf("issuer %s {\ntls {\nca %s\n}", i.name, provider.identity.ca),
		"client_id gateway", "client_id asker", "{env.GATEWAY_SECRET}", "`"+oddSecret+"`", "cache_ttl 5s", "cache_ttl 0s",
		"audience https://orders.example.com", "audience "+api, "orders:read", "read")
	for _, client := range []string{"basic", "sealed"} {
		token := i.grantedTo(t, client, "read", api)
		hasHeaders(t, g.accepts(t, token), map[string]string{"X-Client": client})
		g.refuses(t, i.grantedTo(t, client, "write", api), http.StatusForbidden, "insufficient_scope")
		g.refuses(t, i.grantedTo(t, client, "read", otherAPI), http.StatusUnauthorized, "invalid_token")
		i.speaks(t, "oauth4webapi", nil, []clientStep{about("revoke", client, token, "revoked")})
		g.refuses(t, token, http.StatusUnauthorized, "invalid_token")
	}
}

// A Caddy that asks refuses a revoked token at once: one that it has not seen before, and with cache_ttl 0s any.
func TestAnotherCaddyThatAsksRefusesRevokedTokens(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, "verify_if_given")
	asks := i.resourceServer(t, asksAs("asker", ""))
	always := i.resourceServer(t, asksAs("asker", "cache_ttl 0s"))
	keys := i.resourceServer(t, "")
	token, other := i.granted(t, "read", api), i.granted(t, "read", api)
	always.accepts(t, token)
	keys.accepts(t, token)
	i.revoke(t, token)
	asks.refuses(t, token, http.StatusUnauthorized, "invalid_token")
	always.refuses(t, token, http.StatusUnauthorized, "invalid_token")
	keys.accepts(t, token) // who does not ask cannot know
	asks.accepts(t, other)
	always.accepts(t, other)
}

// A Caddy asks as a client that may not know about the audience, or as one that may not ask at all.
func TestAnotherCaddyThatMayNotAskRefusesTokens(t *testing.T) {
	t.Parallel()
	i := startIssuer(t, "verify_if_given")
	token := i.granted(t, "read", api)
	i.resourceServer(t, asksAs("stranger", "")).refuses(t, token, http.StatusUnauthorized, "invalid_token")
	i.resourceServer(t, asksAs("basic", "")).refuses(t, token, http.StatusBadGateway, "")
	i.resourceServer(t, asksAs("nobody", "")).refuses(t, token, http.StatusBadGateway, "")
	i.resourceServer(t, asksAs("asker", "")).accepts(t, token)
}
