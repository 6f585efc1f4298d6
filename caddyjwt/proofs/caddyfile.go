package proofs

import (
	"errors"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddyjwt/gateway/caddyjwt/words"
	"github.com/caddyjwt/gateway/internal/possession"
)

// Usage of the word proof.
var Usage = []string{"dpop|mtls|any [required]"}

// Table has the words of the block of proof.
var Table = words.Table[Config]{Name: "proof", Words: []words.Word[Config]{
	{Name: "replay", Usage: []string{"local|shared"}, Reader: words.Text(func(c *Config) *string { return &c.Replay })},
	{Name: "algorithms", Usage: []string{"<alg...>"},
		Reader: words.Texts(func(c *Config) *[]string { return &c.Algorithms }, words.SingleQuotes, words.CommaList)},
	{Name: "nonce", Usage: []string{"off|<lifetime>"},
		Reader: words.Parsed(func(c *Config) *caddy.Duration { return &c.Nonce }, parseNonce)},
	{Name: "max_age", Usage: []string{"<duration>"},
		Reader: words.Duration(func(c *Config) *caddy.Duration { return &c.MaxAge })},
}}

func parseNonce(text string) (caddy.Duration, error) {
	if text == "off" {
		return 0, nil
	}
	lifetime, err := caddy.ParseDuration(text)
	if err != nil || lifetime < possession.ShortestNonceLifetime || lifetime > possession.LongestNonceLifetime {
		return 0, errors.New("expected off, or a duration from 10s to 1h")
	}
	return caddy.Duration(lifetime), nil
}

// Reader reads the word proof into a field.
func Reader[T any](field func(*T) **Config) words.Reader[T] {
	read := func(b *words.Block, into *T) error {
		args := b.Args()
		if len(args) == 0 || len(args) > 2 || len(args) == 2 && args[1] != "required" {
			return b.WrongUsage("")
		}
		c := &Config{Accept: args[0], Required: len(args) == 2}
		*field(into) = c
		return words.ReadInto(b, "Proof", &Table, c)
	}
	return words.WithBlock(words.Custom(read, func(t *T) []any { return []any{field(t)} }), &Table)
}

// HeaderUsage is the usage of the word client_cert_header.
var HeaderUsage = []string{"<header> rfc9440|pem|url_pem"}

// HeaderReader reads the word client_cert_header into a field.
func HeaderReader[T any](field func(*T) **CertificateHeader) words.Reader[T] {
	return words.Custom(func(b *words.Block, into *T) error {
		args := b.Args()
		if len(args) != 2 {
			return b.WrongUsage("")
		}
		*field(into) = &CertificateHeader{Name: args[0], Form: args[1]}
		return nil
	}, func(t *T) []any { return []any{field(t)} })
}
