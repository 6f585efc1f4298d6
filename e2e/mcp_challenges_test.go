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

// challengedSite is one resource, https://{host}/mcp, and what its tokens need.
const challengedSite = `
http://{host} {
	bind unix/{socket}
	bearer_auth {
		issuer https://auth.example.com {
			keys file {keys}
		}
		resource https://{host}/mcp
		realm "tools, and scope"
		{needs}
	}
	respond ok
}
`

// challengedSites are the hosts of resources, and what their tokens need.
var challengedSites = map[string]string{
	"all.example.com": "require scope mcp:tools mcp:write",
	"any.example.com": "require scope mcp:tools\n require any_scope mcp:write mcp:admin",
	"new.example.com": "require acr urn:example:hardware urn:example:mfa\n require max_auth_age 15m",
}

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
		var sites strings.Builder
		for host, needs := range challengedSites {
			sites.WriteString(strings.NewReplacer("{host}", host, "{needs}", needs, "{socket}", socket, "{keys}", keys).
				Replace(challengedSite))
		}
		return sites.String()
	})

	token := func(host, changed string, value any) string {
		now := time.Now()
		claims := map[string]any{
			"iss": "https://auth.example.com", "sub": "alice", "aud": "https://" + host + "/mcp",
			"scope": "mcp:tools mcp:write", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}
		claims[changed] = value
		return key.Sign(t, claims)
	}
	const all, either, scopes = "all.example.com", "any.example.com", "mcp:tools mcp:write"
	const signIn = "new.example.com"
	cases := []struct {
		name, host, token string
		status            int
		code, scope       string
	}{
		{"no token", all, "", http.StatusUnauthorized, "", scopes},
		{"no JWT", all, "x.y.z", http.StatusUnauthorized, "invalid_token", scopes},
		{"an expired token", all, token(all, "exp", time.Now().Add(-time.Hour).Unix()),
			http.StatusUnauthorized, "invalid_token", scopes},
		{"another audience", all, token(all, "aud", "https://"+all), http.StatusUnauthorized, "invalid_token", scopes},
		{"one of two scopes", all, token(all, "scope", "mcp:write"), http.StatusForbidden, "insufficient_scope", scopes},
		{"no token for any of several scopes", either, "", http.StatusUnauthorized, "", scopes},
		{"none of several scopes", either, token(either, "scope", "mcp:tools"),
			http.StatusForbidden, "insufficient_scope", scopes},
		{"no token of a user who has signed in well enough", signIn, "", http.StatusUnauthorized, "", ""},
		{"a user who signed in long ago", signIn, token(signIn, "auth_time", 1), http.StatusUnauthorized,
			"insufficient_user_authentication", ""},
	}
	requests := make([]map[string]string, len(cases))
	for i, c := range cases {
		requests[i] = map[string]string{"url": "https://" + c.host + "/mcp"}
		if c.token != "" {
			requests[i]["token"] = c.token
			g.sent = append(g.sent, c.token)
		}
	}
	needs, err := json.Marshal(map[string]any{"socket": g.socket, "requests": requests})
	if err != nil {
		t.Fatal(err)
	}
	readings := play(t, "mcp/client.js", "challenges", string(needs))
	if len(readings) != len(cases) {
		t.Fatalf("%d readings of %d refusals", len(readings), len(cases))
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			parameters := map[string]string{
				"realm":             "tools, and scope",
				"resource_metadata": "https://" + c.host + "/.well-known/oauth-protected-resource/mcp",
			}
			sdk := map[string]string{"resourceMetadataUrl": parameters["resource_metadata"]}
			if c.scope != "" {
				parameters["scope"], sdk["scope"] = c.scope, c.scope
			}
			if c.code != "" {
				parameters["error"], parameters["error_description"] = c.code, descriptions[c.code]
				sdk["error"] = c.code
			}
			if c.code == "insufficient_user_authentication" {
				parameters["acr_values"], parameters["max_age"] = "urn:example:hardware urn:example:mfa", "900"
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
