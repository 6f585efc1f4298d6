package caddyjwt

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"

	"github.com/caddyjwt/gateway/internal/gate"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "bearer-auth",
		Usage: "mint --config <file> --consumer <name> [--claim k=v ...] [--lifetime 5m] [--private-key file]",
		Short: "Tools for the bearer_auth handler",
		Long: `
Tools for trying out and testing what the bearer_auth handler guards.`,
		CobraFunc: func(cmd *cobra.Command) { cmd.AddCommand(mintCommand()) },
	})
}

// mintOptions are the flags of the command.
type mintOptions struct {
	config, adapter, consumer, credential, privateKey string
	claims                                            []string
	lifetime                                          time.Duration
}

func mintCommand() *cobra.Command {
	var o mintOptions
	cmd := &cobra.Command{
		Use:   "mint --config <file> --consumer <name>",
		Short: "Prints a token that the configured gate accepts",
		Long: `
Prints an access token for a consumer of a bearer_auth handler in the config file, signed with the consumer's
credential: HMAC credentials with the secret from the config, all others with the private key given.

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
	flags := cmd.Flags()
	flags.StringVarP(&o.config, "config", "c", "Caddyfile", "Config file")
	flags.StringVarP(&o.adapter, "adapter", "a", "", "Config adapter (default: caddyfile, unless the file ends in .json)")
	flags.StringVar(&o.consumer, "consumer", "", "Username of the consumer (required)")
	flags.StringVar(&o.credential, "credential", "", "Key of the credential (default: the consumer's first)")
	flags.StringArrayVar(&o.claims, "claim", nil, "A claim as name=value; a value that is JSON is taken as such. Repeatable")
	flags.DurationVar(&o.lifetime, "lifetime", 5*time.Minute, "How long the token is valid")
	flags.StringVar(&o.privateKey, "private-key", "", "PEM file of the private key, for RS, PS, ES and EdDSA credentials")
	return cmd
}

func (o *mintOptions) mint() (string, error) {
	if o.consumer == "" {
		return "", errors.New("which consumer? Name one with --consumer")
	}
	handlers, err := o.load()
	if err != nil {
		return "", err
	}
	repl := caddy.NewReplacer()
	var known []string
	for _, h := range handlers {
		for i := range h.Consumers {
			username, err := resolve(repl, "username", h.Consumers[i].Username)
			if err != nil {
				return "", err
			}
			known = append(known, username)
			if username != o.consumer {
				continue
			}
			credential, key, err := o.credentialOf(repl, &h.Consumers[i])
			if err != nil {
				return "", err
			}
			if credential != nil { // a gate may know the consumer without one, and another one with it
				return o.mintFor(repl, h, credential, key)
			}
		}
	}
	switch {
	case len(handlers) == 0:
		return "", fmt.Errorf("%s has no bearer_auth", o.config)
	case !slices.Contains(known, o.consumer):
		return "", fmt.Errorf("%s has no consumer %q; it has: %s", o.config, o.consumer, strings.Join(known, ", "))
	case o.credential == "":
		return "", fmt.Errorf("consumer %q has no credential", o.consumer)
	default:
		return "", fmt.Errorf("consumer %q has no credential %q", o.consumer, o.credential)
	}
}

// credentialOf is the credential that was asked for, or else the first, and its key; nil when there is none.
func (o *mintOptions) credentialOf(repl *caddy.Replacer, consumer *Consumer) (*Credential, string, error) {
	for i := range consumer.Credentials {
		key, err := resolve(repl, "key", consumer.Credentials[i].Key)
		if err != nil {
			return nil, "", err
		}
		if o.credential == "" || key == o.credential {
			return &consumer.Credentials[i], key, nil
		}
	}
	return nil, "", nil
}

// load reads the handlers from the config file.
func (o *mintOptions) load() ([]*Handler, error) {
	text, err := os.ReadFile(o.config)
	if err != nil {
		return nil, err
	}
	adapter := o.adapter
	if adapter == "" && !strings.HasSuffix(o.config, ".json") {
		adapter = "caddyfile"
	}
	if adapter != "" {
		cfgAdapter := caddyconfig.GetAdapter(adapter)
		if cfgAdapter == nil {
			return nil, fmt.Errorf("unknown config adapter %q", adapter)
		}
		if text, _, err = cfgAdapter.Adapt(text, map[string]any{"filename": o.config}); err != nil {
			return nil, fmt.Errorf("adapting %s: %w", o.config, err)
		}
	}
	var config any
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("reading %s: %w", o.config, err)
	}
	var handlers []*Handler
	err = findHandlers(config, &handlers)
	return handlers, err
}

// findHandlers collects the bearer_auth handlers anywhere in a config: they may be nested in routes to any depth.
func findHandlers(node any, found *[]*Handler) error {
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			if err := findHandlers(element, found); err != nil {
				return err
			}
		}
	case map[string]any:
		if node["handler"] == "bearer_auth" {
			text, err := json.Marshal(node)
			if err != nil {
				return err
			}
			h := new(Handler)
			if err := json.Unmarshal(text, h); err != nil {
				return fmt.Errorf("reading a bearer_auth handler: %w", err)
			}
			*found = append(*found, h)
			return nil
		}
		for _, name := range slices.Sorted(maps.Keys(node)) { // in a fixed order, so that the same consumer is found each time
			if err := findHandlers(node[name], found); err != nil {
				return err
			}
		}
	}
	return nil
}

// mintFor makes the token for a credential of a handler's.
func (o *mintOptions) mintFor(repl *caddy.Replacer, h *Handler, credential *Credential, key string) (string, error) {
	claims, err := o.claimsFor(repl, h)
	if err != nil {
		return "", err
	}
	keyClaim, err := resolve(repl, "key_claim", h.KeyClaim)
	if err != nil {
		return "", err
	}
	keyClaim = cmp.Or(keyClaim, gate.DefaultKeyClaim)
	if _, both := claims[keyClaim]; both {
		return "", fmt.Errorf("--claim %s: this claim selects the credential; choose that with --credential", keyClaim)
	}
	name := credential.Algorithm
	if name == "Ed25519" { // RFC 9864; golang-jwt has the same signatures under the older name only
		name = "EdDSA"
	}
	method := jwt.GetSigningMethod(name)
	if method == nil {
		return "", fmt.Errorf("credential %q: %w", credential.Key, unknownAlgorithm(credential.Algorithm))
	}
	token := jwt.NewWithClaims(method, claims)
	token.Header["alg"] = credential.Algorithm
	if keyClaim == "kid" {
		token.Header["kid"] = key
	} else {
		claims[keyClaim] = key
	}
	signingKey, err := o.signingKey(repl, credential)
	if err != nil {
		return "", err
	}
	signed, err := token.SignedString(signingKey)
	if err != nil {
		return "", fmt.Errorf("signing with %s: %w; does the private key fit the algorithm?", credential.Algorithm, err)
	}
	return signed, nil
}

// claimsFor makes the claims: what every gate asks for, then what the command line says.
func (o *mintOptions) claimsFor(repl *caddy.Replacer, h *Handler) (jwt.MapClaims, error) {
	if longest := time.Duration(h.MaxLifetime); longest > 0 && o.lifetime > longest {
		return nil, fmt.Errorf("--lifetime %v is longer than the max_lifetime of the gate, %v", o.lifetime, longest)
	}
	now := time.Now()
	claims := jwt.MapClaims{
		"sub": o.consumer,
		"iat": now.Unix(),
		"exp": now.Add(o.lifetime).Unix(),
		"jti": rand.Text(),
	}
	if len(h.Audience) > 0 {
		audience, err := resolveAll(repl, "audience", h.Audience)
		if err != nil {
			return nil, err
		}
		claims["aud"] = audience[0]
	}
	for _, claim := range o.claims {
		name, value, ok := strings.Cut(claim, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--claim %q: expected name=value", claim)
		}
		claims[name] = value
		if json.Valid([]byte(value)) {
			claims[name] = json.RawMessage(value) // as it is: a long number must not be rounded
		}
	}
	return claims, nil
}

func (o *mintOptions) signingKey(repl *caddy.Replacer, credential *Credential) (any, error) {
	if credential.Secret != "" {
		return resolveSecret(repl, credential.Secret, credential.Base64)
	}
	if o.privateKey == "" {
		return nil, fmt.Errorf("credential %q verifies with a public key: give its private key with --private-key",
			credential.Key)
	}
	text, err := os.ReadFile(o.privateKey)
	if err != nil {
		return nil, err
	}
	key, err := parsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.privateKey, err)
	}
	return key, nil
}
