//go:build e2e

package e2e_test

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What the tests share: one binary, one MCP server, and one authorization server for all but
// those that change its keys.
var (
	gatewayBinary string
	provider      *authorizationServer
	toolServer    *mcpServer
)

func TestMain(m *testing.M) {
	code, err := setUpAndRun(m)
	if err != nil {
		log.Fatal("e2e: ", err)
	}
	os.Exit(code)
}

func setUpAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)

	if gatewayBinary, err = gateway(dir); err != nil {
		return 0, err
	}
	identity, err := newIdentities(dir)
	if err != nil {
		return 0, err
	}
	if provider, err = startProvider(identity); err != nil {
		return 0, err
	}
	defer provider.stop()
	if toolServer, err = startMCPServer(); err != nil {
		return 0, err
	}
	defer toolServer.stop()
	return m.Run(), nil
}

// gateway builds the custom Caddy, unless there is one to be tested.
func gateway(dir string) (string, error) {
	if path := os.Getenv("GATEWAY"); path != "" {
		return filepath.Abs(path)
	}
	binary := filepath.Join(dir, "caddy")
	build := exec.Command("go", "build", "-o", binary, "../cmd/caddy")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("%s: %w", build, err)
	}
	return binary, nil
}
