//go:build e2e

package e2e_test

import (
	"slices"
	"strings"
	"testing"
)

// mcpSite is an MCP server behind the gateway.
const mcpSite = `
	bearer_auth {
		issuer {issuer}
		resource {origin}/mcp
		require scope mcp:tools
		forward_claims X-Subject sub
	}
	reverse_proxy {backend}`

const headersResult = `result headers {"authorization":null,"subject":"alice"}`

func TestAnMCPClientFindsItsWayFromTheRefusalAlone(t *testing.T) {
	t.Parallel()
	h := startMCPHost(t, mcpSite)
	provider.protect(t, h.origin+"/mcp")

	report := h.play(t, "everything", map[string]any{"url": "{origin}/mcp"})
	if !slices.Contains(report, "GET /mcp 200") {
		t.Error("the client has not opened a stream with GET")
	}
	// What the client says of each step goes its own way.
	report = slices.DeleteFunc(report, func(line string) bool { return strings.HasSuffix(line, "tools/call heard") })
	h.sameReport(t, report, wayIn("/mcp", "mcp:tools"), `
		session begun
		POST /mcp 200 tools/call add
		result add 3
		POST /mcp 200 tools/call headers
		`+headersResult+`
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

func TestAnMCPClientRefreshesATokenThatHasExpired(t *testing.T) {
	t.Parallel()
	h := startMCPHost(t, strings.Replace(mcpSite, "require", "leeway 0s\n require", 1))
	provider.protect(t, h.origin+"/mcp")

	report := h.play(t, "expiry", map[string]any{"url": "{origin}/mcp", "issuer": "{issuer}"})
	h.sameReport(t, report, wayIn("/mcp", "mcp:tools"), `
		expired
		POST /mcp 401 tools/call headers `+challenge("/mcp", "invalid_token", "mcp:tools")+`
		GET /.well-known/oauth-protected-resource/mcp 200
		GET as:/.well-known/oauth-authorization-server 200
		POST as:/token 200 refresh_token resource={origin}/mcp
		POST /mcp 200 tools/call headers
		`+headersResult+`
		the same session`)
}

func TestAnMCPClientAsksForTheScopesThatItsUserHeldBack(t *testing.T) {
	t.Parallel()
	h := startMCPHost(t, strings.Replace(mcpSite, "mcp:tools", "mcp:tools mcp:write", 1))
	report := h.play(t, "grudging", map[string]any{"url": "{origin}/mcp", "issuer": "{issuer}", "scope": "mcp:tools"})
	h.sameReport(t, report,
		strings.Split(wayIn("/mcp", "mcp:tools mcp:write"), "POST /mcp 200")[0], `
		POST /mcp 403 initialize `+challenge("/mcp", "insufficient_scope", "mcp:tools mcp:write")+`
		GET /.well-known/oauth-protected-resource/mcp 200
		GET as:/.well-known/oauth-authorization-server 200
		authorize S256 resource={origin}/mcp scope=mcp:tools mcp:write`, comeBack("/mcp"), `
		POST /mcp 200 tools/call headers
		`+headersResult)
}

func TestAnMCPClientWithoutAUserGetsItsOwnToken(t *testing.T) {
	t.Parallel()
	h := startMCPHost(t, mcpSite)
	provider.protect(t, h.origin+"/mcp")
	report := h.play(t, "machine", map[string]any{"url": "{origin}/mcp", "issuer": "{issuer}",
		"client": provider.Clients["caller"], "scope": "mcp:tools", "tools": []string{"headers"}})
	h.sameReport(t, report, `
		POST /mcp 401 initialize Bearer realm="api", scope="mcp:tools", resource_metadata="{metadata}/mcp"
		GET /.well-known/oauth-protected-resource/mcp 200
		GET as:/.well-known/oauth-authorization-server 200
		POST as:/token 200 client_credentials resource={origin}/mcp scope=mcp:tools
		POST /mcp 200 initialize
		POST /mcp 202 notifications/initialized
		POST /mcp 200 tools/call headers
		result headers {"authorization":null,"subject":"caller"}`)
}

func TestAnMCPServerMayBeAWholeHostOrBelowAPath(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"a whole host": "", "a whole host, with a slash": "/", "below a path": "/teams/blue/mcp",
	} {
		t.Run(name, func(t *testing.T) {
			h := startMCPHost(t, strings.Replace(mcpSite, "{origin}/mcp", "{origin}"+path, 1))
			provider.protect(t, h.origin+path)
			report := h.play(t, "calls", map[string]any{"url": "{origin}" + path, "tools": []string{"headers"}})
			h.sameReport(t, report, wayIn(path, "mcp:tools"), `
				POST `+requested(path)+` 200 tools/call headers
				`+headersResult)
		})
	}
}

func TestAStreamEndsWithItsTokenAndTheClientComesBack(t *testing.T) {
	t.Parallel()
	h := startMCPHost(t, strings.Replace(mcpSite, "require", "leeway 0s\n end_at_expiry\n require", 1))
	provider.protect(t, h.origin+"/mcp")
	report := h.play(t, "cut", map[string]any{"url": "{origin}/mcp", "issuer": "{issuer}"})
	ends := slices.IndexFunc(report, func(line string) bool { return strings.HasPrefix(line, "GET /mcp 401 ") })
	if ends < 0 {
		t.Fatalf("no stream had to be opened again:\n%s", strings.Join(report, "\n"))
	}
	h.sameReport(t, report[ends:], `
		GET /mcp 401 `+challenge("/mcp", "invalid_token", "mcp:tools")+`
		GET /.well-known/oauth-protected-resource/mcp 200
		GET as:/.well-known/oauth-authorization-server 200
		POST as:/token 200 refresh_token resource={origin}/mcp
		POST /mcp 200 tools/call announce
		result announce announced
		heard on the stream: hello`)
}
