package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Auth0's issuer ends in a slash, and without its compatibility profile tokens are encrypted.
func TestRecipeOfAuth0(t *testing.T) {
	s := newMCPServer(t)
	issuer := s.as.URL + "/"
	s.as.ChangeMetadata(func(document map[string]any) { document["issuer"] = issuer })
	s.recipeIn("mcp.md", "Authorization servers", 3, "https://example.eu.auth0.com/", issuer,
		"localhost:3000", s.upstream.addr())
	s.passed(s.post(s.token("iss", issuer, "scope", "read:tools"), initialize))
	s.refused(s.post(s.token("scope", "read:tools"), initialize), http.StatusUnauthorized, "unknown_issuer")
	s.refused(s.post(s.token("iss", issuer, "permissions", []string{"read:tools"}), initialize),
		http.StatusForbidden, "insufficient_scope")
	s.refused(s.post("eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..aaaa.bbbb.cccc", initialize),
		http.StatusUnauthorized, "malformed_token")
	if !s.logged("encrypted token (JWE)") {
		t.Error("the log does not have the cause that docs/mcp.md names")
	}
	if d := s.document(mcpMetadata); asJSON(t, d.Servers) != asJSON(t, []string{issuer}) {
		t.Errorf("the metadata is %+v", d)
	}
	// The line for RBAC in place of the one about scopes.
	s.loadFile(strings.Replace(s.recipeText("mcp.md", "Authorization servers", 3, "https://example.eu.auth0.com/", issuer,
		"localhost:3000", s.upstream.addr()), "require scope read:tools", "require claim permissions read:tools", 1))
	s.passed(s.post(s.token("iss", issuer, "permissions", []string{"read:tools"}), initialize))
	a := s.post(s.token("iss", issuer, "scope", "read:tools"), initialize)
	s.refused(a, http.StatusForbidden, "claim_mismatch")
	if strings.Contains(a.Header.Get("WWW-Authenticate"), "scope=") {
		t.Errorf("the challenge names a scope: %s", a.Header.Get("WWW-Authenticate"))
	}
}

func TestRecipeOfOIDCProvider(t *testing.T) {
	s := newMCPServer(t)
	s.mcpRecipe("Authorization servers", 4, "https://auth.example.com")
	s.passed(s.post(s.token("scope", "mcp:tools"), initialize))
	s.documented(s.post("", initialize))
	if a := s.post("opaque-token-of-the-provider", initialize); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d for an opaque token", a.StatusCode)
	}
}

func TestRecipeOfMCPClientsInABrowser(t *testing.T) {
	const inspector = "http://localhost:6274"
	s := newMCPServer(t)
	s.mcpRecipe("Clients in a browser", 1, "https://auth.example.com")
	preflight := func(origin string) answer {
		return s.raw("OPTIONS /mcp HTTP/1.1\r\nHost: gate.test\r\nOrigin: " + origin +
			"\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type," +
			"last-event-id,mcp-method,mcp-name,mcp-protocol-version,mcp-session-id\r\n\r\n")
	}
	if a := preflight(inspector); a.StatusCode != http.StatusNoContent {
		t.Errorf("preflight: status %d, fields %v", a.StatusCode, a.Header)
	}
	if a := preflight(stranger); a.StatusCode != http.StatusForbidden {
		t.Errorf("preflight of another page: status %d", a.StatusCode)
	}
	s.nothingForwarded()
	s.upstream.answer = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Mcp-Session-Id", "1") }
	for _, token := range []string{"", s.token()} {
		for _, origin := range []string{inspector, stranger} {
			a := s.post(token, initialize, "Origin", origin)
			s.readable(a, origin, origin == inspector)
			if exposed := a.Header.Get("Access-Control-Expose-Headers"); origin == inspector &&
				!strings.Contains(exposed, "Mcp-Session-Id") {
				t.Errorf("exposed: %s", exposed)
			}
		}
	}
	for _, origin := range []string{inspector, stranger} {
		if a := s.get(mcpMetadata, "", "Origin", origin); a.Header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("a page of %s cannot read the metadata: %v", origin, a.Header)
		}
	}
}

// A stream ends with its token, leeway included. The client comes back, learns why, and goes on with a new token.
func TestRecipeOfLongMCPStreams(t *testing.T) {
	s := newMCPServer(t)
	s.mcpRecipe("Long streams", 1, "https://auth.example.com")
	var gone chan struct{}
	s.upstream.answer, gone = streams("text/event-stream", "data: {}\n\n")
	const leeway = 5 * time.Second // the default
	stream := func(token string) *http.Response {
		r := s.request(http.MethodGet, "/mcp", nil, "Accept", "text/event-stream", "Authorization", "Bearer "+token)
		response, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	for life := 500 * time.Millisecond; ; life *= 2 {
		ends := time.Now().Add(life)
		short := s.token("exp", float64(ends.Add(-leeway).UnixMicro())/1e6)
		response := stream(short)
		if response.StatusCode == http.StatusUnauthorized && life < patience {
			continue // the machine is busy
		}
		text, err := io.ReadAll(response.Body)
		notBefore(t, ends)
		if response.StatusCode != http.StatusOK || string(text) != "data: {}\n\n" || err != nil {
			t.Fatalf("status %d, read %q, %v", response.StatusCode, text, err)
		}
		arrives(t, "the server behind the gate is free", gone)
		if again := stream(short); again.StatusCode != http.StatusUnauthorized ||
			!strings.Contains(again.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("status %d, challenge %q", again.StatusCode, again.Header.Get("WWW-Authenticate"))
		}
		break
	}
	if again := stream(s.token()); again.StatusCode != http.StatusOK {
		t.Errorf("status %d with a new token", again.StatusCode)
	}
}

// Clients of MCP 2025-03-26 look for the authorization server at the host of the MCP server.
func TestRecipeOfOldMCPClients(t *testing.T) {
	s := newMCPServer(t)
	s.mcpRecipe("Revisions of MCP", 1, "https://auth.example.com")
	a := s.get(serverPath, "")
	var document struct{ Issuer string }
	if err := json.Unmarshal([]byte(a.body), &document); err != nil || a.StatusCode != http.StatusOK ||
		document.Issuer != s.as.URL {
		t.Errorf("status %d, body %q", a.StatusCode, a.body)
	}
	if d := s.document(mcpMetadata); d.Resource != mcp {
		t.Errorf("the metadata is %+v", d)
	}
	s.passed(s.post(s.token(), initialize))
}
