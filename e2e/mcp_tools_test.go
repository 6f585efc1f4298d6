//go:build e2e

package e2e_test

import (
	"strings"
	"testing"
)

// toolsSite is an MCP server some of whose tools need more than the others.
var toolsSite = strings.Replace(mcpSite, "forward_claims", `mcp {
			tool write scope mcp:write
			tool administer scope mcp:admin
			default allow
		}
		forward_claims`, 1)

func TestAnMCPClientAsksForTheScopesOfATool(t *testing.T) {
	t.Parallel()
	h := startMCPHost(t, toolsSite)
	provider.protect(t, h.origin+"/mcp")
	report := h.play(t, "stepUp", map[string]any{"url": "{origin}/mcp", "tools": []string{"headers", "write", "headers"}})
	h.sameReport(t, report, wayIn("/mcp", "mcp:tools"), `
		POST /mcp 200 tools/call headers
		`+headersResult+`
		POST /mcp 403 tools/call write `+challenge("/mcp", "insufficient_scope", "mcp:tools mcp:write")+`
		GET /.well-known/oauth-protected-resource/mcp 200
		GET as:/.well-known/oauth-authorization-server 200
		authorize S256 resource={origin}/mcp scope=mcp:tools mcp:write
		GET /.well-known/oauth-protected-resource/mcp 200
		GET as:/.well-known/oauth-authorization-server 200
		POST as:/token 200 authorization_code resource={origin}/mcp
		POST /mcp 200 tools/call write
		result write written
		POST /mcp 200 tools/call headers
		`+headersResult)
}

// The SDK spends its refresh token on a 403, and that gives no new scopes. docs/mcp.md says what to do about it.
func TestAnMCPClientWithARefreshTokenDoesNotGetMoreScopes(t *testing.T) {
	t.Parallel()
	h := startMCPHost(t, toolsSite)
	provider.protect(t, h.origin+"/mcp")
	report := h.play(t, "calls", map[string]any{"url": "{origin}/mcp", "tools": []string{"write"}})
	h.sameReport(t, report, wayIn("/mcp", "mcp:tools"), `
		POST /mcp 403 tools/call write `+challenge("/mcp", "insufficient_scope", "mcp:tools mcp:write")+`
		GET /.well-known/oauth-protected-resource/mcp 200
		GET as:/.well-known/oauth-authorization-server 200
		POST as:/token 200 refresh_token resource={origin}/mcp
		POST /mcp 403 tools/call write `+challenge("/mcp", "insufficient_scope", "mcp:tools mcp:write")+`
		failed write 403 Streamable HTTP error: Server returned 403 after trying upscoping`)
}

func TestABroadScopeIsEnoughForATool(t *testing.T) {
	t.Parallel()
	h := startMCPHost(t, strings.Replace(toolsSite, "mcp {", "scope_implies mcp:admin mcp:write\n mcp {", 1))
	provider.protect(t, h.origin+"/mcp")
	report := h.play(t, "machine", map[string]any{"url": "{origin}/mcp", "issuer": "{issuer}",
		"client": provider.Clients["caller"], "scope": "mcp:tools mcp:admin", "tools": []string{"write"}})
	h.sameReport(t, report[len(report)-2:], `
		POST /mcp 200 tools/call write
		result write written`)
}

func TestHeaderFieldsOfMCPThatRepeatTheBodyPass(t *testing.T) {
	t.Parallel()
	h := startMCPHost(t, toolsSite)
	provider.protect(t, h.origin+"/mcp")
	report := h.play(t, "mirrored", map[string]any{"url": "{origin}/mcp", "tools": []string{"headers"}})
	h.sameReport(t, report, wayIn("/mcp", "mcp:tools"), `
		POST /mcp 200 tools/call headers
		`+headersResult)
}
