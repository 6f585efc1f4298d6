// Package running has the tools that ask the running Caddy, at its admin endpoint. When none runs, they open the store
// of a configuration themselves.
package running

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/command/endpoint"
	"github.com/caddyjwt/gateway/caddyjwt/revocations"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// Reader reads what a configuration, which is JSON, says about revoked tokens.
type Reader func(config []byte) (*revocations.Written, error)

// adminFlags say where the admin endpoint of the running Caddy is.
type adminFlags struct {
	endpoint.Flags
	read Reader
}

func (a *adminFlags) addTo(cmd *cobra.Command) { a.AddTo(cmd, "admin endpoint and store are") }

// ask sends a request to the admin endpoint, and reads the answer. The body may be nil. If a configuration was named
// and no Caddy answers where it says, this process opens the store of the configuration, and does the same.
func (a *adminFlags) ask(cmd *cobra.Command, method, path string, body []byte) ([]byte, error) {
	config, err := a.Load()
	if err != nil {
		return nil, err
	}
	if config != nil && endpoint.IsDisabled(config) {
		return a.askStore(cmd, config, "the configuration has no admin endpoint", method, path, body)
	}
	address, err := a.Find(config)
	if err != nil {
		return nil, err
	}
	answer, err := endpoint.Ask(address, method, path, body)
	if config == nil {
		return answer, err
	}
	if errors.Is(err, endpoint.ErrNoCaddy) {
		return a.askStore(cmd, config, "no Caddy answers at "+address, method, path, body)
	}
	note(cmd, "asked the Caddy at "+address)
	return answer, err
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
		return nil, fmt.Errorf("%s: %w", a.Config, err)
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
