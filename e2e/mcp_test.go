//go:build e2e

package e2e_test

import "testing"

const mcpSite = `
	handle /.well-known/oauth-protected-resource/mcp {
		header Content-Type application/json
		respond "{\"resource\":\"{origin}/mcp\",\"authorization_servers\":[\"{issuer}\"]}"
	}
	handle {
		bearer_auth {
			issuer {issuer} {
				audience {origin}/mcp
			}
			require scope mcp:tools
			forward_claims X-Subject sub
		}
		reverse_proxy {backend}
	}
`

func TestAnMCPClientFindsItsWayFromTheRefusalAlone(t *testing.T) {
	h := startMCPHost(t, mcpSite)
	provider.protect(t, h.origin+"/mcp")

	report := h.play(t, "everything", map[string]any{"url": "{origin}/mcp"})
	report, streams := without(report, "GET /mcp 200")
	if streams != 1 {
		t.Errorf("the client opened %d streams, want 1", streams)
	}
	report, _ = without(report, "POST /mcp 200 tools/call heard")
	h.sameReport(t, report, `
		POST /mcp 401 initialize Bearer realm="api", scope="mcp:tools"
		GET /.well-known/oauth-protected-resource/mcp 200
		GET as:/.well-known/oauth-authorization-server 200
		POST as:/reg 201 mcp:tools
		authorize S256 resource={origin}/mcp scope=mcp:tools
		GET /.well-known/oauth-protected-resource/mcp 200
		GET as:/.well-known/oauth-authorization-server 200
		POST as:/token 200 authorization_code resource={origin}/mcp
		POST /mcp 200 initialize
		POST /mcp 202 notifications/initialized
		session begun
		POST /mcp 200 tools/call add
		result add 3
		POST /mcp 200 tools/call headers
		result headers {"authorization":null,"subject":"alice"}
		POST /mcp 200 tools/call stepwise
		progress 1
		progress 2
		progress 3
		result stepwise done
		POST /mcp 200 tools/call announce
		result announce announced
		heard on the stream: hello
		DELETE /mcp 200
		the same session to the end`)
}
