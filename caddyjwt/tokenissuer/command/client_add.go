package command

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/command/kong/caddytext"
	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
	"github.com/caddyjwt/gateway/internal/smallfile"
	"github.com/caddyjwt/gateway/internal/terminal"
)

// clientAddOptions are the flags of "client add".
type clientAddOptions struct {
	clientOptions
	secretOptions
	furtherOptions
	scopes, audience, introspect []string
	proof, publicKey             string
}

func clientAddCommand() *cobra.Command {
	o := new(clientAddOptions)
	cmd := &cobra.Command{
		Use:   "add --id <id> [--file <path>]",
		Short: "Makes a client, and its secret",
		Long: `
Makes a client with a secret of 32 random bytes, and adds it to a file with its hash. The secret is on standard output,
this once and nowhere else. Without --file, it prints the block for a Caddyfile.

If there is no file, it is made, and only its owner can read it: the user that Caddy runs as must be able to. With
--public-key, there is no secret: the client signs with its private key (private_key_jwt).

A client needs an audience to have tokens for, unless the issuer has a default_audience, or it has --introspect and only
asks about tokens.`,
		Example: `  caddy token-issuer client add --file /etc/caddy/clients.json --id billing \
    --scope read --scope write --audience https://api.example.com --claim tenant=acme
  caddy token-issuer client add --file /etc/caddy/clients.json --id gate --introspect https://api.example.com
  caddy token-issuer client add --id batch --audience https://api.example.com --public-key batch.pem`,
		Args: takesFlagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.clientOptions.addTo(cmd, "The file to add the client to (default: print a block for a Caddyfile)")
	o.secretOptions.addTo(cmd)
	flags := cmd.Flags()
	flags.StringArrayVar(&o.scopes, "scope", nil, "A scope that the client may have. Repeatable")
	flags.StringArrayVar(&o.audience, "audience", nil, "A resource that it may have tokens for. Repeatable")
	flags.StringArrayVar(&o.introspect, "introspect", nil, "An audience whose tokens it may ask about. Repeatable")
	o.furtherOptions.addTo(flags)
	flags.StringVar(&o.proof, "proof", "", "What its tokens are bound to: dpop or mtls (default: what it proves itself)")
	flags.StringVar(&o.publicKey, "public-key", "", "File with its public key, in PEM, in place of a secret")
	flags.BoolVar(&o.json, "json", false, "Print JSON")
	return cmd
}

func (o *clientAddOptions) run(cmd *cobra.Command) error {
	if err := o.check(cmd, "token", "proof", "public-key", "algorithm"); err != nil {
		return err
	}
	client, err := o.client(cmd)
	if err != nil {
		return err
	}
	shown := &credentials{ID: o.id}
	add := func(file *registration.File) error {
		if file.Find(o.id) != nil {
			return fmt.Errorf("it has a client %q already: give that another secret with \"client rotate\", or remove it "+
				"first", o.id)
		}
		if o.publicKey == "" {
			secret, hash, err := o.make(cmd, file.Hash())
			if err != nil {
				return err
			}
			shown.Secret, client.SecretHashes = secret, []string{hash}
		}
		file.Clients = append(file.Clients, *client)
		return nil
	}
	if o.file == "" {
		return o.printBlock(cmd, add, shown)
	}
	created, err := o.change(add)
	if err != nil {
		return err
	}
	if err := shown.print(cmd, o.json); err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...) }
	say("client %q is in %s", o.id, terminal.Printable(o.file))
	if created {
		say("the file is new, and only its owner can read it: the user that Caddy runs as must be able to")
	}
	if len(client.Audience) == 0 && len(client.Introspect) == 0 {
		say("it has no audience, so the issuer needs default_audience: without that, it cannot use the file at all")
	}
	return nil
}

// client is the client of the flags, without a secret.
func (o *clientAddOptions) client(cmd *cobra.Command) (*registration.Client, error) {
	c := &registration.Client{ID: o.id, Scopes: o.scopes, Audience: o.audience, Introspect: o.introspect, Proof: o.proof}
	if err := o.set(c); err != nil {
		return nil, err
	}
	if o.publicKey == "" {
		return c, nil
	}
	if cmd.Flags().Changed("algorithm") || cmd.Flags().Changed("cost") {
		return nil, errors.New("--algorithm and --cost are about secrets, and a client with --public-key has none: leave " +
			"them out")
	}
	pem, _, err := smallfile.Read(o.publicKey)
	if err != nil {
		return nil, fmt.Errorf("--public-key %s: %w", terminal.Printable(o.publicKey), err)
	}
	c.PublicKey = string(pem)
	return c, nil
}

// printBlock checks the client as if it were the only one of a file, and prints it as a block for a Caddyfile.
func (o *clientAddOptions) printBlock(
	cmd *cobra.Command, add func(*registration.File) error, shown *credentials,
) error {
	file := new(registration.File)
	if err := add(file); err != nil {
		return err
	}
	if err := file.Check(); err != nil {
		return err
	}
	text, err := o.block(&file.Clients[0])
	if err != nil {
		return err
	}
	shown.Caddyfile = text
	return shown.print(cmd, o.json)
}

// block is a client as a Caddyfile has it. Its public key stays in its file.
func (o *clientAddOptions) block(c *registration.Client) (text string, err error) {
	var key, proof []string
	if c.Proof != "" {
		proof = []string{c.Proof}
	}
	if o.publicKey != "" {
		path, err := filepath.Abs(o.publicKey)
		if err != nil {
			return "", err
		}
		key = []string{path}
	}
	id, err := token(c.ID)
	if err != nil {
		return "", err
	}
	var out caddytext.Writer
	out.Block(func() {
		for _, of := range []struct {
			word   string
			values []string
		}{
			{"secret_hash", c.SecretHashes}, {"public_key", key}, {"scopes", c.Scopes}, {"audience", c.Audience},
			{"introspect", c.Introspect}, {"proof", proof},
		} {
			if len(of.values) == 0 {
				continue
			}
			line := []string{of.word}
			for _, value := range of.values {
				quoted, failed := token(value)
				err = errors.Join(err, failed)
				line = append(line, quoted)
			}
			out.Line(line...)
		}
		err = errors.Join(err, furtherLines(&out, c))
	}, "client", id)
	return out.String(), err
}

// token is a value as one token of a Caddyfile.
func token(value string) (string, error) {
	text, err := "", caddytext.ErrBraces
	if !strings.ContainsAny(value, "{}") {
		text, err = caddytext.Quote(value)
	}
	if err != nil {
		return "", fmt.Errorf("%q cannot be written into a Caddyfile: %w. Add the client to a file, with --file", value, err)
	}
	return text, nil
}
