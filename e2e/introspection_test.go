//go:build e2e

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// introspection is an issuer block that asks the authorization server about opaque tokens, as one of its clients.
func introspection(t *testing.T, client string, more ...string) string {
	t.Helper()
	as, ok := provider.Clients[client]
	if !ok {
		t.Fatalf("the authorization server knows no client called %q", client)
	}
	lines := []string{"client_id `" + as.ID + "`", "auth_method " + as.Method}
	if as.Secret != "" {
		lines = append(lines, "client_secret `"+as.Secret+"`")
	}
	if as.PrivateKey != "" {
		file := filepath.Join(t.TempDir(), "client.key")
		if err := os.WriteFile(file, []byte(as.PrivateKey), 0o600); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, "private_key "+file+" gateway")
	}
	return fmt.Sprintf("introspect opaque {\n%s\n}", strings.Join(append(lines, more...), "\n"))
}

func TestOpaqueTokensPassWithEveryWayToAuthenticateTheGateway(t *testing.T) {
	tests := []struct {
		name   string
		client string
		more   []string
	}{
		{"client_secret_basic", "basic", nil},
		{"client_secret_basic with characters that need encoding", "oddBasic", nil},
		{"client_secret_post", "post", nil},
		{"client_secret_post with characters that need encoding", "oddPost", nil},
		{"client_secret_jwt", "secretJWT", nil},
		{"private_key_jwt", "privateKeyJWT", nil},
		{"signed answers", "signed", []string{"signed"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := startGateway(t, trust(provider.Issuer, introspection(t, test.client, test.more...))+
				"forward_claims X-Client client_id\n")
			seen := g.accepts(t, provider.token(t, provider.Issuer, "opaque", "read"))
			if got := seen.Header.Get("X-Client"); got != "caller" {
				t.Errorf("X-Client %q at the backend, want caller", got)
			}
			g.accepts(t, provider.token(t, provider.Issuer, "ES256", "read")) // not an opaque one
		})
	}
}

func TestOpaqueTokensPassWithACertificateThatAuthenticatesTheGateway(t *testing.T) {
	tls := fmt.Sprintf("tls {\n ca %s\n client_cert %s\n client_key %s\n}",
		provider.identity.ca, provider.identity.clientCert, provider.identity.clientKey)
	endpoint := "endpoint " + provider.MTLS + "/token/introspection"
	g := startGateway(t, trust(provider.Issuer, tls, introspection(t, "certificate", endpoint)))
	g.accepts(t, provider.token(t, provider.Issuer, "opaque", "read"))
}

func TestOpaqueTokensThatAreNotGoodHereAreRefused(t *testing.T) {
	g := startGateway(t, trust(provider.Issuer, introspection(t, "basic"))+"require scope write\n")
	t.Run("unknown to the authorization server", func(t *testing.T) {
		g.refuses(t, "Zm9yZ2VkIGJ5IHNvbWVib2R5IGVsc2U", http.StatusUnauthorized, "invalid_token")
	})
	t.Run("another audience", func(t *testing.T) {
		token := provider.token(t, provider.Issuer, "opaqueElsewhere", "read write")
		g.refuses(t, token, http.StatusUnauthorized, "invalid_token")
	})
	t.Run("without the scope of the route", func(t *testing.T) {
		g.refuses(t, provider.token(t, provider.Issuer, "opaque", "read"), http.StatusForbidden, "insufficient_scope")
		g.accepts(t, provider.token(t, provider.Issuer, "opaque", "read write"))
	})
}

// oidc-provider calls refresh tokens active, and says of their kind only that it leaves out token_type.
func TestARefreshTokenIsRefusedWhateverTheAudience(t *testing.T) {
	for name, lines := range map[string][]string{
		"an audience":             {"audience " + api},
		"any audience":            {"audience any"},
		"any audience, no keys":   {"audience any", "keys none"},
		"any, and a member of it": {"audience any", "required_claims token_type"},
	} {
		t.Run(name, func(t *testing.T) {
			block := strings.Join(append(lines, introspection(t, "basic")), "\n")
			g := startGateway(t, fmt.Sprintf("issuer %s {\n%s\n}\n", provider.Issuer, block))
			g.accepts(t, provider.token(t, provider.Issuer, "opaque", "read"))
			g.refuses(t, provider.refreshToken(t), http.StatusUnauthorized, "invalid_token")
		})
	}
}

func TestARevokedTokenIsRefusedWhenTheCacheForgets(t *testing.T) {
	t.Parallel()
	g := startGateway(t, trust(provider.Issuer, introspection(t, "basic", "cache_ttl 1s")))
	token := provider.token(t, provider.Issuer, "opaque", "read")
	g.accepts(t, token)
	provider.revoke(t, token)
	eventually(t, "the revoked token is refused", func() bool {
		res, _ := g.get(t, token)
		return res.StatusCode == http.StatusUnauthorized
	})
	g.refuses(t, token, http.StatusUnauthorized, "invalid_token")
}

func TestAnOpaqueTokenIsRefusedOnceItHasExpiredWhateverTheCacheSays(t *testing.T) {
	t.Parallel()
	g := startGateway(t, trust(provider.Issuer, "leeway 0s", introspection(t, "basic", "cache_ttl 5m")))
	g.accepts(t, provider.token(t, provider.Issuer, "opaque", "read")) // discovery done
	token := provider.token(t, provider.Issuer, "opaqueShort", "read")
	g.accepts(t, token)
	eventually(t, "the expired token is refused", func() bool {
		res, _ := g.get(t, token)
		return res.StatusCode == http.StatusUnauthorized
	})
}

func TestAWrongSecretOfTheGatewayIsNotTheTokensFault(t *testing.T) {
	settings := strings.Replace(introspection(t, "basic"), provider.Clients["basic"].Secret,
		"a secret that was changed", 1)
	g := startGateway(t, trust(provider.Issuer, settings))
	g.refuses(t, provider.token(t, provider.Issuer, "opaque", "read"), http.StatusBadGateway, "")
}

// Somebody on the way asks for a plain answer in place of a signed one, and gets it.
func TestAPlainAnswerIsRefusedWhereSignedOnesAreDemanded(t *testing.T) {
	target, err := url.Parse(provider.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	var answered atomic.Pointer[string]
	between := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, target.Host
			r.Out.Header.Set("Accept", "application/json")
		},
		ModifyResponse: func(r *http.Response) error {
			answer := r.Status + " " + r.Header.Get("Content-Type")
			answered.Store(&answer)
			return nil
		},
	})
	t.Cleanup(between.Close)
	endpoint := "endpoint " + between.URL + target.Path + "/token/introspection"
	token := provider.token(t, provider.Issuer, "opaque", "read")
	startGateway(t, trust(provider.Issuer, introspection(t, "signed", endpoint))).accepts(t, token)
	startGateway(t, trust(provider.Issuer, introspection(t, "signed", endpoint, "signed"))).
		refuses(t, token, http.StatusBadGateway, "")
	if got := *answered.Load(); !strings.HasPrefix(got, "200 OK application/json") {
		t.Errorf("the authorization server answered %s", got)
	}
}

func TestAnAuthorizationServerThatIsDownIsNotTheTokensFault(t *testing.T) {
	as := ownProvider(t)
	token := as.token(t, as.Issuer, "opaque", "read")
	g := startGateway(t, trust(as.Issuer, introspection(t, "basic")))
	as.stop()
	if res := g.refuses(t, token, http.StatusServiceUnavailable, ""); res.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
