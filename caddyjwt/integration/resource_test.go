package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// mcp is the resource of these tests, and mcpMetadata the path of its metadata.
const (
	mcp         = "https://mcp.example.com/mcp"
	mcpMetadata = "/.well-known/oauth-protected-resource/mcp"
)

// resourceGate is a gate for that resource, whose issuer says no audience.
func resourceGate(as *tokentest.AS, lines ...string) string {
	return gateFor(append([]string{issuerBlock(as.URL, "keys jwks "+as.JWKSURL()), "resource " + mcp}, lines...)...)
}

// metadata reads the metadata of a resource, and wants nothing to have reached the upstream.
func (s *site) metadata(path string, header ...string) map[string]any {
	s.t.Helper()
	got := s.get(path, "", header...)
	if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != "application/json" {
		s.t.Fatalf("status %d, type %q", got.StatusCode, got.Header.Get("Content-Type"))
	}
	s.nothingForwarded()
	var members map[string]any
	if err := json.Unmarshal([]byte(got.body), &members); err != nil {
		s.t.Fatalf("%v: %s", err, got.body)
	}
	return members
}

func TestResourceShowsTheWayIn(t *testing.T) {
	key := tokentest.NewKey(t, "ES256", "k1")
	as := tokentest.NewAS(t, tokentest.WithKeys(key))
	s := start(t, resourceGate(as, "require scope mcp:read mcp:write"))
	const address = "https://mcp.example.com" + mcpMetadata

	for name, header := range map[string][]string{
		"without a token": nil, "with a bad token": {"Authorization", "Bearer a.b.c"},
		"with too few scopes": {"Authorization", "Bearer " + key.Sign(t, issuedBy(as.URL, "aud", mcp))},
	} {
		got := s.get("/mcp", "", header...)
		s.nothingForwarded()
		challenge, err := parseChallenge(got.Header.Get("Www-Authenticate"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if challenge["resource_metadata"] != address || challenge["scope"] != "mcp:read mcp:write" {
			t.Errorf("%s: %v", name, challenge)
		}
	}
	if got := s.metadata(mcpMetadata); got["resource"] != mcp {
		t.Errorf("the metadata is %v", got)
	}
	// The audience is the resource, because nothing else says one.
	token := func(aud any) string {
		return key.Sign(t, issuedBy(as.URL, "aud", aud, "scope", "mcp:write mcp:read"))
	}
	s.passed(s.get("/mcp", token(mcp)))
	for _, aud := range []any{audience, mcp + "/", "https://mcp.example.com", strings.ToUpper(mcp), nil} {
		s.refused(s.get("/mcp", token(aud)), 401, "invalid_audience")
	}
}
