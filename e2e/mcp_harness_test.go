//go:build e2e

package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyjwt/gateway/internal/tokentest"
)

// mcpServer is a running mcp/server.js.
type mcpServer struct {
	*nodeServer
	Address string
}

func startMCPServer() (*mcpServer, error) {
	s := new(mcpServer)
	var err error
	s.nodeServer, err = startNode(s, "mcp/server.js")
	return s, err
}

// mcpHost is a gateway in front of the MCP server, at an address that is part of its configuration.
type mcpHost struct {
	*gate
	origin string
}

// startMCPHost runs a gateway with one site. The text of the site may have {origin}, {issuer} and {backend} in it.
func startMCPHost(t *testing.T, site string) *mcpHost {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	h := &mcpHost{gate: &gate{log: new(tokentest.Buffer)}, origin: "http://" + listener.Addr().String()}
	h.start(t, func(socket string) string {
		return fmt.Sprintf("http:// {\n bind unix/%s\n%s\n}\n", socket, h.fill(site))
	})
	go h.relay(listener)
	return h
}

func (h *mcpHost) fill(text string) string {
	return strings.NewReplacer("{origin}", h.origin, "{metadata}", h.origin+"/.well-known/oauth-protected-resource",
		"{issuer}", provider.Issuer, "{backend}", toolServer.Address).Replace(text)
}

// relay gives the gateway, which listens on a socket, its address.
func (h *mcpHost) relay(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("unix", h.socket)
			if err != nil {
				return
			}
			defer server.Close()
			go func() {
				_, _ = io.Copy(server, client)
				_ = server.Close()
			}()
			_, _ = io.Copy(client, server)
		}()
	}
}

// play runs a scenario and returns what it reports. needs may have {origin} and {issuer} in it.
func (h *mcpHost) play(t *testing.T, scenario string, needs map[string]any) []string {
	t.Helper()
	input, err := json.Marshal(needs)
	if err != nil {
		t.Fatal(err)
	}
	return play(t, "mcp/client.js", scenario, h.fill(string(input)))
}

// play runs a scenario of a script with what it needs as JSON, and returns what it reports.
func play(t *testing.T, script, scenario, needs string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", script, scenario)
	cmd.Stdin = strings.NewReader(needs)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	if err != nil || lines[len(lines)-1] != "the end" {
		t.Fatalf("the client: %v\n%s\n%s", err, output, stderr.Bytes())
	}
	return lines[:len(lines)-1]
}

// sameReport compares a report with what is wanted, line by line. wanted may have {origin} and {issuer} in it. A stream
// that the client opens with GET has no place in the order, so it is left out.
func (h *mcpHost) sameReport(t *testing.T, report []string, wanted ...string) {
	t.Helper()
	got := slices.DeleteFunc(slices.Clone(report), isStream)
	var want []string
	for line := range strings.Lines(h.fill(strings.Join(wanted, "\n"))) {
		if line = strings.TrimSpace(line); line != "" {
			want = append(want, line)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the client reports\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func isStream(line string) bool {
	return strings.HasPrefix(line, "GET /") && strings.HasSuffix(line, " 200") && !strings.Contains(line, "/.well-known/")
}

// wayIn is how a client gets from nothing to a session. The challenge leads it to the metadata of the resource, and the
// metadata to the authorization server. There it registers, and its user logs in.
func wayIn(path, scope string) string {
	return strings.NewReplacer("{path}", path, "{inserted}", inserted(path), "{url}", requested(path), "{scope}", scope).
		Replace(`
		POST {url} 401 initialize Bearer realm="api", scope="{scope}", resource_metadata="{metadata}{inserted}"
		GET /.well-known/oauth-protected-resource{inserted} 200
		GET as:/.well-known/oauth-authorization-server 200
		POST as:/reg 201 {scope}
		authorize S256 resource={origin}{path} scope={scope}`) + comeBack(path)
}

// comeBack is what a client does when its user is back with a code.
func comeBack(path string) string {
	return strings.NewReplacer("{path}", path, "{inserted}", inserted(path), "{url}", requested(path)).Replace(`
		GET /.well-known/oauth-protected-resource{inserted} 200
		GET as:/.well-known/oauth-authorization-server 200
		POST as:/token 200 authorization_code resource={origin}{path}
		POST {url} 200 initialize
		POST {url} 202 notifications/initialized
		`)
}

// inserted is the path of a resource where the address of its metadata has it (RFC 9728 section 3.1).
func inserted(path string) string {
	return strings.TrimSuffix(path, "/")
}

// requested is the path in requests to a resource.
func requested(path string) string {
	return cmp.Or(path, "/")
}

// descriptions go with the error codes of challenges.
var descriptions = map[string]string{
	"invalid_token":                    "the access token is expired, revoked, malformed or otherwise invalid",
	"insufficient_scope":               "the access token does not give the rights that this resource requires",
	"insufficient_user_authentication": "the user must sign in again, or in a stronger way",
}

// challenge is what a refusal says about a resource and a token that is not good enough for it.
func challenge(path, code, scope string) string {
	return fmt.Sprintf(`Bearer realm="api", error=%q, error_description=%q, scope=%q, resource_metadata="{metadata}%s"`,
		code, descriptions[code], scope, path)
}
