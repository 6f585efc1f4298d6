package integration

import (
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// A tool that needs more scopes is refused in the scheme of the token, so that an MCP client knows what to ask for.
func TestProofAndRightsOfTools(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	client := tokentest.NewProver(t, "ES256")
	token := key.Sign(t, issuedBy(as.URL, "sub", "zoe", "scope", "tools", "cnf",
		map[string]any{"jkt": client.Thumbprint()}))
	for _, how := range []string{"proof dpop", "proof dpop required"} {
		s := start(t, gateFor(issuerByJWKS(as), how, mcpBlock))
		proof := client.Proof(t, "POST", s.base+"/mcp", token)
		a := s.do(s.request("POST", "/mcp", strings.NewReader(call("delete_file")), "Content-Type", jsonType,
			"Accept", jsonType+", text/event-stream", "Authorization", "DPoP "+token, "DPoP", proof))
		challenges := a.Header.Values("WWW-Authenticate")
		if a.StatusCode != 403 || len(challenges) != 1 ||
			!strings.HasPrefix(challenges[0], `DPoP realm="api", error="insufficient_scope"`) {
			t.Errorf("%s: %d, challenges %q", how, a.StatusCode, challenges)
		}
	}
}
