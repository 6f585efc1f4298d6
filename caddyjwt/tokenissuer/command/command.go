// Package command is the command "caddy token-issuer": tools for those who run a token issuer. Import it for its side
// effect, which adds the command to Caddy.
package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/command/endpoint"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/orders"
	"github.com/caddyjwt/gateway/internal/terminal"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "token-issuer",
		Usage: "session list|end, keys list|rotate|reset, client add|list|rotate|remove, user hash ...",
		Short: "Tools for the token_issuer handler",
		Long: `
Tools for running a site whose users sign in at the token_issuer handler, or whose programs get tokens there. Those for
sessions and keys ask the Caddy that runs, at its admin endpoint. Those for clients change a file.`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(sessionCommand(), keysCommand(), clientCommand(), userCommand())
		},
	})
}

// asking are the flags of all commands that ask the running Caddy.
type asking struct {
	endpoint.Flags
	issuer string
	json   bool
}

func (a *asking) addTo(cmd *cobra.Command) {
	a.AddTo(cmd, "the admin endpoint is")
	flags := cmd.Flags()
	flags.StringVar(&a.issuer, "issuer", "", "Name of the issuer (default: the only one)")
	flags.BoolVar(&a.json, "json", false, "Print the JSON of the admin API")
}

// notEmpty refuses flags that are given and empty, such as a variable that is not set: without them, an order would
// mean more.
func notEmpty(cmd *cobra.Command, names ...string) error {
	return filled(cmd, append(names, "issuer", "address", "config")...)
}

// filled is notEmpty for commands that ask nobody.
func filled(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if flag := cmd.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
			return fmt.Errorf("--%s is empty: is a variable not set? Leave the flag out if it does not matter", name)
		}
	}
	return nil
}

// ask sends a request to the admin endpoint, and reads the answer.
func (a *asking) ask(method, path string, body []byte) ([]byte, error) {
	config, err := a.Load()
	if err != nil {
		return nil, err
	}
	if config != nil && endpoint.IsDisabled(config) {
		return nil, errors.New("the configuration has no admin endpoint, so the Caddy that runs with it cannot be asked")
	}
	address, err := a.Find(config)
	if err != nil {
		return nil, err
	}
	return endpoint.Ask(address, method, path, body)
}

// named is the name of the issuer that is meant. Several commands say it before they change anything.
func (a *asking) named() (string, error) {
	if a.issuer != "" {
		return a.issuer, nil
	}
	text, err := a.ask(http.MethodGet, orders.IssuersPath, nil)
	if err != nil {
		return "", err
	}
	var all orders.Issuers
	if err := endpoint.Read(text, &all); err != nil {
		return "", err
	}
	switch len(all.Issuers) {
	case 0:
		return "", errors.New("no token issuer runs: the configuration of the running Caddy has no token_issuer")
	case 1:
		return all.Issuers[0].Issuer, nil
	}
	var names []string
	for _, one := range all.Issuers {
		names = append(names, strconv.Quote(one.Issuer))
	}
	return "", fmt.Errorf("several token issuers run, so name one with --issuer: %s", strings.Join(names, ", "))
}

// query is a path with parameters. Empty ones are left out.
func query(path string, pairs ...string) string {
	values := make(url.Values)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// print prints an answer as JSON, or as a text that is made after it was read.
func (a *asking) print(cmd *cobra.Command, text []byte, answer any, describe func() string) error {
	if a.json {
		return endpoint.PrintJSON(cmd.OutOrStdout(), text)
	}
	if err := endpoint.Read(text, answer); err != nil {
		return err
	}
	_, err := io.WriteString(cmd.OutOrStdout(), describe())
	return err
}

// table is a table, whose first row has the names of the columns.
func table(rows [][]string) string {
	var out bytes.Buffer
	to := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		for i, cell := range row {
			if i > 0 {
				fmt.Fprint(to, "\t")
			}
			fmt.Fprint(to, terminal.Printable(cell))
		}
		fmt.Fprintln(to)
	}
	_ = to.Flush() // a Buffer takes everything
	return out.String()
}

// takesFlagsOnly refuses arguments. One may be a secret, so it is not repeated.
func takesFlagsOnly(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return errors.New("this command takes flags only: see --help")
	}
	return nil
}

// group is a command that only has others.
func group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: takesFlagsOnly}
	cmd.AddCommand(commands...)
	return cmd
}
