package caddyjwt

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/internal/gate"
	"github.com/caddyjwt/gateway/internal/jose"
)

func (c *Consumer) compile(repl *caddy.Replacer, now time.Time) (gate.Consumer, error) {
	where := fmt.Sprintf("consumer %q", c.Username)
	out := gate.Consumer{}
	var err error
	for _, field := range []struct {
		name  string
		value string
		into  *string
	}{{"username", c.Username, &out.Username}, {"id", c.ID, &out.ID}, {"custom_id", c.CustomID, &out.CustomID}} {
		if *field.into, err = resolve(repl, field.name, field.value); err != nil {
			return out, fmt.Errorf("%s: %w", where, err)
		}
	}
	if len(c.Groups) > 0 {
		if out.Groups, err = resolveAll(repl, "groups", c.Groups); err != nil {
			return out, fmt.Errorf("%s: %w", where, err)
		}
	}
	for i := range c.Credentials {
		credential, err := c.Credentials[i].compile(repl, now)
		if err != nil {
			return out, fmt.Errorf("%s: %w", where, err)
		}
		out.Credentials = append(out.Credentials, credential)
	}
	return out, nil
}

func (c *Credential) compile(repl *caddy.Replacer, now time.Time) (gate.Credential, error) {
	where := fmt.Sprintf("credential %q", c.Key)
	out := gate.Credential{}
	var err error
	if out.Key, err = resolve(repl, "key", c.Key); err != nil {
		return out, fmt.Errorf("%s: %w", where, err)
	}
	if c.Algorithm == "" {
		return out, fmt.Errorf("%s: no algorithm: the credential, not the token, decides; add for example \"algorithm RS256\"",
			where)
	}
	algorithm, ok := jose.ParseAlgorithm(c.Algorithm)
	if !ok {
		return out, fmt.Errorf("%s: %w", where, unknownAlgorithm(c.Algorithm))
	}
	out.Algorithm = algorithm
	if out.Verifier, out.NotAfter, err = c.verifier(repl, algorithm, now); err != nil {
		return out, fmt.Errorf("%s: %w", where, err)
	}
	return out, nil
}

// verifier reads the one key of a credential, which must be of the algorithm's family.
func (c *Credential) verifier(
	repl *caddy.Replacer, algorithm jose.Algorithm, now time.Time,
) (*jose.Key, time.Time, error) {
	only := jose.MakeAlgorithms(algorithm)
	switch {
	case c.Base64 && c.Secret == "":
		return nil, time.Time{}, errors.New("base64 says how the secret is written, and there is none")
	case c.PublicKey != "" && c.Secret != "":
		return nil, time.Time{}, errors.New("both a public_key and a secret: a credential has one of the two")
	case algorithm.Family() == jose.HMAC && c.Secret == "":
		return nil, time.Time{}, fmt.Errorf("%v needs a secret", algorithm)
	case algorithm.Family() != jose.HMAC && c.PublicKey == "":
		return nil, time.Time{}, fmt.Errorf("%v needs a public_key", algorithm)
	case c.Secret != "":
		secret, err := resolveSecret(repl, c.Secret, c.Base64)
		if err != nil {
			return nil, time.Time{}, err
		}
		key, err := jose.NewSecretKey("", secret, only)
		return key, time.Time{}, wrap("secret", err)
	}
	text, err := readPEM(repl, "public_key", c.PublicKey)
	if err != nil {
		return nil, time.Time{}, err
	}
	publics, notAfter, err := jose.ParsePEM([]byte(text), now)
	if err != nil {
		return nil, time.Time{}, wrap("public_key", err)
	}
	if len(publics) != 1 {
		return nil, time.Time{}, fmt.Errorf("public_key has %d keys: a credential has one", len(publics))
	}
	key, err := jose.NewPublicKey("", publics[0], only)
	return key, notAfter, wrap("public_key", err)
}
