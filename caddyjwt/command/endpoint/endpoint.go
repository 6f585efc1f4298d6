// Package endpoint asks the admin endpoint of a running Caddy, for commands.
package endpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// Flags say where the admin endpoint is, as those of "caddy reload" do.
type Flags struct {
	Address, Config, Adapter string
}

// AddTo adds the flags to a command. what is what the configuration says, for the help text.
func (f *Flags) AddTo(cmd *cobra.Command, what string) {
	flags := cmd.Flags()
	flags.StringVar(&f.Address, "address", "", "Address of the admin endpoint (default: that of --config)")
	flags.StringVarP(&f.Config, "config", "c", "", "Configuration file that says where "+what)
	flags.StringVarP(&f.Adapter, "adapter", "a", "", "Config adapter")
}

// Load is the configuration as JSON, if it is what says where to go; otherwise nil.
func (f *Flags) Load() ([]byte, error) {
	if f.Address != "" || f.Config == "" {
		return nil, nil
	}
	config, _, _, err := caddycmd.LoadConfig(f.Config, f.Adapter)
	return config, finding(err)
}

// Find is the address of the endpoint. config is what Load has returned.
func (f *Flags) Find(config []byte) (address string, err error) {
	address, err = caddycmd.DetermineAdminAPIAddress(f.Address, config, f.Config, f.Adapter)
	return address, finding(err)
}

func finding(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("finding the admin endpoint: %w", err)
}

// IsDisabled reports whether a configuration has no admin endpoint. Another Caddy may answer at the default address.
func IsDisabled(config []byte) bool {
	var of struct{ Admin struct{ Disabled bool } }
	return json.Unmarshal(config, &of) == nil && of.Admin.Disabled
}

// Ask sends a request to the endpoint at an address, and reads the answer. The body may be nil. The error is ErrNoCaddy
// if nothing answers, and otherwise says what the endpoint says.
func Ask(address, method, path string, body []byte) ([]byte, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	response, err := caddycmd.AdminAPIRequest(address, method, path, nil, reader)
	if err != nil {
		return nil, adminError(address, err)
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// ErrNoCaddy means that nothing answers at the admin endpoint.
var ErrNoCaddy = errors.New("no Caddy answers at the admin endpoint")

// adminError is the error of a request to the admin endpoint. Caddy's function has only texts.
func adminError(address string, err error) error {
	text := err.Error()
	if strings.HasPrefix(text, "performing request: ") {
		return fmt.Errorf("%w %s: %w. Is Caddy running? Give the address of its admin endpoint with --address, or its "+
			"configuration with --config", ErrNoCaddy, address, err)
	}
	status, body, found := strings.Cut(strings.TrimPrefix(text, "caddy responded with error: "), ": ")
	var answer struct{ Error string }
	if found && json.Unmarshal([]byte(body), &answer) == nil && answer.Error != "" {
		return fmt.Errorf("%s: %s", status, answer.Error)
	}
	if strings.HasPrefix(text, "caddy responded with error: HTTP 404") {
		return fmt.Errorf("the Caddy at %s knows nothing of that: it runs without this plugin, or with an older version",
			address)
	}
	return err
}

// PrintJSON prints an answer with line ends.
func PrintJSON(to io.Writer, answer []byte) error {
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(answer), "", "  "); err != nil {
		return err
	}
	out.WriteByte('\n')
	_, err := to.Write(out.Bytes())
	return err
}

// Read reads an answer.
func Read(answer []byte, into any) error {
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("the admin endpoint has answered what this command does not understand: %w", err)
	}
	return nil
}
