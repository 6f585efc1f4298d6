//go:build e2e

package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

const challengedSites = `
http://tools.example.com {
	bind unix/{socket}
	bearer_auth {
		issuer https://auth.example.com {
			keys file {keys}
		}
		resource https://tools.example.com/mcp
		realm ` + "`" + `tools, and scope` + "`" + `
		require scope mcp:tools mcp:write
	}
	respond ok
}
`

// TestClientsReadEveryChallenge lets oauth4webapi, which parses challenges as RFC 9110 has them, and the MCP SDK, which
// looks for a few patterns, read each kind of refusal.
func TestClientsReadEveryChallenge(t *testing.T) {
	t.Parallel()
	key := tokentest.NewKey(t, "ES256", "")
	keys := filepath.Join(t.TempDir(), "keys.pem")
	if err := os.WriteFile(keys, []byte(key.PublicPEM()), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &gate{log: new(tokentest.Buffer)}
	g.start(t, func(socket string) string {
		return strings.NewReplacer("{socket}", socket, "{keys}", keys).Replace(challengedSites)
	})

	token := func(changed string, value any) string {
		now := time.Now()
		claims := map[string]any{
			"iss": "https://auth.example.com", "sub": "alice", "aud": "https://tools.example.com/mcp",
			"scope": "mcp:tools mcp:write", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}
		claims[changed] = value
		return key.Sign(t, claims)
	}
	cases := []struct {
		name, token string
		status      int
		code        string
	}{
		{"no token", "", http.StatusUnauthorized, ""},
		{"no JWT", "x.y.z", http.StatusUnauthorized, "invalid_token"},
		{"an expired token", token("exp", time.Now().Add(-time.Hour).Unix()), http.StatusUnauthorized, "invalid_token"},
		{"another audience", token("aud", "https://tools.example.com"), http.StatusUnauthorized, "invalid_token"},
		{"one of two scopes", token("scope", "mcp:write"), http.StatusForbidden, "insufficient_scope"},
	}
	requests := make([]map[string]string, len(cases))
	for i, c := range cases {
		requests[i] = map[string]string{"url": "https://tools.example.com/mcp"}
		if c.token != "" {
			requests[i]["token"] = c.token
			g.sent = append(g.sent, c.token)
		}
	}
	needs, err := json.Marshal(map[string]any{"socket": g.socket, "requests": requests})
	if err != nil {
		t.Fatal(err)
	}
	readings := play(t, "challenges", string(needs))
	if len(readings) != len(cases) {
		t.Fatalf("%d readings of %d refusals", len(readings), len(cases))
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			parameters := map[string]string{
				"realm": "tools, and scope", "scope": "mcp:tools mcp:write",
				"resource_metadata": "https://tools.example.com/.well-known/oauth-protected-resource/mcp",
			}
			sdk := map[string]string{
				"resourceMetadataUrl": parameters["resource_metadata"], "scope": parameters["scope"],
			}
			if c.code != "" {
				parameters["error"], parameters["error_description"] = c.code, descriptions[c.code]
				sdk["error"] = c.code
			}
			want := asJSON(t, map[string]any{
				"status":     c.status,
				"challenges": []any{map[string]any{"scheme": "bearer", "parameters": parameters}},
				"sdk":        sdk,
			})
			var got map[string]any
			if err := json.Unmarshal([]byte(readings[i]), &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("clients read\n%v\nwant\n%v", got, want)
			}
		})
	}
}
