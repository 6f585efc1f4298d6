package integration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// explain judges a message as the gate would, and lists what the caller may do. It says neither of a caller whom nobody
// knows without a server.
func TestExplainJudgesMessages(t *testing.T) {
	const issuer = "https://as.example"
	key := tokentest.NewKey(t, "ES256", "k1")
	block := issuerWithKeys(issuer, "file "+newFile(t, "key.pem", key.PublicPEM()))
	signed := func(scopes string) string { return key.Sign(t, issuedBy(issuer, "scope", scopes)) }
	asked := issuerBlock(issuer, "audience "+audience, "introspect opaque {\nclient_id a\nclient_secret b\n}")
	post := func(body string) string {
		return "POST /mcp HTTP/1.1\nHost: x\nContent-Type: application/json\nAuthorization: Bearer %s\n\n" + body
	}
	const nobodyKnown, none = "nobody knows yet", ""
	for name, c := range map[string]struct {
		lines                []string
		token, input         string
		status               int
		message, reason      string // result of the rule, or its detail; reason of the refusal
		allowed, scopesAsked string
	}{
		"a token alone": {lines: []string{block}, token: signed("tools"), message: none,
			allowed: "read_file tools/call"},
		"a token of somebody with all scopes": {lines: []string{block}, message: none,
			token: signed("tools files:read files:write resources"), allowed: "read_file delete_file resources/read tools/call"},
		"a message that may be sent": {lines: []string{block}, token: signed("tools"), input: post(call("read_file")),
			message: "pass", allowed: "read_file tools/call"},
		"a message that lacks scopes": {lines: []string{block}, token: signed("tools"), input: post(call("delete_file")),
			status: 1, message: "fail", reason: "insufficient_scope", allowed: "read_file tools/call",
			scopesAsked: "tools files:read files:write"},
		"a message whose user must sign in again": {lines: []string{"require acr gold", block}, token: signed("tools"),
			input: post(call("delete_file")), status: 1, message: "fail", reason: "insufficient_user_authentication",
			allowed: "read_file tools/call", scopesAsked: "tools files:read files:write"},
		"a request without a message": {lines: []string{block}, token: signed("tools"), message: none,
			input: "curl -H 'Authorization: Bearer %s' https://x/mcp", allowed: "read_file tools/call"},
		"a token that only a server can read": {lines: []string{asked}, token: "opaque-token",
			input: post(call("read_file")), status: 3, message: nobodyKnown},
		"the same, and a message that nobody may send": {lines: []string{asked}, token: "opaque-token",
			input: post(call("drop_tables")), status: 1, message: "fail", reason: "tool_denied"},
		"a forged token": {lines: []string{block}, token: tokentest.FlipSignature(t, signed("tools")), status: 1,
			input: post(call("read_file")), message: "pass", reason: "invalid_signature", allowed: "read_file tools/call"},
		"a token that is broken": {lines: []string{block}, token: signed("tools")[:40], status: 1,
			input: post(call("read_file")), message: nobodyKnown, reason: "malformed_token"},
		"a public path": {lines: []string{"public /mcp", block}, token: signed("tools"), status: 1,
			input: post(call("delete_file")), message: "fail", reason: "tool_denied"},
		"somebody without a token": {lines: []string{"optional", block}, status: 1, reason: "missing_token",
			input: strings.Replace(post(call("delete_file")), "Authorization: Bearer %s\n", "", 1), message: "fail",
			scopesAsked: "tools files:read files:write"},
	} {
		t.Run(name, func(t *testing.T) {
			typed := (&refusal{token: c.token, input: c.input}).typed()
			out, status := explain(t, typed, "--json", "--config", caddyfileFor(t, append(c.lines, mcpBlock)...), "-")
			var report struct {
				Gates []struct {
					Reason string
					Steps  []explainedStep
					Answer struct{ Header map[string][]string }
					MCP    struct {
						Tools, Methods []struct {
							Name    string
							Allowed bool
						}
					}
				}
			}
			if err := json.Unmarshal([]byte(out), &report); err != nil {
				t.Fatal(err)
			}
			g := report.Gates[0]
			message, allowed := none, []string(nil)
			for _, step := range g.Steps {
				if step.Rule == "message" {
					message = step.Result
					if message == "not_checked" {
						message = step.Detail
					}
				}
			}
			for _, one := range append(g.MCP.Tools, g.MCP.Methods...) {
				if one.Allowed {
					allowed = append(allowed, one.Name)
				}
			}
			if status != c.status || g.Reason != c.reason || !strings.HasPrefix(message, c.message) ||
				(message == none) != (c.message == none) || strings.Join(allowed, " ") != c.allowed {
				t.Errorf("status %d, reason %q, message %q, allowed %q:\n%s", status, g.Reason, message, allowed, out)
			}
			if c.scopesAsked != "" && !strings.Contains(strings.Join(g.Answer.Header["Www-Authenticate"], ""),
				`scope="`+c.scopesAsked+`"`) {
				t.Errorf("answer %v", g.Answer.Header)
			}
		})
	}
}
