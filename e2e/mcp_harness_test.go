//go:build e2e

package e2e_test

import (
	"bytes"
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
	return strings.NewReplacer("{origin}", h.origin, "{issuer}", provider.Issuer, "{backend}", toolServer.Address).
		Replace(text)
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

// play runs a scenario of mcp/scenarios.js and returns what it reports. needs may have {origin} and {issuer} in it.
func (h *mcpHost) play(t *testing.T, scenario string, needs map[string]any) []string {
	t.Helper()
	input, err := json.Marshal(needs)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "mcp/client.js", scenario, h.fill(string(input)))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	if err != nil || lines[len(lines)-1] != "the end" {
		t.Fatalf("the client: %v\n%s\n%s", err, output, stderr.Bytes())
	}
	return lines[:len(lines)-1]
}

// sameReport compares a report with what is wanted, line by line. wanted may have {origin} and {issuer} in it.
func (h *mcpHost) sameReport(t *testing.T, got []string, wanted string) {
	t.Helper()
	var want []string
	for line := range strings.Lines(h.fill(wanted)) {
		if line = strings.TrimSpace(line); line != "" {
			want = append(want, line)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the client reports\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// without removes lines whose place in a report is not determined, and reports how many they were.
func without(report []string, line string) (rest []string, removed int) {
	rest = slices.DeleteFunc(slices.Clone(report), func(l string) bool { return l == line })
	return rest, len(report) - len(rest)
}
