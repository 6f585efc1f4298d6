// Package running has the tools that ask the running Caddy, at its admin endpoint. When none runs, they open the store
// of a configuration themselves.
package running

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// Reader reads what a configuration, which is JSON, says about revoked tokens.
type Reader func(config []byte) (*revocations.Written, error)

// adminFlags say where the admin endpoint of the running Caddy is, as those of "caddy reload" do.
type adminFlags struct {
	address, config, adapter string

	read Reader
}

func (a *adminFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&a.address, "address", "", "Address of the admin endpoint (default: that of --config)")
	flags.StringVarP(&a.config, "config", "c", "", "Configuration file that says where admin endpoint and store are")
	flags.StringVarP(&a.adapter, "adapter", "a", "", "Config adapter")
}

// ask sends a request to the admin endpoint, and reads the answer. The body may be nil. If a configuration was named
// and no Caddy answers where it says, this process opens the store of the configuration, and does the same.
func (a *adminFlags) ask(cmd *cobra.Command, method, path string, body []byte) ([]byte, error) {
	config, err := a.load()
	if err != nil {
		return nil, err
	}
	if config != nil && hasNoAdmin(config) {
		return a.askStore(cmd, config, "the configuration has no admin endpoint", method, path, body)
	}
	address, err := caddycmd.DetermineAdminAPIAddress(a.address, config, a.config, a.adapter)
	if err != nil {
		return nil, findingAdmin(err)
	}
	answer, err := askCaddy(address, method, path, body)
	if config == nil {
		return answer, err
	}
	if errors.Is(err, errNoCaddy) {
		return a.askStore(cmd, config, "no Caddy answers at "+address, method, path, body)
	}
	note(cmd, "asked the Caddy at "+address)
	return answer, err
}

// load is the configuration as JSON, if it is what says where to go; otherwise nil.
func (a *adminFlags) load() ([]byte, error) {
	if a.address != "" || a.config == "" {
		return nil, nil
	}
	config, _, _, err := caddycmd.LoadConfig(a.config, a.adapter)
	if err != nil {
		return nil, findingAdmin(err)
	}
	return config, nil
}

func findingAdmin(err error) error { return fmt.Errorf("finding the admin endpoint: %w", err) }

// hasNoAdmin reports whether a configuration has no admin endpoint. Another Caddy may answer at the default address.
func hasNoAdmin(config []byte) bool {
	var of struct{ Admin struct{ Disabled bool } }
	return json.Unmarshal(config, &of) == nil && of.Admin.Disabled
}

// askStore is openStore when no admin endpoint can be asked. why says why not.
func (a *adminFlags) askStore(
	cmd *cobra.Command, config []byte, why, method, path string, body []byte,
) ([]byte, error) {
	answer, err := a.openStore(cmd, config, method, path, body)
	if err != nil {
		return nil, fmt.Errorf("%s, and this command cannot do it alone: %w", why, err)
	}
	return answer, nil
}

// openStore opens the store of a configuration, and does there what the admin endpoint would do.
func (a *adminFlags) openStore(cmd *cobra.Command, config []byte, method, path string, body []byte) ([]byte, error) {
	written, err := a.read(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.config, err)
	}
	answer, where, err := written.Ask(context.WithoutCancel(cmd.Context()), method, path, body)
	if err != nil {
		return nil, err
	}
	note(cmd, "opened the store itself: "+where)
	return answer, nil
}

// note says which way was taken, beside the output.
func note(cmd *cobra.Command, text string) { fmt.Fprintln(cmd.ErrOrStderr(), terminal.Printable(text)) }

// askCaddy sends a request to an admin endpoint, and reads the answer.
func askCaddy(address, method, path string, body []byte) ([]byte, error) {
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

// errNoCaddy means that nothing answers at the admin endpoint.
var errNoCaddy = errors.New("no Caddy answers at the admin endpoint")

// adminError is the error of a request to the admin endpoint. Caddy's function has only texts.
func adminError(address string, err error) error {
	text := err.Error()
	if strings.HasPrefix(text, "performing request: ") {
		return fmt.Errorf("%w %s: %w. Is Caddy running? Give the address of its admin endpoint with --address, or its "+
			"configuration with --config", errNoCaddy, address, err)
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
