//go:build e2e && e2eall

package e2e_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

func TestZitadel(t *testing.T) {
	op := startZitadel(t)
	t.Run("JWTs pass by discovery", func(t *testing.T) { zitadelJWTsPass(t, op) })
	t.Run("tokens for others are refused", func(t *testing.T) { zitadelOthersAreRefused(t, op) })
	t.Run("forged tokens are refused", func(t *testing.T) { zitadelForgedAreRefused(t, op) })
	t.Run("opaque tokens pass until revoked", func(t *testing.T) { zitadelOpaquePassUntilRevoked(t, op) })
	t.Run("JWTs pass until revoked, if the server is asked", func(t *testing.T) { zitadelJWTsPassUntilRevoked(t, op) })
}

func zitadelJWTsPass(t *testing.T, op *openIDProvider) {
	g := startGateway(t, op.trust(zitadelJWT)+`
		forward_claim sub X-User
		forward_claim custom_claim.client X-Client`)
	seen := g.accepts(t, op.login(t, zitadelJWT).AccessToken)
	for name, want := range map[string]string{"X-User": "id2", "X-Client": zitadelJWT, "Authorization": ""} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("%s: %q at the backend, want %q", name, got, want)
		}
	}
}

func zitadelOthersAreRefused(t *testing.T, op *openIDProvider) {
	tokens := op.login(t, zitadelJWT)
	g := startGateway(t, op.trust(zitadelJWT))
	g.accepts(t, tokens.AccessToken)
	t.Run("ID token", func(t *testing.T) { // its audience is the right one
		g.refuses(t, tokens.IDToken, http.StatusUnauthorized, "invalid_token")
	})
	t.Run("refresh token", func(t *testing.T) {
		g.refuses(t, tokens.RefreshToken, http.StatusUnauthorized, "invalid_token")
	})
	t.Run("opaque token, without introspection", func(t *testing.T) {
		g.refuses(t, op.login(t, zitadelOpaque).AccessToken, http.StatusUnauthorized, "invalid_token")
	})
	t.Run("another audience", func(t *testing.T) {
		startGateway(t, op.trust(zitadelOpaque)).
			refuses(t, tokens.AccessToken, http.StatusUnauthorized, "invalid_token")
	})
	t.Run("the issuer without its slash", func(t *testing.T) {
		directive := strings.Replace(op.trust(zitadelJWT), op.Issuer, strings.TrimSuffix(op.Issuer, "/"), 1)
		startGateway(t, directive).refuses(t, tokens.AccessToken, http.StatusUnauthorized, "invalid_token")
	})
}

func zitadelForgedAreRefused(t *testing.T, op *openIDProvider) {
	token := op.login(t, zitadelJWT).AccessToken
	g := startGateway(t, op.trust(zitadelJWT))
	g.accepts(t, token) // also so that a cache cannot mistake one for the other
	parts := strings.Split(token, ".")
	for i, part := range []string{"header", "payload", "signature"} {
		t.Run(part+" changed", func(t *testing.T) {
			changed := append([]string(nil), parts...)
			changed[i] = flip(changed[i])
			g.refuses(t, strings.Join(changed, "."), http.StatusUnauthorized, "invalid_token")
		})
	}
	t.Run("signed by a stranger", func(t *testing.T) {
		text := make([]string, 2)
		for i := range text {
			decoded, err := base64.RawURLEncoding.DecodeString(parts[i])
			if err != nil {
				t.Fatal(err)
			}
			text[i] = string(decoded)
		}
		stranger := tokentest.NewKey(t, "RS256", "stranger") // the header names the server's key all the same
		g.refuses(t, stranger.SignRaw(text[0], text[1]), http.StatusUnauthorized, "invalid_token")
	})
	g.accepts(t, token)
}

// The server's answers about tokens have no aud, so that no audience can be asked for, and no token_type, so that
// another member must say that it is about an access token. See "What is checked of an answer" in docs/introspection.md.
func zitadelOpaquePassUntilRevoked(t *testing.T, op *openIDProvider) {
	tokens := op.login(t, zitadelOpaque)
	g := startGateway(t, op.trust("any", "require email", op.introspection("opaque", zitadelOpaque, "cache_ttl 0s"))+`
		forward_claim sub X-User
		forward_claim client_id X-Client`)
	seen := g.accepts(t, tokens.AccessToken)
	for name, want := range map[string]string{"X-User": "id2", "X-Client": zitadelOpaque, "Authorization": ""} {
		if got := seen.Header.Get(name); got != want {
			t.Errorf("%s: %q at the backend, want %q", name, got, want)
		}
	}
	g.refuses(t, tokens.RefreshToken, http.StatusUnauthorized, "invalid_token")
	g.refuses(t, flip(tokens.AccessToken), http.StatusUnauthorized, "invalid_token")

	op.revoke(t, zitadelOpaque, tokens.AccessToken)
	g.refuses(t, tokens.AccessToken, http.StatusUnauthorized, "invalid_token")
	g.accepts(t, op.login(t, zitadelOpaque).AccessToken)
}

func zitadelJWTsPassUntilRevoked(t *testing.T, op *openIDProvider) {
	g := startGateway(t, op.trust(zitadelJWT, op.introspection("always", zitadelJWT, "cache_ttl 0s")))
	token := op.login(t, zitadelJWT).AccessToken
	g.accepts(t, token)
	op.revoke(t, zitadelJWT, token)
	g.refuses(t, token, http.StatusUnauthorized, "invalid_token")
	startGateway(t, op.trust(zitadelJWT)).accepts(t, token) // nobody asks the server, and the token has not expired
}
