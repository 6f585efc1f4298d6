package command

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt/tokenissuer/registration"
)

// secretOptions are the flags about hashes of secrets.
type secretOptions struct{ hashOptions }

func (o *secretOptions) addTo(cmd *cobra.Command) {
	o.hashOptions.addTo(cmd, "", "bcrypt or argon2id (default: as the other clients of the file, or bcrypt)")
}

// make makes a secret of 32 random bytes, and its hash. like is the hash of another secret; empty for none.
func (o *secretOptions) make(cmd *cobra.Command, like string) (secret, hash string, err error) {
	of := o.hashOptions
	switch {
	case of.algorithm != "":
	case strings.HasPrefix(like, "$argon2"):
		of.algorithm = withArgon2
	default:
		of.algorithm = withBcrypt
	}
	if err := of.checkFlags(cmd); err != nil {
		return "", "", err
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	secret = base64.RawURLEncoding.EncodeToString(random)
	var made []byte
	if costs, failed := argon2CostsOf(like); failed == nil && of.algorithm == withArgon2 {
		made = argon2Hash([]byte(secret), costs) // all hashes of argon2id must cost the same
	} else {
		made, err = of.hash([]byte(secret))
	}
	return secret, string(made), err
}

// clientRotateOptions are the flags of "client rotate".
type clientRotateOptions struct {
	clientOptions
	secretOptions
	finish, cancel bool
}

func clientRotateCommand() *cobra.Command {
	o := new(clientRotateOptions)
	cmd := &cobra.Command{
		Use:   "rotate --file <path> --id <id> [--finish | --cancel]",
		Short: "Gives a client of a file another secret, beside the one that it has",
		Long: `
Gives a client another secret. It is on standard output, this once and nowhere else. The secret until now stays good, so
that nothing stands still:

  1. "rotate": both secrets are good, as soon as Caddy has read the file again.
  2. Give the client the new secret.
  3. "rotate --finish": the older secret is good no more.

In place of the third step, "rotate --cancel" takes the new secret back. If the secret has leaked, finish at once, and
revoke the tokens of the client: caddy bearer-auth revoke --issuer <name> --client-id <id>.`,
		Example: `  caddy token-issuer client rotate --file /etc/caddy/clients.json --id billing
  caddy token-issuer client rotate --file /etc/caddy/clients.json --id billing --finish`,
		Args: takesFlagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.clientOptions.addTo(cmd, "The file with the client")
	o.secretOptions.addTo(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&o.finish, "finish", false, "Take the older one of two secrets away")
	flags.BoolVar(&o.cancel, "cancel", false, "Take the newer one of two secrets away")
	flags.BoolVar(&o.json, "json", false, "Print JSON")
	return cmd
}

func (o *clientRotateOptions) run(cmd *cobra.Command) error {
	if err := o.check(cmd, "algorithm"); err != nil {
		return err
	}
	if o.finish || o.cancel {
		return o.end(cmd)
	}
	shown := &credentials{ID: o.id}
	if _, err := o.change(func(file *registration.File) error {
		c, err := o.find(file)
		if err != nil {
			return err
		}
		switch len(c.SecretHashes) {
		case 1:
		case 0:
			return errNoSecret(o.id)
		default:
			return fmt.Errorf("client %q has two secrets already: end that first, with --finish, which takes the older one "+
				"away, or with --cancel, which takes the newer one away", o.id)
		}
		secret, hash, err := o.make(cmd, file.Hash())
		shown.Secret, c.SecretHashes = secret, append(c.SecretHashes, hash)
		return err
	}); err != nil {
		return err
	}
	if err := shown.print(cmd, o.json); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.ErrOrStderr(), "client %q has two secrets. When it uses this one, take the older one away: "+
		"the same command with --finish\n", o.id)
	return err
}

// end takes one of two secrets away.
func (o *clientRotateOptions) end(cmd *cobra.Command) error {
	for _, name := range []string{"algorithm", "cost", "json"} {
		if cmd.Flags().Changed(name) {
			return fmt.Errorf("--%s is about a new secret, and --finish and --cancel make none: leave it out", name)
		}
	}
	if o.finish && o.cancel {
		return errors.New("--finish takes the older secret away, and --cancel the newer one: give one of them")
	}
	if _, err := o.change(func(file *registration.File) error {
		c, err := o.find(file)
		switch {
		case err != nil:
			return err
		case len(c.SecretHashes) == 0:
			return errNoSecret(o.id)
		case len(c.SecretHashes) == 1:
			return fmt.Errorf("client %q has one secret, so there is no change to end: \"client rotate\" without --finish and "+
				"--cancel begins one", o.id)
		case o.finish:
			c.SecretHashes = c.SecretHashes[1:]
		default:
			c.SecretHashes = c.SecretHashes[:1]
		}
		return nil
	}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.ErrOrStderr(), "client %q has one secret\n", o.id)
	return err
}

func errNoSecret(id string) error {
	return fmt.Errorf("client %q has no secret, because it shows who it is with a key or a certificate: change that in "+
		"the file", id)
}
