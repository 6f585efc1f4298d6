// Package running has the tools that ask the running Caddy, at its admin endpoint.
package running

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// adminFlags say where the admin endpoint of the running Caddy is, as those of "caddy reload" do.
type adminFlags struct{ address, config, adapter string }

func (a *adminFlags) addTo(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&a.address, "address", "", "Address of the admin endpoint (default: that of --config)")
	flags.StringVarP(&a.config, "config", "c", "", "Configuration file that says where the admin endpoint is")
	flags.StringVarP(&a.adapter, "adapter", "a", "", "Config adapter")
}

// ask sends a request to the admin endpoint, and reads the answer. The body may be nil.
func (a *adminFlags) ask(method, path string, body []byte) ([]byte, error) {
	address, err := caddycmd.DetermineAdminAPIAddress(a.address, nil, a.config, a.adapter)
	if err != nil {
		return nil, fmt.Errorf("finding the admin endpoint: %w", err)
	}
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

// adminError is the error of a request to the admin endpoint. Caddy's function has only texts.
func adminError(address string, err error) error {
	text := err.Error()
	if strings.HasPrefix(text, "performing request: ") {
		return fmt.Errorf("no Caddy answers at the admin endpoint %s: %w. Is Caddy running? Give the address of its admin "+
			"endpoint with --address, or its configuration with --config", address, err)
	}
	status, body, found := strings.Cut(strings.TrimPrefix(text, "caddy responded with error: "), ": ")
	var answer struct{ Error string }
	if found && json.Unmarshal([]byte(body), &answer) == nil && answer.Error != "" {
		return fmt.Errorf("%s: %s", status, answer.Error)
	}
	if strings.HasPrefix(text, "caddy responded with error: HTTP 404") {
		return fmt.Errorf("the Caddy at %s knows no revocations: it runs without this plugin, or with an older version",
			address)
	}
	return err
}
