package running

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/command/endpoint"
)

// asking is a command that asks the running Caddy, and nobody else when that does not run: what it asks for is in the
// memory of the process.
type asking struct {
	endpoint.Flags
	json bool
}

func (a *asking) addTo(cmd *cobra.Command) {
	a.AddTo(cmd, "the admin endpoint is")
	cmd.Flags().BoolVar(&a.json, "json", false, "Print the JSON of the admin API")
}

// ask sends an order, or nothing if it is nil, reads the answer into answer, and prints that as JSON or as a text.
func (a *asking) ask(cmd *cobra.Command, method, path string, order, answer any, text func(io.Writer) error) error {
	var body []byte
	if order != nil {
		var err error
		if body, err = json.Marshal(order); err != nil {
			return err
		}
	}
	config, err := a.Load()
	if err != nil {
		return err
	}
	if config != nil && endpoint.IsDisabled(config) {
		return fmt.Errorf("%s turns the admin endpoint off: nobody can ask the Caddy that runs with it", a.Config)
	}
	address, err := a.Find(config)
	if err != nil {
		return err
	}
	read, err := endpoint.Ask(address, method, path, body)
	if err != nil {
		return err
	}
	if err := endpoint.Read(read, answer); err != nil {
		return err
	}
	if a.json {
		return endpoint.PrintJSON(cmd.OutOrStdout(), read)
	}
	return text(cmd.OutOrStdout())
}

// checkGiven refuses flags that are given and empty, such as a variable that is not set: without them, more would be
// meant.
func checkGiven(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if flag := cmd.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
			return fmt.Errorf("--%s is empty: is a variable not set? Leave the flag out if it does not matter", name)
		}
	}
	return nil
}

// get is ask without an order.
func (a *asking) get(cmd *cobra.Command, path string, answer any, text func(io.Writer) error) error {
	return a.ask(cmd, http.MethodGet, path, nil, answer, text)
}
