//go:build e2e

package e2e_test

import (
	"strings"
	"testing"
)

func TestTwoMCPServersOnOneHost(t *testing.T) {
	t.Parallel()
	server := `
		handle /COLOUR/* {
			bearer_auth {
				issuer {issuer}
				resource {origin}/COLOUR/mcp
				require scope mcp:SCOPE
				forward_claims X-Subject sub
			}
			reverse_proxy {backend}
		}
		protected_resource {origin}/COLOUR/mcp
	`
	h := startMCPHost(t, strings.NewReplacer("COLOUR", "blue", "SCOPE", "tools").Replace(server)+
		strings.NewReplacer("COLOUR", "green", "SCOPE", "write").Replace(server))
	provider.protect(t, h.origin+"/blue/mcp")
	provider.protect(t, h.origin+"/green/mcp")
	t.Run("the token of one is refused by the other", func(t *testing.T) {
		report := h.play(t, "elsewhere", map[string]any{"url": "{origin}/blue/mcp", "other": "{origin}/green/mcp"})
		h.sameReport(t, report, wayIn("/blue/mcp", "mcp:tools"), `
			GET /green/mcp 401 `+challenge("/green/mcp", "invalid_token", "mcp:write"))
	})
	t.Run("each shows the way to itself", func(t *testing.T) {
		report := h.play(t, "calls", map[string]any{"url": "{origin}/green/mcp", "tools": []string{"headers"}})
		h.sameReport(t, report, wayIn("/green/mcp", "mcp:write"), `
			POST /green/mcp 200 tools/call headers
			`+headersResult)
	})
}

func TestAnOldMCPClientFindsTheAuthorizationServer(t *testing.T) {
	t.Parallel()
	h := startMCPHost(t, strings.Replace(mcpSite, "require", "auth_server_metadata proxy\n require", 1))
	report := h.play(t, "old", map[string]any{"url": "{origin}/mcp", "issuer": "{issuer}", "tools": []string{"headers"}})
	h.sameReport(t, report, `
		POST /mcp 401 initialize Bearer realm="api", scope="mcp:tools", resource_metadata="{metadata}/mcp"
		GET /.well-known/oauth-authorization-server 200
		POST as:/reg 201 mcp:tools
		authorize S256 resource=null scope=mcp:tools
		GET /.well-known/oauth-authorization-server 200
		POST as:/token 200 authorization_code
		POST /mcp 200 initialize
		POST /mcp 202 notifications/initialized
		POST /mcp 200 tools/call headers
		`+headersResult)
}
