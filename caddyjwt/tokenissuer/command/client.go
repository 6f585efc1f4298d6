package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/orders"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/internal/rewrite"
	"github.com/caddyjwt/gateway/internal/smallfile"
	"github.com/caddyjwt/gateway/internal/terminal"
)

func clientCommand() *cobra.Command {
	return group("client add|list|rotate|remove", "Makes, lists and changes OAuth clients", `
Is about OAuth clients: programs that get tokens in their own name, or that ask about tokens.

  add     Makes a client, and its secret.
  list    Lists the clients, and changes nothing.
  rotate  Gives a client another secret. Both are good until the change is finished.
  remove  Removes a client.

All but "list" change a file with clients ("clients file <path>" in token_issuer). A Caddy that runs reads it again
within a few seconds. If it cannot use the file, its clients stay as they were, and its log says why: "list" without
--file shows what is in force.`,
		clientAddCommand(), clientListCommand(), clientRotateCommand(), clientRemoveCommand())
}

// clientOptions are the flags of the commands that change a client of a file.
type clientOptions struct {
	file, id string
	json     bool
}

func (o *clientOptions) addTo(cmd *cobra.Command, file string) {
	flags := cmd.Flags()
	flags.StringVar(&o.file, "file", "", file)
	flags.StringVar(&o.id, "id", "", "The client_id")
}

// check refuses flags that are missing, or empty because a variable is not set.
func (o *clientOptions) check(cmd *cobra.Command, names ...string) error {
	if err := filled(cmd, append(names, "file", "id")...); err != nil {
		return err
	}
	if o.id == "" {
		return errors.New("which client? Name it with --id")
	}
	return nil
}

// change changes the clients of the file. With an error, the file is as it was.
func (o *clientOptions) change(edit func(*registration.File) error) (created bool, err error) {
	if o.file == "" {
		return false, errors.New("where is the client? Name the file with --file. A client of the configuration is " +
			"changed there")
	}
	created, err = rewrite.File(o.file, registration.MaxFile, func(old []byte) ([]byte, error) {
		file := new(registration.File)
		if old != nil {
			read, err := registration.ReadFile(old)
			if err == nil {
				err = read.Check()
			}
			if err != nil {
				return nil, fmt.Errorf("no token issuer could use it as it is, so mend it first: %w", err)
			}
			file = read
		}
		if err := edit(file); err != nil {
			return nil, err
		}
		return file.Content()
	})
	if err != nil {
		return false, fmt.Errorf("clients file %s has not changed: %w", terminal.Printable(o.file), err)
	}
	return created, nil
}

// find finds the client in the file.
func (o *clientOptions) find(file *registration.File) (*registration.Client, error) {
	if c := file.Find(o.id); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("it has no client %q: \"client list --file\" shows those that it has", o.id)
}

// credentials are what a client needs to show who it is. They are shown once.
type credentials struct {
	ID        string `json:"client_id"`
	Secret    string `json:"client_secret,omitempty"`
	Caddyfile string `json:"caddyfile,omitempty"` // its block, if it is in no file
}

// print prints credentials.
func (c *credentials) print(cmd *cobra.Command, asJSON bool) (err error) {
	out := cmd.OutOrStdout()
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(c)
	} else {
		text := c.Caddyfile
		if text != "" {
			text += "\n"
		}
		text += "client_id: " + c.ID + "\n"
		if c.Secret != "" {
			text += "client_secret: " + c.Secret + "\n"
		}
		_, err = fmt.Fprint(out, text)
	}
	if err != nil {
		return fmt.Errorf("the secret of client %q could not be shown, and nobody knows it: take it back with \"client "+
			"rotate --cancel\", or the client with \"client remove\": %w", c.ID, err)
	}
	return nil
}

func clientRemoveCommand() *cobra.Command {
	o := new(clientOptions)
	cmd := &cobra.Command{
		Use:   "remove --file <path> --id <id>",
		Short: "Removes a client of a file",
		Long: `
Removes a client of a file. A Caddy that runs reads the file again within a few seconds. From then on the client gets no
tokens, and gates with "keys local" refuse those that it has.`,
		Example: `  caddy token-issuer client remove --file /etc/caddy/clients.json --id billing`,
		Args:    takesFlagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			if _, err := o.change(func(file *registration.File) error {
				_, err := o.find(file)
				file.Remove(o.id)
				return err
			}); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.ErrOrStderr(), "client %q is removed\n", o.id)
			return err
		},
	}
	o.addTo(cmd, "The file with the client")
	return cmd
}

// clientListOptions are the flags of "client list".
type clientListOptions struct {
	asking
	file string
}

func clientListCommand() *cobra.Command {
	o := new(clientListOptions)
	cmd := &cobra.Command{
		Use:   "list [--file <path>]",
		Short: "Lists the clients: those that are in force, or those of a file",
		Long: `
Lists the clients of the Caddy that runs, or those of a file. It shows no secret, no hash and no key.

SHOWS says how a client shows who it is: "client_secret", with (2) while it has two secrets; "private_key_jwt", with a
key; "tls_client_auth" or "self_signed_tls_client_auth", with a certificate; "none" for a public client, which is an
application. A client of a file whose AUDIENCE is "-" has the default_audience of the issuer.`,
		Example: `  caddy token-issuer client list
  caddy token-issuer client list --file /etc/caddy/clients.json --json | jq -r '.clients[].client_id'`,
		Args: takesFlagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.list(cmd) },
	}
	o.addTo(cmd)
	cmd.Flags().StringVar(&o.file, "file", "", "List the clients of this file, and ask nobody")
	return cmd
}

func (o *clientListOptions) list(cmd *cobra.Command) error {
	if err := notEmpty(cmd, "file"); err != nil {
		return err
	}
	var text []byte
	var err error
	if o.file != "" {
		text, err = o.ofFile(cmd)
	} else {
		text, err = o.ask(http.MethodGet, query(orders.ClientsPath, "issuer", o.issuer), nil)
	}
	if err != nil {
		return err
	}
	var answer orders.Clients
	return o.print(cmd, text, &answer, func() string { return describeClients(answer.Clients) })
}

// ofFile lists the clients of the file as the admin API lists those in force.
func (o *clientListOptions) ofFile(cmd *cobra.Command) ([]byte, error) {
	for _, name := range []string{"issuer", "address", "config", "adapter"} {
		if cmd.Flags().Changed(name) {
			return nil, fmt.Errorf("--%s is about a Caddy that runs, and --file asks nobody: leave one of them out", name)
		}
	}
	content, err := smallfile.ReadUpTo(o.file, registration.MaxFile)
	var answer orders.Clients
	if err == nil {
		var file *registration.File
		if file, err = registration.ReadFile(content); err == nil {
			answer.Clients, err = file.Shown()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("clients file %s: %w", terminal.Printable(o.file), err)
	}
	return json.Marshal(&answer)
}

func describeClients(clients []orders.Client) string {
	count := terminal.Counted(len(clients), "client") + "\n"
	if len(clients) == 0 {
		return count
	}
	rows := [][]string{{"ID", "SHOWS", "GRANTS", "SCOPES", "AUDIENCE", "INTROSPECT", "LIFETIME", "FROM"}}
	for i := range clients {
		c := &clients[i]
		shows, lifetime := c.Authentication, "-"
		if c.Secrets > 1 {
			shows += " (" + strconv.Itoa(c.Secrets) + ")"
		}
		if c.AccessLifetime > 0 {
			lifetime = (time.Duration(c.AccessLifetime) * time.Second).String()
		}
		rows = append(rows, []string{c.ID, shows, joined(c.Grants), joined(c.Scopes), joined(c.Audience),
			joined(c.Introspect), lifetime, string(c.From)})
	}
	return table(rows) + count
}

// joined is a list in a cell of a table.
func joined(list []string) string {
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, " ")
}
