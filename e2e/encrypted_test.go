//go:build e2e

package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// decrypts is the block for the keys of the API.
func decrypts(t *testing.T, more ...string) string {
	t.Helper()
	var lines []string
	for kid, text := range provider.Decryption {
		path := filepath.Join(t.TempDir(), kid+".key")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, "key "+path+" "+kid)
	}
	if len(lines) != 2 {
		t.Fatalf("%d keys", len(lines))
	}
	return "decrypt {\n" + strings.Join(append(lines, more...), "\n") + "\n}"
}

// oidc-provider signs access tokens and encrypts them for the API. It repeats iss and aud in the outer header.
func TestEncryptedAccessTokens(t *testing.T) {
	g := startGateway(t, trust(provider.Issuer, "profile rfc9068", decrypts(t))+"\nforward_claims X-Client client_id")
	plain := startGateway(t, trust(provider.Issuer, "profile rfc9068"))
	for _, resource := range []string{"ECDH-ES A256GCM", "ECDH-ES+A256KW A128CBC-HS256", "RSA-OAEP-256 A256CBC-HS512"} {
		t.Run(resource, func(t *testing.T) {
			token := provider.token(t, provider.Issuer, resource, "read")
			if strings.Count(token, ".") != 4 {
				t.Fatalf("not encrypted: %s", token)
			}
			for range 3 {
				if _, seen := g.get(t, token); seen == nil || seen.Header.Get("X-Client") != "caller" {
					t.Errorf("the backend saw %+v", seen)
				}
			}
			plain.refuses(t, token, http.StatusUnauthorized, "invalid_token")
			g.refuses(t, token[:len(token)-3]+"AAA", http.StatusUnauthorized, "invalid_token")
		})
	}
}

func TestEncryptionMayBeRequired(t *testing.T) {
	g := startGateway(t, trust(provider.Issuer, decrypts(t, "required")))
	g.accepts(t, provider.token(t, provider.Issuer, "ECDH-ES A256GCM", "read"))
	g.refuses(t, provider.token(t, provider.Issuer, "ES256", "read"), http.StatusUnauthorized, "invalid_token")
}
