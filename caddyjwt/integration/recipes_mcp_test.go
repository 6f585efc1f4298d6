package integration

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// mcpServer is what the recipes of docs/mcp.md guard, and whose tokens they accept.
type mcpServer struct {
	*site
	key *tokentest.Key
	as  *tokentest.AS
}

func newMCPServer(t *testing.T) *mcpServer {
	t.Helper()
	key := tokentest.NewKey(t, "ES256", "e1")
	return &mcpServer{site: prepare(t), key: key, as: tokentest.NewAS(t, tokentest.WithKeys(key))}
}

// mcpRecipe is recipeIn for docs/mcp.md. issuer is the one in the recipe.
func (s *mcpServer) mcpRecipe(section string, n int, issuer string) {
	s.t.Helper()
	s.recipeIn("mcp.md", section, n, issuer, s.as.URL, "localhost:3000", s.upstream.addr())
}

func (s *mcpServer) token(changes ...any) string {
	s.t.Helper()
	return s.key.Sign(s.t, issuedBy(s.as.URL, append([]any{"aud", mcp}, changes...)...))
}

// post sends a message as MCP clients do.
func (s *mcpServer) post(token, message string, header ...string) answer {
	s.t.Helper()
	r := s.request(http.MethodPost, "/mcp", strings.NewReader(message),
		append(header, "Content-Type", "application/json", "Accept", "application/json, text/event-stream")...)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return s.do(r)
}

const (
	initialize = `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}`
	callOf     = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"NAME","arguments":{}}}`
)

// document is the metadata of a resource.
type document struct {
	Resource string   `json:"resource"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
}

func (s *mcpServer) document(path string) (d document) {
	s.t.Helper()
	a := s.get(path, "")
	if err := json.Unmarshal([]byte(a.body), &d); err != nil || a.StatusCode != http.StatusOK {
		s.t.Fatalf("the metadata: status %d, %v in %q", a.StatusCode, err, a.body)
	}
	return d
}

// documented fails if the manual does not show this challenge as it came.
func (s *mcpServer) documented(a answer) {
	s.t.Helper()
	text, err := os.ReadFile("../../docs/mcp.md")
	if err != nil {
		s.t.Fatal(err)
	}
	whole := strings.Join(a.Header.Values("WWW-Authenticate"), " | ")
	short := strings.Replace(whole, `resource_metadata="https://mcp.example.com`+mcpMetadata+`"`, "…", 1)
	if whole == "" || short == whole || !strings.Contains(string(text), "`"+short+"`") &&
		!strings.Contains(string(text), "\nWWW-Authenticate: "+whole+"\n") {
		s.t.Errorf("docs/mcp.md has no challenge `%s`", short)
	}
}

func TestRecipeOfAProtectedMCPServer(t *testing.T) {
	s := newMCPServer(t)
	s.mcpRecipe("Five lines", 1, "https://auth.example.com")

	a := s.post("", initialize)
	if a.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: status %d", a.StatusCode)
	}
	s.documented(a)
	s.neverCached(a)

	text, err := os.ReadFile("../../docs/mcp.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(text)
	var want, got map[string]any
	if err := json.Unmarshal(shown[1], &want); err != nil {
		t.Fatal(err)
	}
	want["authorization_servers"] = []any{s.as.URL}
	if err := json.Unmarshal([]byte(s.get(mcpMetadata, "").body), &got); err != nil {
		t.Fatal(err)
	}
	if asJSON(t, got) != asJSON(t, want) {
		t.Errorf("the metadata is %s, and docs/mcp.md shows %s", asJSON(t, got), asJSON(t, want))
	}

	seen := s.passed(s.post(s.token(), initialize))
	if seen.Header.Get("Authorization") != "" {
		t.Error("the server behind the gate sees the token")
	}
	for _, aud := range []string{"https://mcp.example.com", mcp + "/", "https://mcp.example.com/other"} {
		s.refused(s.post(s.token("aud", aud), initialize), http.StatusUnauthorized, "invalid_audience")
	}
}

// Every challenge that the manual shows is one that the gate sends.
func TestRecipeOfWhatMCPClientsSee(t *testing.T) {
	s := newMCPServer(t)
	s.mcpRecipe("Authorization servers", 1, "https://auth.example.com/realms/main")
	for reason, token := range map[string]string{
		"missing_token":      "",
		"expired":            s.token("scope", "mcp:tools", "iat", 1, "exp", 2),
		"invalid_audience":   s.token("scope", "mcp:tools", "aud", "https://other.example.com"),
		"insufficient_scope": s.token(),
	} {
		want := http.StatusUnauthorized
		if reason == "insufficient_scope" {
			want = http.StatusForbidden
		}
		a := s.post(token, initialize)
		s.refused(a, want, reason)
		s.documented(a)
	}
	s.passed(s.post(s.token("scope", "mcp:tools"), initialize))
	if d := s.document(mcpMetadata); asJSON(t, d.Scopes) != `["mcp:tools"]` {
		t.Errorf("the metadata has the scopes %q", d.Scopes)
	}
}

// Entra ID grants scopes by a short name that clients must ask for by a long one, and its audience is a GUID.
func TestRecipeOfEntraID(t *testing.T) {
	s := newMCPServer(t)
	const guid, long = "5f1c0e9d-0000-0000-0000-000000000002", mcp + "/tools.read"
	s.mcpRecipe("Authorization servers", 2, "https://login.microsoftonline.com/5f1c0e9d-0000-0000-0000-000000000001/v2.0")
	s.passed(s.post(s.token("aud", guid, "scp", "tools.read tools.execute"), initialize))
	s.refused(s.post(s.token("scp", "tools.read"), initialize), http.StatusUnauthorized, "invalid_audience")
	weak := s.post(s.token("aud", guid, "scp", "tools.execute"), initialize)
	s.refused(weak, http.StatusForbidden, "insufficient_scope")
	for _, a := range []answer{weak, s.post("", initialize)} {
		challenge, err := parseChallenge(a.Header.Get("WWW-Authenticate"))
		if err != nil || challenge["scope"] != long {
			t.Errorf("the challenge names the scope %q, want %q: %v", challenge["scope"], long, err)
		}
	}
	if d := s.document(mcpMetadata); asJSON(t, d.Scopes) != `["`+long+`"]` {
		t.Errorf("the metadata has the scopes %q", d.Scopes)
	}
}

func TestRecipeOfRightsForEachTool(t *testing.T) {
	s := newMCPServer(t)
	s.mcpRecipe("Rights for each tool", 1, "https://auth.example.com")
	call := func(name string) string { return strings.Replace(callOf, "NAME", name, 1) }

	for _, scope := range []string{"orders:read", "orders:write", "orders:admin"} {
		token := s.token("scope", scope)
		s.passed(s.post(token, initialize))
		s.passed(s.post(token, call("list_orders")))
		a := s.post(token, call("cancel_order"))
		if scope == "orders:read" {
			s.refused(a, http.StatusForbidden, "insufficient_scope")
			s.documented(a)
		} else {
			s.passed(a)
		}
		closed := s.post(token, call("drop_orders"))
		s.refused(closed, http.StatusForbidden, "tool_denied")
		s.documented(closed)
	}
	if a := s.post(s.token("scope", "orders:read"), "["+call("list_orders")+"]"); a.StatusCode != http.StatusBadRequest {
		t.Errorf("a batch: status %d", a.StatusCode)
	}
	s.drain()
}

func TestRecipeOfSeveralMCPServers(t *testing.T) {
	s := newMCPServer(t)
	s.recipeIn("mcp.md", "Several servers on one host", 1, "https://auth.example.com", s.as.URL,
		"localhost:3001", s.upstream.addr(), "localhost:3002", s.upstream.addr())
	for _, name := range []string{"mail", "files"} {
		resource := "https://mcp.example.com/" + name
		if d := s.document("/.well-known/oauth-protected-resource/" + name); d.Resource != resource ||
			asJSON(t, d.Scopes) != `["`+name+`:read"]` || asJSON(t, d.Servers) != asJSON(t, []string{s.as.URL}) {
			t.Errorf("the metadata of %s is %+v", name, d)
		}
		for _, other := range []string{"mail", "files"} {
			a := s.get("/"+other, s.token("aud", resource, "scope", "mail:read files:read"))
			if other == name {
				s.passed(a)
			} else {
				s.refused(a, http.StatusUnauthorized, "invalid_audience")
			}
		}
	}
}
