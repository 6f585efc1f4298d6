//go:build e2e

package e2e_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// documented runs the n-th Caddyfile of a section of docs/providers.md, with other texts in place of some of its own.
func documented(t *testing.T, section string, n int, changes ...string) *gate {
	t.Helper()
	document, err := os.ReadFile("../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(document), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	blocks := strings.Split(text, "```caddyfile\n")
	if len(blocks) <= n {
		t.Fatalf("the section %q has %d Caddyfiles", section, len(blocks)-1)
	}
	text, _, _ = strings.Cut(blocks[n], "```")
	_, inside, _ := strings.Cut(text, "{\n") // after the address of the site
	inside = strings.TrimSuffix(inside, "}\n")
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(inside, changes[i]) {
			t.Fatalf("%q is not in the Caddyfile:\n%s", changes[i], inside)
		}
	}
	return startSite(t, func(backend string) string {
		return strings.NewReplacer(append(changes, "localhost:9000", backend)...).Replace(inside)
	})
}

func TestTheDocumentedBlocksOfOIDCProvider(t *testing.T) {
	const section, issuer, scope = "oidc-provider", "https://auth.example.com", "orders:read"
	g := documented(t, section, 1, issuer, provider.Issuer, scope, "read")
	g.accepts(t, provider.token(t, provider.Issuer, "ES256", "read"))
	g.refuses(t, provider.token(t, provider.Issuer, "ES256", "write"), http.StatusForbidden, "insufficient_scope")
	g.refuses(t, provider.token(t, provider.Issuer, "elsewhere", "read"), http.StatusUnauthorized, "invalid_token")
	g.refuses(t, provider.token(t, provider.Issuer, "opaque", "read"), http.StatusUnauthorized, "invalid_token")
	g.refuses(t, provider.refreshToken(t), http.StatusUnauthorized, "invalid_token")

	gateway := provider.Clients["basic"]
	g = documented(t, section, 2, issuer, provider.Issuer, "client_id gateway", "client_id `"+gateway.ID+"`",
		"{env.GATEWAY_SECRET}", "`"+gateway.Secret+"`")
	g.accepts(t, provider.token(t, provider.Issuer, "opaque", "read"))
	g.accepts(t, provider.token(t, provider.Issuer, "ES256", "read"))
	g.refuses(t, provider.token(t, provider.Issuer, "opaqueElsewhere", "read"), http.StatusUnauthorized, "invalid_token")
	g.refuses(t, provider.refreshToken(t), http.StatusUnauthorized, "invalid_token")
}
