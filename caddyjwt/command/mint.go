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
	"github.com/caddyjwt/gateway/caddyjwt/consumers"
)

// mintOptions are the flags of the command.
type mintOptions struct {
	config               configFile
	consumer, credential string
	issuer, subject      string
	privateKey           string
	claims               []string
	lifetime             lifetimeFlag
	header               headerFlags
	encrypt              encryptFlags
	bound                boundFlags
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
		Use:   "mint --config <file> --consumer <name>|--issuer <iss>",
		Short: "Prints a token that the configured gate accepts",
		Long: `
Prints an access token for a consumer of a bearer_auth handler in the config file, or of one of its issuers. A secret is
taken from the config. With a public key, the token is signed with the private key from --private-key. So an issuer must
have its keys in the config or in a file: "keys secret", "keys pem" or "keys file". The token has the claims that the
handler asks for: iss, aud, sub, iat, exp, jti and, for an issuer, the scopes of "require scope".
With --encrypt-to, the signed token is encrypted for the holder of a private key (a nested JWT).
With --dpop-key or --client-cert, the token is bound to a key or certificate of the client. With --dpop-proof, the
command prints the header lines of one request, with the token and a proof for it (DPoP), as "curl -H @-" reads them.
Before printing it, the command tries the token on the handler, without the network, and fails if the handler refuses
it. If several handlers know the consumer or issuer, the token is for the first one that accepts it.

This is for trying out and testing. In production, tokens come from your authorization server or from the consumer
itself, and whoever runs this command should not be able to read a secret or private key of theirs.`,
		Example: `  caddy bearer-auth mint --config Caddyfile --consumer alice
  caddy bearer-auth mint --config Caddyfile --issuer https://auth.example.com --private-key key.pem --subject zoe
  caddy bearer-auth mint --config Caddyfile --consumer alice --claim scope="read write" --claim level=3 --lifetime 1h
  caddy bearer-auth mint --config Caddyfile --consumer alice --header x-tenant=one --encrypt-to gate-public.pem
  caddy bearer-auth mint --config Caddyfile --consumer alice --dpop-proof "GET http://localhost:8080/" |
    curl -H @- http://localhost:8080/
  curl -H "Authorization: Bearer $(caddy bearer-auth mint --config Caddyfile --consumer alice)" localhost:8080/`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := o.mint()
			if err != nil {
				return err
			}
			text, err := o.bound.printed(token, time.Now())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
			return err
		},
	}
	o.config.addTo(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.consumer, "consumer", "", "Username of the consumer")
	flags.StringVar(&o.credential, "credential", "", "Key of the credential (default: the consumer's first)")
	flags.StringVar(&o.issuer, "issuer", "", "Name of the issuer; give this or --consumer")
	flags.StringVar(&o.subject, "subject", "", "The sub of an issuer's token (default: \""+defaultSubject+"\")")
	flags.StringArrayVar(&o.claims, "claim", nil,
		"A claim as name=value; a value that is valid JSON is used as JSON. Repeatable")
	o.lifetime = lifetimeFlag(defaultLifetime)
	flags.Var(&o.lifetime, "lifetime", "How long the token is valid; a negative one, such as -1m, makes an expired token")
	flags.StringVar(&o.privateKey, "private-key", "", "PEM file of the private key, for RS, PS, ES and EdDSA")
	o.header.addTo(cmd)
	o.encrypt.addTo(cmd)
	o.bound.addTo(cmd)
	return cmd
}

// mint makes a token for the first gate that knows the consumer or issuer and accepts the token.
func (o *mintOptions) mint() (string, error) {
	switch {
	case o.consumer == "" && o.issuer == "":
		return "", errors.New("nobody to sign for: name a consumer with --consumer, or an issuer with --issuer")
	case o.consumer != "" && o.issuer != "":
		return "", errors.New("--consumer and --issuer exclude each other: leave out one of them")
	case o.issuer != "" && o.credential != "":
		return "", errors.New("--credential belongs to --consumer: leave it out")
	case o.consumer != "" && o.subject != "":
		return "", errors.New("--subject belongs to --issuer: give a consumer's token another one with --claim sub=…")
	}
	if err := o.header.check(); err != nil {
		return "", err
	}
	if err := o.encrypt.read(); err != nil {
		return "", err
	}
	if err := o.bound.read(); err != nil {
		return "", err
	}
	handlers, err := o.config.handlers()
	if err != nil {
		return "", err
	}
	if o.issuer != "" {
		return o.mintOfIssuer(handlers)
	}
	return o.mintOfConsumer(handlers)
}

func (o *mintOptions) mintOfConsumer(handlers []*caddyjwt.Handler) (string, error) {
	var known []string
	var refused []error
	for _, h := range handlers {
		candidates, others, err := h.ConsumersFrom.With(h.Consumers, o.consumer)
		if err != nil {
			return "", fmt.Errorf("this gate would not load: %w", err)
		}
		known = append(known, others...)
		for i := range candidates {
			username, err := candidates[i].ResolveUsername()
			if err != nil {
				return "", err
			}
			known = append(known, username)
			if username != o.consumer {
				continue
			}
			credential, key, err := o.credentialOf(&candidates[i])
			if err != nil {
				return "", err
			}
			if credential == nil {
				continue // another gate may know the consumer with a credential
			}
			token, err := o.mintFor(h, &candidates[i], credential, key)
			if err == nil {
				return token, nil
			}
			refused = append(refused, err)
		}
	}
	if len(refused) > 0 {
		return "", allRefused("consumer", refused)
	}
	return "", o.noCredential(handlers, known)
}

// allRefused is the error of the only gate, or the errors of all.
func allRefused(party string, refused []error) error {
	if len(refused) == 1 {
		return refused[0]
	}
	return fmt.Errorf("%d gates know this %s, and all refuse the token:\n%w",
		len(refused), party, errors.Join(refused...))
}

// noCredential says why there is no credential to sign with.
func (o *mintOptions) noCredential(handlers []*caddyjwt.Handler, known []string) error {
	switch {
	case len(handlers) == 0:
		return fmt.Errorf("%s has no bearer_auth", o.config.path)
	case len(known) == 0:
		return fmt.Errorf("%s has no consumer; name an issuer with --issuer if its keys are here, or else get a token from "+
			"the token endpoint of its authorization server", o.config.path)
	case !slices.Contains(known, o.consumer):
		known = slices.Compact(slices.Sorted(slices.Values(known)))
		return fmt.Errorf("%s has no consumer %q; it has: %s", o.config.path, o.consumer, strings.Join(known, ", "))
	case o.credential == "":
		return fmt.Errorf("consumer %q has no credential", o.consumer)
	default:
		return fmt.Errorf("consumer %q has no credential %q", o.consumer, o.credential)
	}
}

// credentialOf is the credential that was asked for, or else the first, and its key. It is nil if there is no such
// credential.
func (o *mintOptions) credentialOf(consumer *consumers.Consumer) (*consumers.Credential, string, error) {
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
