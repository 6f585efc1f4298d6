package integration

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

// caddyVariable is set in the environment of a process of this binary that is to be Caddy. It has the arguments.
const caddyVariable = "INTEGRATION_TEST_CADDY"

// beCaddy makes this process the command "caddy", if it is to be that.
func beCaddy() {
	if args := os.Getenv(caddyVariable); args != "" {
		_ = os.Unsetenv(caddyVariable)
		os.Args = append([]string{"caddy"}, strings.Fields(args)...)
		caddycmd.Main()
		os.Exit(0)
	}
}

// caddyCommand is a Caddy in a process of its own, which has not been started.
func caddyCommand(t testing.TB, args ...string) (command *exec.Cmd, output *bytes.Buffer) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	output, command = new(bytes.Buffer), exec.CommandContext(t.Context(), binary)
	command.Env = append(os.Environ(), caddyVariable+"="+strings.Join(args, " "), "XDG_CONFIG_HOME="+t.TempDir(),
		"XDG_DATA_HOME="+t.TempDir())
	command.Stdout, command.Stderr = output, output
	return command, output
}

// runsElsewhere starts a Caddy with a Caddyfile in a process of its own, and waits for its admin endpoint. The process
// ends by kill, as kill -9 does it, or with the test.
func (o *office) runsElsewhere(caddyfile string) (kill func()) {
	o.t.Helper()
	path := writeFile(o.t, filepath.Join(o.t.TempDir(), "Caddyfile"), caddyfile)
	command, output := caddyCommand(o.t, "run", "--config", path, "--adapter", "caddyfile")
	if err := command.Start(); err != nil {
		o.t.Fatal(err)
	}
	over := make(chan struct{})
	go func() { defer close(over); _ = command.Wait() }()
	kill = func() {
		_ = command.Process.Kill()
		<-over
	}
	o.t.Cleanup(kill)
	eventually(o.t, "the other Caddy runs", func() bool {
		select {
		case <-over:
			o.t.Fatalf("the other Caddy has ended:\n%s", output)
		default:
		}
		r, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, "http://127.0.0.1"+revocationsPath, nil)
		if err != nil {
			o.t.Fatal(err)
		}
		response, err := o.admin.Do(r)
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	o.client.CloseIdleConnections()
	return kill
}
