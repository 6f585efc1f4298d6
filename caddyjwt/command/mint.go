package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/caddyjwt"
)

// mintOptions are the flags of the command.
type mintOptions struct {
	config                           configFile
	consumer, credential, privateKey string
	claims                           []string
	lifetime                         lifetimeFlag
}

const defaultLifetime = 5 * time.Minute

// lifetimeFlag is a flag that reads durations as the configuration does.
type lifetimeFlag time.Duration

func (l *lifetimeFlag) Set(text string) error {
	parsed, err := caddy.ParseDuration(text)
	if err != nil {
		return errors.New("expected a duration such as 30s, 5m or 1h")
	}
	*l = lifetimeFlag(parsed)
	return nil
}

func (l *lifetimeFlag) String() string { return time.Duration(*l).String() }
func (*lifetimeFlag) Type() string     { return "duration" }

func mintCommand() *cobra.Command {
	var o mintOptions
	cmd := &cobra.Command{
		Use:   "mint --config <file> --consumer <name>",
		Short: "Prints a token that the configured gate accepts",
		Long: `
Prints an access token for a consumer of a bearer_auth handler in the config file, signed with the consumer's
credential: HMAC credentials with the secret from the config, all others with the private key given. The token is
tried on the handler before it is printed, without the network; one that would be refused is an error. When several
handlers know the consumer, the token is for the first that accepts it.

This serves trying out and testing. In production, tokens come from your authorization server or from the
consumer itself; a secret that can be read by whoever runs this command is a secret of the gateway's.`,
		Example: `  caddy bearer-auth mint --config Caddyfile --consumer alice
  caddy bearer-auth mint --config Caddyfile --consumer alice --claim scope="read write" --claim level=3 --lifetime 1h
  curl -H "Authorization: Bearer $(caddy bearer-auth mint --config Caddyfile --consumer alice)" localhost:8080/`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := o.mint()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	o.config.addTo(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.consumer, "consumer", "", "Username of the consumer (required)")
	flags.StringVar(&o.credential, "credential", "", "Key of the credential (default: the consumer's first)")
	flags.StringArrayVar(&o.claims, "claim", nil,
		"A claim as name=value; a value that is JSON is taken as such. Repeatable")
	o.lifetime = lifetimeFlag(defaultLifetime)
	flags.Var(&o.lifetime, "lifetime", "How long the token is valid; less than nothing, such as -1m, makes an expired one")
	flags.StringVar(&o.privateKey, "private-key", "", "PEM file of the private key, for RS, PS, ES and EdDSA credentials")
	return cmd
}

// mint makes a token that one of the gates accepts: the first, where several know the consumer.
func (o *mintOptions) mint() (string, error) {
	if o.consumer == "" {
		return "", errors.New("which consumer? Name one with --consumer")
	}
	handlers, err := o.config.handlers()
	if err != nil {
		return "", err
	}
	var known []string
	var refused []error
	for _, h := range handlers {
		for i := range h.Consumers {
			username, err := h.Consumers[i].ResolveUsername()
			if err != nil {
				return "", err
			}
			if !slices.Contains(known, username) {
				known = append(known, username)
			}
			if username != o.consumer {
				continue
			}
			credential, key, err := o.credentialOf(&h.Consumers[i])
			if err != nil {
				return "", err
			}
			if credential == nil {
				continue // a gate may know the consumer without one, and another one with it
			}
			token, err := o.mintFor(h, credential, key)
			if err == nil {
				return token, nil
			}
			refused = append(refused, err)
		}
	}
	if len(refused) > 0 {
		return "", allRefused(refused)
	}
	return "", o.nobody(handlers, known)
}

// allRefused is the error of the one gate, or of each.
func allRefused(refused []error) error {
	if len(refused) == 1 {
		return refused[0]
	}
	return fmt.Errorf("%d gates know this consumer, and none accepts the token:\n%w",
		len(refused), errors.Join(refused...))
}

// nobody says why there is nobody to sign for.
func (o *mintOptions) nobody(handlers []*caddyjwt.Handler, known []string) error {
	switch {
	case len(handlers) == 0:
		return fmt.Errorf("%s has no bearer_auth", o.config.path)
	case len(known) == 0:
		return fmt.Errorf("%s has no consumer, and only for consumers can mint sign: tokens of an issuer come from its "+
			"authorization server, whose token endpoint gives them to a client that you have registered there; "+
			"to try the gate without that server, add a consumer", o.config.path)
	case !slices.Contains(known, o.consumer):
		return fmt.Errorf("%s has no consumer %q; it has: %s", o.config.path, o.consumer, strings.Join(known, ", "))
	case o.credential == "":
		return fmt.Errorf("consumer %q has no credential", o.consumer)
	default:
		return fmt.Errorf("consumer %q has no credential %q", o.consumer, o.credential)
	}
}

// credentialOf is the credential that was asked for, or else the first, and its key; nil when there is none.
func (o *mintOptions) credentialOf(consumer *caddyjwt.Consumer) (*caddyjwt.Credential, string, error) {
	for i := range consumer.Credentials {
		key, err := consumer.Credentials[i].ResolveKey()
		if err != nil {
			return nil, "", err
		}
		if o.credential == "" || key == o.credential {
			return &consumer.Credentials[i], key, nil
		}
	}
	return nil, "", nil
}
